/**
 * The class `WebSocket` of the WebSockets Standard, with what npm `ws` adds to it: options, an EventEmitter's side,
 * `ping`, `pong`, `terminate`, `pause` and `resume`.
 */

import type { Blob as NodeBlob } from 'node:buffer';
import type { ClientRequest } from 'node:http';
import type { Duplex } from 'node:stream';
import { inspect } from 'node:util';
import { checkClose } from './close-code';
import { CONNECTING, type Connection, type Done, OPEN, STATES } from './connection';
import { type Emitter, makeEmitter } from './emitter';
import type { CloseEvent } from './events';
import { type EventHandler, EventHandlers } from './handlers';
import { toBufferSource } from './message-data';
import type { MessageEvent } from './message-event';
import type { ClientOptions } from './options';
import { StandardConnection } from './standard-connection';
import { standardPlan, standardSettings } from './standard-plan';
import {
  asInterface,
  requireArguments,
  toClampedUnsignedShort,
  toDOMString,
  toUSVString,
  typeError,
} from './webidl';

/** What can be sent. */
export type Sendable = string | ArrayBuffer | NodeJS.ArrayBufferView | NodeBlob;

/** How a message is sent: what npm `ws` adds to the standard's `send`. */
export interface SendOptions {
  /** Send text as a binary message, or bytes, which then have to be UTF-8, as a text message. */
  binary?: boolean | undefined;
  /** Compress the message, where permessage-deflate is in use and the message is long enough. */
  compress?: boolean | undefined;
  /** Accepted for the sake of `ws` and of no effect: who masks is no choice (RFC 6455 section 5.1). */
  mask?: boolean | undefined;
}

/** How a class that extends `WebSocket` makes its connections. */
export class Blueprint {
  constructor(readonly makeConnection: (socket: WebSocket) => Connection) {}
}

/** The connection of a socket, for the other files of this package. */
export let connectionOf: (socket: WebSocket) => Connection;

/** The events of a socket by their names. */
export interface WebSocketEventMap {
  open: Event;
  message: MessageEvent;
  error: Event;
  close: CloseEvent;
}

type Listener<Type extends keyof WebSocketEventMap> =
  | ((this: WebSocket, event: WebSocketEventMap[Type]) => unknown)
  | { handleEvent(event: WebSocketEventMap[Type]): unknown };

type ListenerOptions = Parameters<EventTarget['addEventListener']>[2];

export interface WebSocket extends Emitter {
  addEventListener<Type extends keyof WebSocketEventMap>(
    type: Type,
    listener: Listener<Type> | null,
    options?: ListenerOptions,
  ): void;
  addEventListener(...parameters: Parameters<EventTarget['addEventListener']>): void;
}

/**
 * A connection to a WebSocket server.
 *
 * ```js
 * const socket = new WebSocket('wss://host/path');
 * socket.onopen = () => socket.send('Good morning');
 * socket.onmessage = ({ data }) => console.log(data);
 * ```
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the emitter's methods are put on the prototype below.
export class WebSocket extends EventTarget {
  declare static readonly CONNECTING: 0;
  declare static readonly OPEN: 1;
  declare static readonly CLOSING: 2;
  declare static readonly CLOSED: 3;
  declare readonly CONNECTING: 0;
  declare readonly OPEN: 1;
  declare readonly CLOSING: 2;
  declare readonly CLOSED: 3;

  static {
    connectionOf = (socket) => socket.#own;
  }

  readonly #connection: Connection;
  #handlers: EventHandlers | undefined;

  /**
   * Begins to connect.
   *
   * `protocols` is one subprotocol, several, or the options.
   *
   * Throws a `SyntaxError` (a DOMException) where URL or subprotocols cannot be used.
   */
  constructor(
    url: string | URL,
    protocols?: string | Iterable<string> | ClientOptions,
    options?: ClientOptions,
  );
  constructor(url: unknown, protocols: unknown = undefined, options: unknown = undefined) {
    super();
    if (url instanceof Blueprint) {
      this.#connection = url.makeConnection(this);
      return;
    }
    requireArguments(arguments.length, 1, "construct 'WebSocket'");
    const address = toUSVString(url);
    const isSecondForm = isOptions(protocols);
    // Web IDL ignores arguments beyond those of the interface, so a third that is no object is none of ours.
    const told = isSecondForm ? protocols : isOptions(options) ? options : {};
    const plan = standardPlan('WebSocket', address, isSecondForm ? told.protocols : protocols, told);
    const connection = new StandardConnection(this, standardSettings(told));
    const finish = told.finishRequest as ((request: ClientRequest, socket: WebSocket) => void) | undefined;
    if (finish !== undefined) plan.finish = (request) => finish(request, this);
    this.#connection = connection;
    connection.open(plan);
  }

  /** The URL of the connection, resolved. */
  get url(): string {
    return this.#own.url;
  }

  /** `CONNECTING`, `OPEN`, `CLOSING` or `CLOSED`. */
  get readyState(): number {
    return this.#own.readyState;
  }

  /** Bytes that were given to `send` and did not leave yet. */
  get bufferedAmount(): number {
    return this.#own.bufferedAmount;
  }

  get onopen(): EventHandler {
    return this.#handler('open');
  }

  set onopen(value: ((this: WebSocket, event: Event) => unknown) | null) {
    this.#handle('open', value);
  }

  get onerror(): EventHandler {
    return this.#handler('error');
  }

  set onerror(value: ((this: WebSocket, event: Event) => unknown) | null) {
    this.#handle('error', value);
  }

  get onclose(): EventHandler {
    return this.#handler('close');
  }

  set onclose(value: ((this: WebSocket, event: CloseEvent) => unknown) | null) {
    this.#handle('close', value);
  }

  /** The extensions that the server chose. */
  get extensions(): string {
    return this.#own.extensions;
  }

  /** The subprotocol that the server chose. */
  get protocol(): string {
    return this.#own.protocol;
  }

  /**
   * Begins the closing handshake, with a code of 1000 or from 3000 to 4999 and a reason of at most 123 bytes, both
   * for the other side to see.
   */
  close(code?: number, reason?: string): void;
  close(code: unknown = undefined, reason: unknown = undefined): void {
    const connection = this.#own;
    const status = code === undefined ? undefined : toClampedUnsignedShort(code);
    const text = reason === undefined ? '' : toUSVString(reason);
    connection.close(checkClose("execute 'close' on 'WebSocket'", status, text), text);
  }

  get onmessage(): EventHandler {
    return this.#handler('message');
  }

  set onmessage(value: ((this: WebSocket, event: MessageEvent) => unknown) | null) {
    this.#handle('message', value);
  }

  /** What binary messages arrive as: `blob` or `arraybuffer`. */
  get binaryType(): string {
    return this.#own.binaryType;
  }

  set binaryType(type: string) {
    const connection = this.#own;
    const text = toDOMString(type);
    // A value that an enumeration does not have changes nothing (Web IDL, attribute setters).
    if (text !== 'blob' && text !== 'arraybuffer') return;
    connection.binaryType = text;
    if (connection instanceof StandardConnection) connection.isBinaryTypeChosen = true;
  }

  /** Sends a message: text as text, everything else as bytes. */
  send(data: Sendable, options?: SendOptions | Done, done?: Done): void;
  send(
    data: unknown,
    options: SendOptions | Done | undefined = undefined,
    done: Done | undefined = undefined,
  ): void {
    const connection = this.#own;
    requireArguments(arguments.length, 1, "execute 'send' on 'WebSocket'");
    const payload = toPayload(data);
    if (connection.readyState === CONNECTING) {
      throw new DOMException(
        "Failed to execute 'send' on 'WebSocket': the connection is not open yet; wait for the event 'open'.",
        'InvalidStateError',
      );
    }
    if (typeof options === 'function') deliver(connection, payload, undefined, options);
    else deliver(connection, payload, options, done);
  }

  override addEventListener(...parameters: Parameters<EventTarget['addEventListener']>): void {
    super.addEventListener(...parameters);
    if (#connection in this && this.#connection instanceof StandardConnection) {
      this.#connection.heard(`${parameters[0]}`);
    }
  }

  /** Sends a ping with at most 125 bytes; the answer is the event `pong` on the emitter's side. */
  ping(data?: unknown, mask?: unknown, done?: Done): void {
    this.#control('ping', data, mask, done);
  }

  /** Sends a pong that nobody asked for. */
  pong(data?: unknown, mask?: unknown, done?: Done): void {
    this.#control('pong', data, mask, done);
  }

  /** Ends the connection at once, without a closing handshake. */
  terminate(): void {
    this.#own.terminate();
  }

  /** Stops reading: what arrives waits in the network. */
  pause(): void {
    this.#own.pause();
  }

  /** Reads again. */
  resume(): void {
    this.#own.resume();
  }

  /** Whether reading is stopped. */
  get isPaused(): boolean {
    return this.#own.isPaused;
  }

  /** The stream below, for what it knows of addresses and certificates. */
  get _socket(): Duplex | null {
    return this.#own.stream ?? null;
  }

  [inspect.custom](_depth: number, options: object): string {
    if (!(#connection in this)) return 'WebSocket {}';
    const { url, protocol, extensions, binaryType } = this;
    const state = STATES[this.readyState];
    return `${this.constructor.name} ${inspect({ url, state, protocol, extensions, binaryType }, options)}`;
  }

  get #own(): Connection {
    if (!(#connection in this)) throw new TypeError('Illegal invocation: this is no WebSocket');
    return this.#connection;
  }

  #handler(type: string): EventHandler {
    return this.#own && (this.#handlers?.get(type) ?? null);
  }

  #handle(type: string, value: unknown): void {
    if (!(#connection in this)) throw new TypeError('Illegal invocation: this is no WebSocket');
    this.#handlers ??= new EventHandlers(this);
    this.#handlers.set(type, value);
  }

  #control(kind: 'ping' | 'pong', data: unknown, mask: unknown, done: Done | undefined): void {
    const connection = this.#own;
    const callback = [data, mask, done].find((value) => typeof value === 'function') as Done | undefined;
    const payload = typeof data === 'function' || data === undefined ? '' : toPayload(data);
    if (payload instanceof Blob)
      throw typeError(`execute '${kind}' on 'WebSocket'`, 'a Blob cannot be a payload.');
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
    if (bytes.length > 125) throw new RangeError('The data size must not be greater than 125 bytes');
    if (connection.readyState === CONNECTING) {
      throw new DOMException(
        `Failed to execute '${kind}' on 'WebSocket': the connection is not open yet.`,
        'InvalidStateError',
      );
    }
    if (connection.readyState === OPEN) connection.sendControl(kind, bytes, callback);
    else connection.refuse(bytes.length, callback);
  }
}

for (const [value, name] of STATES.entries()) {
  for (const target of [WebSocket, WebSocket.prototype]) {
    Object.defineProperty(target, name, { value, enumerable: true });
  }
}

asInterface(WebSocket, 'WebSocket', [
  'url',
  'readyState',
  'bufferedAmount',
  'onopen',
  'onerror',
  'onclose',
  'extensions',
  'protocol',
  'close',
  'onmessage',
  'binaryType',
  'send',
]);

makeEmitter<WebSocket>(WebSocket.prototype, (socket) => {
  const connection = connectionOf(socket);
  if (connection instanceof StandardConnection) connection.hold();
});

/** `(BufferSource or Blob or USVString)`. */
export function toPayload(data: unknown): string | Uint8Array | NodeBlob {
  if (typeof data === 'string') return data;
  return (
    toBufferSource(data, "execute 'send' on 'WebSocket'") ?? (data instanceof Blob ? data : toDOMString(data))
  );
}

/** Sends, or counts what is too late to be sent. */
function deliver(
  connection: Connection,
  payload: string | Uint8Array | NodeBlob,
  options: SendOptions | undefined,
  done: Done | undefined,
): void {
  const compress = options?.compress;
  const isText = !(options?.binary ?? typeof payload !== 'string');
  if (connection.readyState !== OPEN) {
    const bytes = payload instanceof Blob ? payload.size : Buffer.byteLength(payload);
    connection.refuse(bytes, done);
  } else if (payload instanceof Blob) connection.sendBlob(payload, !isText, compress, done);
  else if (isText)
    connection.sendText(typeof payload === 'string' ? payload : Buffer.from(payload), compress, done);
  else connection.sendBinary(typeof payload === 'string' ? Buffer.from(payload) : payload, compress, done);
}

function isOptions(value: unknown): value is ClientOptions {
  return typeof value === 'object' && value !== null && !(Symbol.iterator in value);
}
