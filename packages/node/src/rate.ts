/** How fast a peer may send: a bucket of tokens that fills steadily. */

/** Messages per second, and how many at once. */
export interface Rate {
  perSecond: number;
  burst: number;
}

/** The longest time, in seconds, that a bucket makes up for beyond its burst. */
const MAX_HELD = 60;

/** What a peer may still send. */
export class Bucket {
  readonly #rate: Rate;
  #tokens: number;
  #filledAt = performance.now();

  /** A full bucket. */
  constructor(rate: Rate) {
    this.#rate = rate;
    this.#tokens = rate.burst;
  }

  /** Takes a token for a message; false where there is none. */
  take(): boolean {
    this.#fill(Math.max(this.#rate.burst, this.#tokens));
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }

  /**
   * Adds what the time brought in which nothing was read. What the peer sent meanwhile arrives all at once, so the burst is
   * no limit to it.
   */
  credit(): void {
    this.#fill(this.#rate.burst + MAX_HELD * this.#rate.perSecond);
  }

  #fill(most: number): void {
    const now = performance.now();
    const filled = this.#tokens + ((now - this.#filledAt) / 1000) * this.#rate.perSecond;
    this.#tokens = Math.min(filled, most);
    this.#filledAt = now;
  }
}
