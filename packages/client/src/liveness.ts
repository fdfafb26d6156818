/**
 * Whether the server is still there: silence for too long, or a question that is not answered.
 *
 * Timers of hidden pages are throttled and those of frozen ones stand still, so a timer that comes late proves nothing:
 * what the server said meanwhile may wait behind it. Then the server is asked.
 */

/** Beyond the server's own interval, before a silent connection is taken for dead. */
export const GRACE = 10_000;
/** How long the answer to a `ping` may take. */
const PROBE_TIMEOUT = 5_000;
/** A timer that comes so much later than it was set for was held back. */
const LATE = 2_000;
/** How often in a row a late timer is excused: in a hidden page every timer is late. */
const MAX_EXCUSES = 2;

export class Liveness {
  #interval = Number.POSITIVE_INFINITY;
  #heardAt = 0;
  #probedAt: number | undefined;
  #excuses = 0;

  /** A new connection to a server that says something at least every so many milliseconds. */
  reset(now: number, ping: number): void {
    this.#interval = ping + GRACE;
    this.heard(now);
  }

  /** The server has said something. */
  heard(now: number): void {
    this.#heardAt = now;
    this.#probedAt = undefined;
    this.#excuses = 0;
  }

  /** The server is to be asked whether it is there; says whether a `ping` is to be sent. */
  probe(now: number): boolean {
    if (this.#probedAt !== undefined) return false;
    this.#probedAt = now;
    return true;
  }

  /** When `check` is to be called. */
  get deadline(): number {
    return this.#probedAt === undefined ? this.#heardAt + this.#interval : this.#probedAt + PROBE_TIMEOUT;
  }

  /** Judges the silence; to `ask` is to send a `ping`. */
  check(now: number): 'alive' | 'ask' | 'dead' {
    if (now < this.deadline) return 'alive';
    if (now - this.deadline < LATE || this.#excuses === MAX_EXCUSES) return 'dead';
    this.#excuses += 1;
    this.#probedAt = now;
    return 'ask';
  }
}
