/** The class `WebSocketStream`: a WebSocket as a pair of streams (WebSocketStream explainer). */

import { addAbortListener } from 'node:events';
import { inspect } from 'node:util';
import { checkClose } from './close-code';
import type { ClientOptions } from './options';
import { standardPlan, standardSettings } from './standard-plan';
import { type CloseReport, StreamConnection, type WebSocketOpenInfo } from './stream-connection';
import { asInterface, requireArguments, toDictionary, toSequence, toUSVString, typeError } from './webidl';
import { toCloseInfo, type WebSocketCloseInfo } from './websocket-error';

/** The explainer's options, and those of `WebSocket`. */
export interface WebSocketStreamOptions extends Omit<ClientOptions, 'protocols' | 'signal'> {
  /** Subprotocols, the preferred one first. */
  protocols?: Iterable<string> | undefined;
  /** Gives up the opening handshake. Once the connection is open it has no effect. */
  signal?: AbortSignal | undefined;
}

/**
 * A connection to a WebSocket server, with backpressure in both directions.
 *
 * ```js
 * const socket = new WebSocketStream('wss://host/path');
 * const { readable, writable } = await socket.opened;
 * const writer = writable.getWriter();
 * await writer.write('Good morning');
 * for await (const message of readable) console.log(message);
 * ```
 */
export class WebSocketStream {
  readonly #connection: StreamConnection;

  /** Begins to connect. Throws a `SyntaxError` (a DOMException) where URL or subprotocols cannot be used. */
  constructor(url: string | URL, options?: WebSocketStreamOptions);
  constructor(url: unknown, options: unknown = {}) {
    const where = "construct 'WebSocketStream'";
    requireArguments(arguments.length, 1, where);
    const address = toUSVString(url);
    const { protocols, signal, ...told } = toDictionary(options, where);
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw typeError(where, "the option 'signal' is not an AbortSignal.");
    }
    const names = protocols === undefined ? [] : toSequence(protocols, where);
    const plan = standardPlan('WebSocketStream', address, names, told);
    const connection = new StreamConnection(plan.url, standardSettings(told));
    this.#connection = connection;
    if (signal?.aborted) {
      connection.giveUp(signal.reason);
      return;
    }
    connection.open(plan);
    if (signal === undefined) return;
    const { [Symbol.dispose]: stopListening } = addAbortListener(signal, () =>
      connection.giveUp(signal.reason),
    );
    const { promise } = connection.whenOpened;
    promise.then(stopListening, stopListening);
  }

  /** The URL of the connection, resolved. */
  get url(): string {
    return this.#connection.url;
  }

  /** The streams, and what the opening handshake agreed on. Rejected with a `WebSocketError` if there will be none. */
  get opened(): Promise<WebSocketOpenInfo> {
    return this.#connection.whenOpened.promise;
  }

  /**
   * Code and reason of the server's Close frame. Rejected with a `WebSocketError` where the connection did not end
   * cleanly: without a Close frame, or with one while a message was being written.
   */
  get closed(): Promise<CloseReport> {
    return this.#connection.whenClosed.promise;
  }

  /**
   * Begins the closing handshake, with a code of 1000 or from 3000 to 4999 and a reason of at most 123 bytes. Messages
   * that arrive from here on are not read.
   */
  close(closeInfo?: WebSocketCloseInfo): void;
  close(closeInfo: unknown = {}): void {
    const connection = this.#connection;
    const where = "execute 'close' on 'WebSocketStream'";
    const { closeCode, reason } = toCloseInfo(closeInfo, where);
    connection.close(checkClose(where, closeCode, reason), reason);
  }

  [inspect.custom](_depth: number, options: object): string {
    return `WebSocketStream ${inspect({ url: this.url }, options)}`;
  }
}

asInterface(WebSocketStream, 'WebSocketStream', ['url', 'opened', 'closed', 'close']);
