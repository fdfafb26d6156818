// Worlds as they arrive, 30 times a second and not evenly -> the world at any moment, a little in the past.

const TICK_MS = 1000 / 30;
const DELAY_MS = 100; // so far behind, what is shown lies between two worlds that have arrived
const KEPT = 30; // worlds; a second is more than any moment needs
const OTHER_WORLD_MS = 2000; // who is this far off has begun anew, or slept
const BOAT_LEAP = 250; // no boat sails so far in a tick
const LIGHT_LEAP = 40; // a light that does has another one's place in the list
const EASE = 0.1;

export class Timeline {
  #worlds = [];
  /** When, by this page's clock, tick 0 would have arrived. */
  #zero = null;

  get latest() {
    return this.#worlds.at(-1) ?? null;
  }

  clear() {
    this.#worlds = [];
    this.#zero = null;
  }

  add(world, now) {
    const zero = now - world.tick * TICK_MS;
    if (this.#zero === null || Math.abs(zero - this.#zero) > OTHER_WORLD_MS) {
      this.clear();
      this.#zero = zero;
    }
    // What arrives early tells the server's clock best; what arrives late may tell that the server has slowed down.
    this.#zero = zero < this.#zero ? zero : this.#zero + (zero - this.#zero) * EASE;
    if (this.latest && world.tick <= this.latest.tick) return;
    this.#worlds.push(world);
    if (this.#worlds.length > KEPT) this.#worlds.shift();
  }

  /** The world to show now, or null before the first one. */
  at(now) {
    if (!this.latest) return null;
    const tick = (now - DELAY_MS - this.#zero) / TICK_MS;
    const index = this.#worlds.findIndex((world) => world.tick > tick);
    if (index === -1) return this.latest;
    if (index === 0) return this.#worlds[0];
    const [before, after] = [this.#worlds[index - 1], this.#worlds[index]];
    const part = (tick - before.tick) / (after.tick - before.tick);
    const boats = new Map();
    for (const [id, boat] of after.boats) boats.set(id, between(before.boats.get(id), boat, part, BOAT_LEAP));
    const lights = after.lights.map((light, i) => between(before.lights[i], light, part, LIGHT_LEAP));
    return { tick, boats, lights };
  }
}

function between(before, after, part, leap) {
  if (!before || Math.hypot(after.x - before.x, after.y - before.y) > leap) return after;
  const mix = (a, b) => a + (b - a) * part;
  const place = { ...after, x: mix(before.x, after.x), y: mix(before.y, after.y) };
  if (after.heading !== undefined) {
    // The shorter way round.
    const turn = Math.atan2(Math.sin(after.heading - before.heading), Math.cos(after.heading - before.heading));
    place.heading = before.heading + turn * part;
  }
  return place;
}
