/**
 * The socket as npm `ws` has it: the same class with the defaults, the leniency and the events of `ws` 8, so that
 * programs written for `ws` run unchanged. It is what `require('vaiven')` itself gives.
 */

import type { ClientRequest } from 'node:http';
import { CONNECTING, type Connection, type Done, OPEN } from './connection';
import { viewOf } from './message-data';
import type { Opened } from './opening';
import { type ClientOptions, type Limits, limitsFrom } from './options';
import { parseProxy } from './proxy';
import { Sender } from './sender';
import { checkSubprotocols } from './subprotocols';
import { parseLooseURL } from './url';
import { Blueprint, connectionOf, type Sendable, WebSocket } from './websocket';
import { WsConnection } from './ws-connection';
import {
  type AnyListener,
  addListener,
  dispatch,
  handlerOf,
  removeListener,
  setHandler,
} from './ws-listeners';

const LIMITS: Limits = {
  handshakeTimeout: undefined,
  closeTimeout: 30_000,
  maxPayload: 100 * 1024 * 1024,
  maxFragments: 16 * 1024,
};

/** What a message can be made of, beside what the standard's `send` takes. */
export type WsSendable = Sendable | number | readonly number[] | { valueOf(): string | object };

/** How a message is sent. */
export interface WsSendOptions {
  binary?: boolean | undefined;
  compress?: boolean | undefined;
  /** False where more of the message follows. */
  fin?: boolean | undefined;
  /** Of no effect: who masks is no choice (RFC 6455 section 5.1). */
  mask?: boolean | undefined;
}

/** What a server makes its sockets with. */
export type ServerSocketOptions = Pick<
  ClientOptions,
  'allowSynchronousEvents' | 'autoPong' | 'closeTimeout' | 'maxFragments' | 'maxPayload'
>;

/** A socket with the manners of npm `ws`. */
export class WsWebSocket extends WebSocket {
  #sender: Sender | undefined;

  /** Connects to the address; `null` makes the socket of a server, which `accept` gives its connection. */
  constructor(address: null, protocols: undefined, options?: ServerSocketOptions);
  constructor(address: string | URL, options?: ClientOptions);
  constructor(address: string | URL, protocols?: string | readonly string[], options?: ClientOptions);
  constructor(
    address: string | URL | null,
    protocols?: string | readonly string[] | ClientOptions,
    options?: ClientOptions,
  ) {
    const isSecondForm = typeof protocols === 'object' && protocols !== null && !Array.isArray(protocols);
    const told = ((isSecondForm ? protocols : options) ?? {}) as ClientOptions;
    const limits = limitsFrom(bounded(told), LIMITS);
    const settings = { limits, autoPong: told.autoPong ?? true };
    super(
      new Blueprint(
        (socket) => new WsConnection(socket, settings, told.allowSynchronousEvents ?? true),
      ) as never,
    );
    if (address === null) return;
    const names =
      isSecondForm || protocols === undefined ? told.protocols : (protocols as string | readonly string[]);
    this.#open(address, names === undefined ? [] : Array.isArray(names) ? names : [names], told, limits);
  }

  #open(address: string | URL, protocols: readonly unknown[], options: ClientOptions, limits: Limits): void {
    const { finishRequest, origin, protocolVersion = 13, proxy } = options;
    if (protocolVersion !== 8 && protocolVersion !== 13) {
      throw new RangeError(`Unsupported protocol version: ${protocolVersion} (supported versions: 8, 13)`);
    }
    const url = parseLooseURL(address);
    checkSubprotocols(protocols);
    const finish = finishRequest as ((request: ClientRequest, socket: WebSocket) => void) | undefined;
    connectionOf(this).open({
      url,
      protocols,
      options,
      timeout: limits.handshakeTimeout,
      origin,
      proxy: proxy ? parseProxy(proxy) : undefined,
      isStandard: false,
      finish: finish === undefined ? undefined : (request) => finish(request, this),
    });
  }

  override get binaryType(): string {
    return connectionOf(this).binaryType;
  }

  override set binaryType(type: string) {
    if (['nodebuffer', 'arraybuffer', 'blob', 'fragments'].includes(type))
      connectionOf(this).binaryType = type;
  }

  /** The names of the extensions in use. */
  override get extensions(): string {
    const names = super.extensions.split(',').map((extension) => extension.split(';', 1)[0]?.trim());
    return names.join();
  }

  override send(data: WsSendable, options?: WsSendOptions | Done, callback?: Done): void;
  override send(data: unknown, options?: WsSendOptions | Done, callback?: Done): void {
    const connection = connectionOf(this);
    const told = typeof options === 'function' ? {} : (options ?? {});
    const done = typeof options === 'function' ? options : callback;
    if (!isOpen(connection, data, done)) return;
    // Only "no" is a choice: what is worth compressing is said by the threshold.
    const compress = told.compress === false ? false : undefined;
    const isText = told.binary === undefined ? isTextual(data) : !told.binary;
    if (data instanceof Blob) connection.sendBlob(data, !isText, compress, done);
    else if (told.fin === false)
      connection.sendFragment(typeof data === 'string' ? data : bytesOf(data), isText, done);
    else if (isText) connection.sendText(typeof data === 'string' ? data : bytesOf(data), compress, done);
    else connection.sendBinary(bytesOf(data), compress, done);
  }

  /** Begins the closing handshake. */
  override close(code?: number, reason?: string | Uint8Array): void {
    const connection = connectionOf(this);
    if (connection.readyState === OPEN) {
      const text =
        typeof reason === 'string' ? reason : reason === undefined ? '' : Buffer.from(reason).toString();
      if (code !== undefined && !isSendable(code)) {
        throw new TypeError('First argument must be a valid error code number');
      }
      if (Buffer.byteLength(text) > 123)
        throw new RangeError('The message must not be greater than 123 bytes');
      connection.close(code, code === undefined ? '' : text);
    } else connection.close();
  }

  override ping(data?: unknown, mask?: unknown, callback?: Done): void {
    control(connectionOf(this), 'ping', data, mask, callback);
  }

  override pong(data?: unknown, mask?: unknown, callback?: Done): void {
    control(connectionOf(this), 'pong', data, mask, callback);
  }

  /** The request of the opening handshake, while there is one. */
  get _req(): ClientRequest | null {
    return connectionOf(this).request ?? null;
  }

  /** Sends frames that `Sender.frame` made. */
  get _sender(): Sender {
    this.#sender ??= new Sender(connectionOf(this));
    return this.#sender;
  }
}

// Listeners and handlers for events are listeners of the emitter here; in types they are what they were.
const { prototype } = WsWebSocket;
define('addEventListener', {
  value(this: WsWebSocket, type: string, listener: AnyListener, options?: { once?: boolean } | boolean) {
    addListener(this, type, listener, typeof options === 'object' && options?.once === true);
  },
});
define('removeEventListener', {
  value(this: WsWebSocket, type: string, listener: AnyListener) {
    removeListener(this, type, listener);
  },
});
define('dispatchEvent', {
  value(this: WsWebSocket, event: Event) {
    return dispatch(this, event);
  },
});
for (const type of ['open', 'message', 'error', 'close']) {
  define(`on${type}`, {
    get(this: WsWebSocket) {
      return handlerOf(this, type);
    },
    set(this: WsWebSocket, value: unknown) {
      setHandler(this, type, value);
    },
  });
}
Object.defineProperty(WsWebSocket, 'name', { value: 'WebSocket' });

function define(name: string, property: PropertyDescriptor): void {
  Object.defineProperty(prototype, name, { ...property, configurable: true, enumerable: true });
}

/** Gives a server's socket the stream on which its opening handshake was accepted. */
export function accept(socket: WsWebSocket, opened: Opened): void {
  connectionOf(socket).adopt('server', opened);
}

/** Where `ws` has no limit, the largest that there is. */
function bounded(options: ClientOptions): ClientOptions {
  const limit = (value: number | undefined) => (value === 0 ? 2 ** 31 - 1 : value);
  return { ...options, maxPayload: limit(options.maxPayload), maxFragments: limit(options.maxFragments) };
}

/** Throws too early; counts what is too late. */
function isOpen(connection: Connection, data: unknown, done: Done | undefined): boolean {
  if (connection.readyState === OPEN) return true;
  if (connection.readyState === CONNECTING)
    throw new Error('WebSocket is not open: readyState 0 (CONNECTING)');
  connection.refuse(data instanceof Blob ? data.size : bytesOf(data).length, done);
  return false;
}

function isTextual(data: unknown): boolean {
  return typeof data === 'string' || typeof data === 'number';
}

/** The bytes of whatever `ws` sends; what is empty in any way is the empty message. */
function bytesOf(data: unknown): Uint8Array {
  if (typeof data === 'number') return Buffer.from(String(data));
  return viewOf(data) ?? Buffer.from((data || '') as string);
}

function control(
  connection: Connection,
  kind: 'ping' | 'pong',
  data: unknown,
  mask: unknown,
  done?: Done,
): void {
  const callback = [data, mask, done].find((value) => typeof value === 'function') as Done | undefined;
  const payload = typeof data === 'function' ? undefined : data;
  if (!isOpen(connection, payload, callback)) return;
  const size = payload instanceof Blob ? payload.size : bytesOf(payload).length;
  if (size > 125) throw new RangeError('The data size must not be greater than 125 bytes');
  if (payload instanceof Blob) {
    payload
      .arrayBuffer()
      .then((buffer) => connection.sendControl(kind, new Uint8Array(buffer), callback), callback);
  } else connection.sendControl(kind, bytesOf(payload), callback);
}

/** Codes that may stand in a Close frame (RFC 6455 section 7.4). */
function isSendable(code: unknown): boolean {
  if (typeof code !== 'number') return false;
  return (
    (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999)
  );
}
