/**
 * When to try again: the state machine of a connection that comes back.
 *
 * It knows no socket, no clock and no source of randomness: time in milliseconds and a function that gives numbers
 * from 0 to 1 are passed in. Whoever drives it makes the connections, tells it what became of them, and calls
 * `handleTimeout` when `deadline` has come.
 */

/** How a connection, or the attempt to make one, ended. */
export interface EndCause {
  /** The close code; 1006 where no Close frame came. */
  readonly code: number;
  readonly reason: string;
  readonly wasClean: boolean;
  /** The status of the answer, where the server refused the opening handshake. */
  readonly status?: number | undefined;
  /** Milliseconds that the server asks to be left alone, if it does. */
  readonly retryAfter?: number | undefined;
  /** What went wrong, where something did. */
  readonly error?: Error | undefined;
}

/** When to try again, and when not. All times are milliseconds. */
export interface ReconnectionPolicy {
  /** The longest delay before the first new try; it doubles with each. */
  baseDelay: number;
  /** The longest delay however many tries there were. */
  maxDelay: number;
  /** The longest delay that a server is given. */
  maxRetryAfter: number;
  /** A connection that lasted so long was a good one: the next try counts as the first. */
  healthyAfter: number;
  /** How long a try may take. */
  connectTimeout: number;
  /** The most tries in a row. */
  maxAttempts: number;
  /** Whether there is no point in trying again. */
  isTerminal: (cause: EndCause) => boolean;
}

/** What comes after an end. */
export interface Retry {
  /** How many tries there were since the last good connection, this one included. */
  attempt: number;
  /** Milliseconds until the try begins. */
  delay: number;
}

/** 1013, Try Again Later: the server has too much to do. */
const TRY_AGAIN_LATER = 1013;

export class Reconnection {
  readonly #policy: ReconnectionPolicy;
  readonly #random: () => number;
  #phase: 'idle' | 'connecting' | 'open' | 'waiting' = 'idle';
  #attempt = 0;
  #openedAt = 0;
  /** When `handleTimeout` is to be called. */
  deadline = Number.POSITIVE_INFINITY;

  constructor(policy: ReconnectionPolicy, random: () => number) {
    this.#policy = policy;
    this.#random = random;
  }

  /** The number of the try that is under way; 0 for the first. */
  get attempt(): number {
    return this.#attempt;
  }

  /** Begins anew, whatever was: a try is to be made now. */
  start(now: number): void {
    this.#attempt = 0;
    this.#connect(now);
  }

  /** The connection is open. */
  opened(now: number): void {
    this.#phase = 'open';
    this.#openedAt = now;
    this.deadline = Number.POSITIVE_INFINITY;
  }

  /** The connection, or the try, has ended. Gives nothing where it was the last one. */
  ended(now: number, cause: EndCause): Retry | undefined {
    const { healthyAfter, isTerminal, maxAttempts } = this.#policy;
    if (this.#phase === 'open' && now - this.#openedAt >= healthyAfter) this.#attempt = 0;
    if (isTerminal(cause) || this.#attempt >= maxAttempts) {
      this.stop();
      return undefined;
    }
    this.#attempt += 1;
    const delay = this.#delay(cause);
    this.#phase = 'waiting';
    this.deadline = now + delay;
    return { attempt: this.#attempt, delay };
  }

  /** Nothing is to be tried any more. */
  stop(): void {
    this.#phase = 'idle';
    this.deadline = Number.POSITIVE_INFINITY;
  }

  /** Acts on the time `now`: a try is to be made, or the one under way to be given up, or it is too early. */
  handleTimeout(now: number): 'connect' | 'give up' | 'wait' {
    if (now < this.deadline) return 'wait';
    if (this.#phase === 'connecting') return 'give up';
    this.#connect(now);
    return 'connect';
  }

  #connect(now: number): void {
    this.#phase = 'connecting';
    this.deadline = now + this.#policy.connectTimeout;
  }

  /**
   * "Full jitter": anything from nothing to a limit that doubles, so that clients that lost their server together do
   * not come back together.
   */
  #delay({ code, retryAfter }: EndCause): number {
    const { baseDelay, maxDelay, maxRetryAfter } = this.#policy;
    if (retryAfter !== undefined) {
      // All who were told the same are spread behind it.
      return Math.min(retryAfter, maxRetryAfter) + this.#random() * baseDelay;
    }
    const limit =
      code === TRY_AGAIN_LATER ? maxDelay : Math.min(maxDelay, baseDelay * 2 ** (this.#attempt - 1));
    return this.#random() * limit;
  }
}
