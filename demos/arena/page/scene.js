// A world -> a picture of it.

import { STICK_PX } from './helm.js';

const RADIUS = 1000;
const BOAT = 44; // a little more than the simulation's, so that boats are seen to touch
const MARGIN = 40;
const SMALLEST_SCALE = 0.34; // pixels of the page for a unit: a boat is never smaller than half a fingertip
const MAX_RATIO = 2.5; // more pixels than these nobody sees
const SWELL_TICKS = 180;
const TURN_TICKS = 2700;
const RING_MS = 450;
const WAKE = 14;

export class Scene {
  #canvas;
  #pen;
  #colours = {};
  #isCalm = matchMedia('(prefers-reduced-motion: reduce)');
  #camera = null;
  #scores = new Map();
  #rings = [];
  #wakes = new Map();

  constructor(canvas) {
    this.#canvas = canvas;
    this.#pen = canvas.getContext('2d');
    new ResizeObserver(() => this.#resize()).observe(canvas);
    this.#resize();
    this.#readColours();
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#readColours());
  }

  /** `style` gives name and hue of a boat; `heading` is where the helm of the own one points, if it is laid. */
  draw(world, { own, heading, stick, style, now }) {
    const pen = this.#pen;
    const { width, height, ratio } = this.#size;
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = this.#colours.shore;
    pen.fillRect(0, 0, width, height);
    const scale = Math.max(SMALLEST_SCALE, Math.min(width, height) / (2 * (RADIUS + MARGIN)));
    this.#follow(world?.boats.get(own), scale);
    pen.save();
    pen.translate(width / 2, height / 2);
    pen.scale(scale, scale);
    pen.translate(-this.#camera.x, -this.#camera.y);
    this.#drawWater(world?.tick ?? 0);
    if (world) {
      this.#notice(world, now);
      for (const light of world.lights) this.#drawLight(light, world.tick);
      for (const boat of world.boats.values()) this.#drawWake(boat);
      this.#drawRings(now);
      for (const boat of world.boats.values()) {
        const isOwn = boat.id === own;
        const shown = isOwn && heading !== null ? { ...boat, heading } : boat;
        this.#drawBoat(shown, isOwn, style(boat));
      }
      for (const boat of world.boats.values()) this.#drawName(boat, boat.id === own, style(boat), scale);
    }
    pen.restore();
    if (stick) this.#drawStick(stick);
  }

  get #size() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    return { width, height, ratio: Math.min(devicePixelRatio || 1, MAX_RATIO) };
  }

  #resize() {
    const { width, height, ratio } = this.#size;
    this.#canvas.width = Math.max(1, Math.round(width * ratio));
    this.#canvas.height = Math.max(1, Math.round(height * ratio));
  }

  #readColours() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ['shore', 'water', 'deep', 'swell', 'light', 'hull', 'ink', 'accent']) {
      this.#colours[name] = style.getPropertyValue(`--${name}`).trim();
    }
    this.#colours.sail = style.getPropertyValue('--sail').trim();
  }

  /** Where the bay does not fit, the picture goes with the own boat, and shows little of what is beyond the shore. */
  #follow(boat, scale) {
    const { width, height } = this.#size;
    const reach = (pixels) => Math.max(0, RADIUS + MARGIN - pixels / 2 / scale);
    const clamp = (value, limit) => Math.min(limit, Math.max(-limit, value));
    const wanted = { x: clamp(boat?.x ?? 0, reach(width)), y: clamp(boat?.y ?? 0, reach(height)) };
    const ease = this.#camera && Math.hypot(wanted.x - this.#camera.x, wanted.y - this.#camera.y) < 600 ? 0.15 : 1;
    this.#camera ??= { x: 0, y: 0 };
    this.#camera.x += (wanted.x - this.#camera.x) * ease;
    this.#camera.y += (wanted.y - this.#camera.y) * ease;
  }

  #drawWater(tick) {
    const pen = this.#pen;
    const water = pen.createRadialGradient(0, 0, RADIUS * 0.1, 0, 0, RADIUS);
    water.addColorStop(0, this.#colours.deep);
    water.addColorStop(1, this.#colours.water);
    pen.beginPath();
    pen.arc(0, 0, RADIUS, 0, Math.PI * 2);
    pen.fillStyle = water;
    pen.fill();
    pen.save();
    pen.clip();
    const time = this.#isCalm.matches ? 0 : tick;
    pen.rotate((time / TURN_TICKS) * Math.PI * 2);
    const sway = Math.sin((time / SWELL_TICKS) * Math.PI * 2 - Math.PI / 2) * 60;
    pen.strokeStyle = this.#colours.swell;
    pen.lineWidth = 5;
    pen.lineCap = 'round';
    pen.beginPath();
    for (let x = -RADIUS - 100; x <= RADIUS + 100; x += 125) {
      for (let y = -RADIUS; y <= RADIUS; y += 250) {
        const top = y + ((x / 125) % 2 ? 125 : 0);
        pen.moveTo(x + sway, top - 55);
        pen.quadraticCurveTo(x + sway + 26, top, x + sway, top + 55);
      }
    }
    pen.stroke();
    pen.restore();
    pen.strokeStyle = this.#colours.swell;
    pen.lineWidth = 10;
    pen.beginPath();
    pen.arc(0, 0, RADIUS - 5, 0, Math.PI * 2);
    pen.stroke();
  }

  /** Scores that changed make a ring: who gathers a light, and who spills. */
  #notice({ boats }, now) {
    const before = this.#scores;
    this.#scores = new Map();
    for (const { id, score, x, y } of boats.values()) {
      this.#scores.set(id, score);
      const was = before.get(id);
      if (was !== undefined && was !== score && !this.#isCalm.matches) this.#rings.push({ x, y, at: now, isLoss: score < was });
    }
    for (const id of this.#wakes.keys()) if (!boats.has(id)) this.#wakes.delete(id);
  }

  #drawRings(now) {
    this.#rings = this.#rings.filter(({ at }) => now - at < RING_MS);
    for (const { x, y, at, isLoss } of this.#rings) {
      const part = (now - at) / RING_MS;
      this.#pen.globalAlpha = 1 - part;
      this.#pen.strokeStyle = isLoss ? this.#colours.ink : this.#colours.light;
      this.#pen.lineWidth = isLoss ? 10 : 6;
      this.#pen.beginPath();
      this.#pen.arc(x, y, BOAT + part * (isLoss ? 130 : 45), 0, Math.PI * 2);
      this.#pen.stroke();
    }
    this.#pen.globalAlpha = 1;
  }

  #drawLight({ x, y }, tick) {
    const pen = this.#pen;
    const pulse = this.#isCalm.matches ? 1 : 1 + 0.12 * Math.sin(tick / 9 + x / 50);
    pen.fillStyle = this.#colours.light;
    pen.globalAlpha = 0.22;
    pen.beginPath();
    pen.arc(x, y, 34 * pulse, 0, Math.PI * 2);
    pen.fill();
    pen.globalAlpha = 1;
    pen.beginPath();
    pen.arc(x, y, 13 * pulse, 0, Math.PI * 2);
    pen.fill();
  }

  #drawWake({ id, x, y, isDashing }) {
    if (this.#isCalm.matches) return;
    const wake = this.#wakes.get(id) ?? [];
    wake.push({ x, y });
    if (wake.length > WAKE) wake.shift();
    this.#wakes.set(id, wake);
    const pen = this.#pen;
    pen.strokeStyle = isDashing ? this.#colours.light : this.#colours.swell;
    pen.lineCap = 'round';
    for (let i = 1; i < wake.length; i += 1) {
      pen.globalAlpha = (i / wake.length) * 0.7;
      pen.lineWidth = 6 + (i / wake.length) * 22;
      pen.beginPath();
      pen.moveTo(wake[i - 1].x, wake[i - 1].y);
      pen.lineTo(wake[i].x, wake[i].y);
      pen.stroke();
    }
    pen.globalAlpha = 1;
  }

  #drawBoat({ x, y, heading, canDash }, isOwn, { hue, isBot }) {
    const pen = this.#pen;
    const colour = isBot ? this.#colours.hull : `oklch(${this.#colours.sail} ${hue})`;
    pen.save();
    pen.translate(x, y);
    if (isOwn) {
      pen.strokeStyle = canDash ? this.#colours.accent : this.#colours.swell;
      pen.lineWidth = 5;
      pen.setLineDash(canDash ? [] : [14, 12]);
      pen.beginPath();
      pen.arc(0, 0, BOAT + 16, 0, Math.PI * 2);
      pen.stroke();
      pen.setLineDash([]);
    }
    pen.rotate(heading);
    pen.fillStyle = colour;
    pen.strokeStyle = this.#colours.ink;
    pen.lineWidth = 4;
    pen.lineJoin = 'round';
    pen.beginPath();
    pen.moveTo(BOAT + 8, 0);
    pen.quadraticCurveTo(BOAT * 0.4, BOAT * 0.78, -BOAT * 0.8, BOAT * 0.5);
    pen.quadraticCurveTo(-BOAT, 0, -BOAT * 0.8, -BOAT * 0.5);
    pen.quadraticCurveTo(BOAT * 0.4, -BOAT * 0.78, BOAT + 8, 0);
    pen.fill();
    pen.stroke();
    pen.fillStyle = this.#colours.deep;
    pen.beginPath();
    pen.ellipse(-BOAT * 0.15, 0, BOAT * 0.4, BOAT * 0.24, 0, 0, Math.PI * 2);
    pen.fill();
    pen.restore();
  }

  #drawName({ x, y, score }, isOwn, { name }, scale) {
    const pen = this.#pen;
    pen.font = `${isOwn ? 700 : 500} ${13 / scale}px system-ui, sans-serif`;
    pen.textAlign = 'center';
    pen.lineWidth = 4 / scale;
    pen.strokeStyle = this.#colours.water;
    pen.fillStyle = this.#colours.ink;
    pen.lineJoin = 'round';
    const line = `${name}  ${score}`;
    pen.strokeText(line, x, y - BOAT - 14 / scale);
    pen.fillText(line, x, y - BOAT - 14 / scale);
  }

  #drawStick({ x, y, thumbX, thumbY }) {
    const pen = this.#pen;
    const { left, top } = this.#canvas.getBoundingClientRect();
    pen.fillStyle = this.#colours.ink;
    pen.globalAlpha = 0.12;
    pen.beginPath();
    pen.arc(x - left, y - top, STICK_PX, 0, Math.PI * 2);
    pen.fill();
    pen.globalAlpha = 0.45;
    pen.beginPath();
    pen.arc(thumbX - left, thumbY - top, 24, 0, Math.PI * 2);
    pen.fill();
    pen.globalAlpha = 1;
  }
}
