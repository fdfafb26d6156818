/** A WebSocket as a transport. */

import { type Incoming, type Outgoing, SUBPROTOCOL } from './protocol.js';
import { LOST } from './reconnection.js';
import type { Transport, TransportHandler } from './transport.js';

/** What is used of a WebSocket: the browser's, Node's, `vaiven`'s and `ws`'s all have it. */
export interface WebSocketLike {
  binaryType: string;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number): void;
}

export type WebSocketClass = new (url: string, protocol: string) => WebSocketLike;

export class WebSocketTransport implements Transport {
  readonly #socket: WebSocketLike;

  /** Throws what the class throws: for a URL that it does not take, or a page that may not open it. */
  constructor(WebSocket: WebSocketClass, url: string, handler: TransportHandler) {
    const socket = new WebSocket(url, SUBPROTOCOL);
    this.#socket = socket;
    socket.binaryType = 'arraybuffer';
    socket.onopen = () => handler.opened();
    socket.onmessage = ({ data }: { data: Incoming }) => handler.received(data);
    socket.onclose = ({ code, reason }: { code: number; reason: string }) => {
      handler.ended({ code, reason: reason || (code === LOST ? 'the connection was lost' : '') });
    };
    // The close event that follows says all that there is to know; some classes throw if nobody listens to this one.
    socket.onerror = () => {};
  }

  send(message: Outgoing): void {
    this.#socket.send(message);
  }

  close(): void {
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close(1000);
  }
}
