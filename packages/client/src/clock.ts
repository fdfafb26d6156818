/**
 * Milliseconds that count a computer's sleep, and never run backwards.
 *
 * `performance.now` stands still in a sleep on some systems, and `Date.now` jumps when the clock is set. Of both, the
 * one that has gone further is believed: a server's memory of what it was sent must not be taken for younger than it is.
 */

export class Clock {
  #now = 0;
  #steady = performance.now();
  #wall = Date.now();

  now(): number {
    const [steady, wall] = [performance.now(), Date.now()];
    this.#now += Math.max(0, steady - this.#steady, wall - this.#wall);
    [this.#steady, this.#wall] = [steady, wall];
    return this.#now;
  }
}
