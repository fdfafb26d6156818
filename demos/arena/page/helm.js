// Keys, a thumb on the glass or a pressed mouse -> where to sail, and when to ram.

const STICK_PX = 56; // from the middle of the stick to its edge
const KEYS = new Map([['ArrowUp', [0, -1]], ['KeyW', [0, -1]], ['ArrowDown', [0, 1]], ['KeyS', [0, 1]],
  ['ArrowLeft', [-1, 0]], ['KeyA', [-1, 0]], ['ArrowRight', [1, 0]], ['KeyD', [1, 0]]]);

export class Helm {
  #pressed = new Set();
  #pointer = null;
  #isDashing = false;
  /** Where the stick is on the glass, and where the thumb: `{x, y, thumbX, thumbY}`, or null. */
  stick = null;

  /** `glass` is what is dragged on, `button` what rams; `changed` is called whenever something is. */
  constructor(glass, button, changed) {
    addEventListener('keydown', (event) => {
      if (event.target.matches('input, button, a') || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.code === 'Space') this.#isDashing ||= !event.repeat;
      else if (KEYS.has(event.code)) this.#pressed.add(event.code);
      else return;
      event.preventDefault();
      changed();
    });
    addEventListener('keyup', (event) => { if (this.#pressed.delete(event.code)) changed(); });
    // A key that is let go elsewhere is never heard of.
    addEventListener('blur', () => { this.#pressed.clear(); this.#drop(); changed(); });
    button.addEventListener('pointerdown', (event) => { event.preventDefault(); this.#isDashing = true; changed(); });
    button.addEventListener('click', (event) => { if (event.detail === 0) { this.#isDashing = true; changed(); } });
    glass.addEventListener('pointerdown', (event) => {
      if (this.#pointer !== null || event.button !== 0) return;
      glass.focus({ preventScroll: true });
      glass.setPointerCapture(event.pointerId);
      this.#pointer = event.pointerId;
      this.stick = { x: event.clientX, y: event.clientY, thumbX: event.clientX, thumbY: event.clientY };
    });
    glass.addEventListener('pointermove', (event) => {
      if (event.pointerId !== this.#pointer) return;
      this.#drag(event.clientX, event.clientY);
      changed();
    });
    for (const name of ['pointerup', 'pointercancel']) {
      glass.addEventListener(name, (event) => {
        if (event.pointerId !== this.#pointer) return;
        this.#drop();
        changed();
      });
    }
  }

  /** Where to sail: x and y from -127 to 127. */
  get direction() {
    const { stick } = this;
    let [x, y] = stick ? [(stick.thumbX - stick.x) / STICK_PX, (stick.thumbY - stick.y) / STICK_PX] : [0, 0];
    for (const code of this.#pressed) [x, y] = [x + KEYS.get(code)[0], y + KEYS.get(code)[1]];
    const length = Math.max(1, Math.hypot(x, y));
    return [x, y].map((part) => Math.round((part / length) * 127));
  }

  /** Whether to ram; it is told once. */
  takeDash() {
    const isDashing = this.#isDashing;
    this.#isDashing = false;
    return isDashing;
  }

  #drag(x, y) {
    const { stick } = this;
    [stick.thumbX, stick.thumbY] = [x, y];
    // A stick that is pulled beyond its edge comes along, so that turning round is never far.
    const beyond = Math.hypot(x - stick.x, y - stick.y) - STICK_PX;
    if (beyond <= 0) return;
    const angle = Math.atan2(y - stick.y, x - stick.x);
    stick.x += Math.cos(angle) * beyond;
    stick.y += Math.sin(angle) * beyond;
  }

  #drop() {
    this.#pointer = null;
    this.stick = null;
  }
}

export { STICK_PX };
