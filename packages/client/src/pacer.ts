/**
 * How fast messages may leave: a token bucket that is smaller than the server's.
 *
 * A client that comes back with a full queue would pass the server's limit otherwise, be closed with 1008, and come
 * back with the same queue.
 */

/** Messages that left evenly may arrive in a bunch: half of the server's bucket is kept for that. */
const SHARE_OF_BURST = 0.5;
const SHARE_OF_RATE = 0.9;

export class Pacer {
  #perMillisecond = Number.POSITIVE_INFINITY;
  #burst = Number.POSITIVE_INFINITY;
  #tokens = Number.POSITIVE_INFINITY;
  #at = 0;

  /** A new connection: messages in a second, and at once. Without a limit nothing is held back. */
  reset(now: number, rate = Number.POSITIVE_INFINITY, burst = rate): void {
    this.#perMillisecond = (rate * SHARE_OF_RATE) / 1000;
    this.#burst = Math.max(1, burst * SHARE_OF_BURST);
    this.#tokens = this.#burst;
    this.#at = now;
  }

  /** Whether a message may leave now; then it is counted. */
  take(now: number): boolean {
    if (this.#burst === Number.POSITIVE_INFINITY) return true;
    this.#tokens = Math.min(this.#burst, this.#tokens + Math.max(0, now - this.#at) * this.#perMillisecond);
    this.#at = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /** When the next one may leave. */
  get readyAt(): number {
    return this.#tokens >= 1 ? this.#at : this.#at + Math.ceil((1 - this.#tokens) / this.#perMillisecond);
  }
}
