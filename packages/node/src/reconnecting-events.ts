/** The events that a `ReconnectingWebSocket` has beside those of `WebSocket`. */

import type { EndCause, Retry } from './reconnection';
import { asInterface } from './webidl';

/** The event `open`: there is a connection, the first or a new one. */
export class ReopenEvent extends Event {
  readonly #reconnected: boolean;

  constructor(reconnected: boolean) {
    super('open');
    this.#reconnected = reconnected;
  }

  /** Whether there was a connection before. What the server knew of that one it may have forgotten. */
  get reconnected(): boolean {
    return this.#reconnected;
  }
}

/** The event `reconnecting`: the connection, or a try to make one, has ended, and another try follows. */
export class ReconnectingEvent extends Event {
  readonly #retry: Retry;
  readonly #cause: EndCause;

  constructor(retry: Retry, cause: EndCause) {
    super('reconnecting');
    this.#retry = retry;
    this.#cause = cause;
  }

  /** How many tries there were since the last good connection, the one that follows included. */
  get attempt(): number {
    return this.#retry.attempt;
  }

  /** Milliseconds until it begins. */
  get delay(): number {
    return this.#retry.delay;
  }

  /** Why it is needed. */
  get cause(): EndCause {
    return this.#cause;
  }
}

asInterface(ReopenEvent, 'ReopenEvent', ['reconnected']);
asInterface(ReconnectingEvent, 'ReconnectingEvent', ['attempt', 'delay', 'cause']);
