/**
 * Which way to the server is tried next: WebSocket, or Server-Sent Events where a WebSocket does not even open.
 *
 * It remembers what worked, and when a WebSocket is worth another try.
 */

export type TransportName = 'websocket' | 'sse';

/** How many WebSockets in a row must fail to open before one that worked once is given up for now. */
const FAILURES_OF_PROVEN = 3;
/** The first pause before a WebSocket is tried again beside a working stream of events; it doubles with each. */
const FIRST_UPGRADE_AFTER = 60_000;
const MAX_UPGRADE_AFTER = 3_600_000;

export class TransportChoice {
  readonly #allowed: readonly TransportName[];
  #next: TransportName;
  #webSocketWorked = false;
  #failures = 0;
  #upgradeAfter = FIRST_UPGRADE_AFTER;
  /** When a WebSocket is to be tried beside the stream of events. */
  upgradeAt = Number.POSITIVE_INFINITY;

  constructor(allowed: readonly TransportName[]) {
    this.#allowed = allowed;
    this.#next = allowed[0] ?? 'websocket';
  }

  /** What to try now. */
  get next(): TransportName {
    return this.#next;
  }

  /** The server has welcomed the client over this transport. */
  worked(now: number, transport: TransportName): void {
    this.#failures = 0;
    this.#next = transport;
    if (transport === 'websocket') {
      this.#webSocketWorked = true;
      this.#upgradeAfter = FIRST_UPGRADE_AFTER;
      this.upgradeAt = Number.POSITIVE_INFINITY;
    } else if (this.#allowed.includes('websocket')) this.upgradeAt = now + this.#upgradeAfter;
  }

  /** A try ended before it was open. Says whether another transport is to be tried at once. */
  failed(transport: TransportName): boolean {
    this.#failures += 1;
    const other = this.#allowed.find((name) => name !== transport);
    const isProven = transport === 'websocket' && this.#webSocketWorked;
    if (other === undefined || (isProven && this.#failures < FAILURES_OF_PROVEN)) return false;
    this.#next = other;
    // Only the way from the first choice to the second is made at once: otherwise two that fail would take turns.
    return transport === this.#allowed[0];
  }

  /** The WebSocket beside the stream of events came to nothing. */
  upgradeFailed(now: number): void {
    this.#upgradeAfter = Math.min(MAX_UPGRADE_AFTER, 2 * this.#upgradeAfter);
    this.upgradeAt = now + this.#upgradeAfter;
  }

  /** The WebSocket beside the stream of events is being tried. */
  upgrading(): void {
    this.upgradeAt = Number.POSITIVE_INFINITY;
  }
}
