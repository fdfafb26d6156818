/** What a way to the server is to the one who drives the session: messages in both directions, and one end. */

import type { Incoming, Outgoing } from './protocol.js';
import type { EndCause } from './reconnection.js';

/** What a transport tells. Nothing is told in the call that made it, and nothing after its end or `close`. */
export interface TransportHandler {
  opened(): void;
  received(message: Incoming): void;
  ended(cause: EndCause): void;
}

export interface Transport {
  send(message: Outgoing): void;
  close(): void;
}
