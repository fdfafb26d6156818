/**
 * When to come back, and when not: the table of close codes of docs/protocol.md, and full jitter.
 *
 * It knows no connection, no clock and no source of randomness.
 */

/** How a connection, or the try to make one, ended. */
export interface EndCause {
  /** The close code; 1006 where the connection was lost. */
  readonly code: number;
  readonly reason: string;
  /** Milliseconds that the server asks to be left alone. */
  readonly retry?: number | undefined;
  /** What went wrong, where something was thrown. */
  readonly error?: unknown;
}

/** The times of a client that comes back, in milliseconds. */
export interface Backoff {
  /** The longest delay before the first new try is twice this; it doubles with each. */
  readonly base: number;
  /** The longest delay however many tries there were. */
  readonly max: number;
  /** A connection that lasted so long was a good one: the next try counts as the first. */
  readonly healthyAfter: number;
}

export const DEFAULT_BACKOFF: Backoff = { base: 250, max: 20_000, healthyAfter: 10_000 };

/** After a limit was passed: whoever comes back at once passes it again. */
const AFTER_LIMIT = 5_000;
/** The longest that a server may ask to be left alone: a wrong number must not keep clients away for a year. */
const MAX_RETRY = 600_000;
/** The token is missing, bad or has ended. */
export const UNAUTHORIZED = 3000;
/** The connection was lost without a Close frame. */
export const LOST = 1006;
/** This client may not connect. */
export const FORBIDDEN = 3003;

const POLICY_VIOLATION = 1008;
const TERMINAL: readonly number[] = [1000, 1001, 1003, 1007, 1009, FORBIDDEN];

/** Whether there is no point in coming back after this close code. */
export function isTerminal(code: number): boolean {
  return TERMINAL.includes(code);
}

export class Reconnection {
  readonly #backoff: Backoff;
  readonly #random: () => number;
  #welcomedAt = Number.POSITIVE_INFINITY;
  /** The number of tries since the last good connection. */
  attempt = 0;
  /** When the next try is made. */
  retryAt = Number.POSITIVE_INFINITY;
  /** Before this time the server does not want to see the client. */
  #notBefore = 0;

  constructor(backoff: Backoff, random: () => number) {
    this.#backoff = backoff;
    this.#random = random;
  }

  /** Begins anew, whatever was. */
  reset(): void {
    this.attempt = 0;
    this.#notBefore = 0;
    this.began();
  }

  /** A try is being made. */
  began(): void {
    this.retryAt = Number.POSITIVE_INFINITY;
    this.#welcomedAt = Number.POSITIVE_INFINITY;
  }

  /** The server has welcomed the client. */
  welcomed(now: number): void {
    this.#welcomedAt = now;
  }

  /** Plans the next try; `atOnce` where another way is to be tried first. */
  ended(now: number, { code, retry }: EndCause, atOnce = false): void {
    const { healthyAfter } = this.#backoff;
    if (now - this.#welcomedAt >= healthyAfter) this.attempt = 0;
    this.attempt += 1;
    const least = code === POLICY_VIOLATION ? AFTER_LIMIT : 0;
    const told = Math.min(Math.max(retry ?? 0, least), MAX_RETRY);
    this.#notBefore = now + told;
    // What the server told is each client's own; what the table says is the same for all, who must be spread.
    const jitter = atOnce ? 0 : fullJitter(this.#backoff, this.attempt, this.#random);
    this.retryAt = now + (retry === undefined ? least + jitter : Math.max(told, jitter));
  }

  /** There is reason to hope, so the next try is made as soon as the server allows. */
  hurry(now: number): void {
    this.retryAt = Math.min(this.retryAt, Math.max(now, this.#notBefore));
  }
}

/**
 * The delay before the nth try: anything from nothing to a limit that doubles, so that clients that lost their server
 * together do not come back together.
 */
export function fullJitter({ base, max }: Backoff, attempt: number, random: () => number): number {
  return random() * Math.min(max, base * 2 ** attempt);
}
