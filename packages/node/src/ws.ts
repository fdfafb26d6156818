/**
 * The socket as npm `ws` has it: the same class with the defaults, the leniency and the events of `ws` 8, so that
 * programs written for `ws` run unchanged. It is what `require('vaiven')` itself gives.
 */

import type { ClientRequest } from 'node:http';
import { types } from 'node:util';
import { CONNECTING, type Connection, type ConnectionSettings, type Done, OPEN } from './connection';
import { viewOf } from './message-data';
import type { Opened } from './opening';
import { type ClientOptions, keepaliveFrom, type Limits, looseLimits } from './options';
import { parseProxy } from './proxy';
import { Sender } from './sender';
import { type ServerOptions, serverSettings } from './server-options';
import { checkSubprotocols } from './subprotocols';
import { parseLooseURL } from './url';
import { Blueprint, connectionOf, type Sendable, WebSocket } from './websocket';
import { type Host, WsConnection } from './ws-connection';
import {
  type AnyListener,
  addListener,
  dispatch,
  handlerOf,
  removeListener,
  setHandler,
} from './ws-listeners';

/** What a message can be made of, beside what the standard's `send` takes. */
export type WsSendable = Sendable | number | readonly number[] | { valueOf(): string | object };

type EventOptions = Pick<ClientOptions, 'allowSynchronousEvents'>;

/** How a message is sent. */
export interface WsSendOptions {
  binary?: boolean | undefined;
  /** False: never. `always`: also where the message is shorter than the threshold. */
  compress?: boolean | 'always' | undefined;
  /** False where more of the message follows. */
  fin?: boolean | undefined;
  /** Of no effect: who masks is no choice (RFC 6455 section 5.1). */
  mask?: boolean | undefined;
}

const NO_LISTENERS = new Map();
const LISTENER_MAPS = mapsOf(new EventTarget());

/** The properties in which an object keeps maps. */
function mapsOf(object: object): symbol[] {
  return Object.getOwnPropertySymbols(object).filter((symbol) => types.isMap(Reflect.get(object, symbol)));
}

/** A socket with the manners of npm `ws`. */
export class WsWebSocket extends WebSocket {
  #sender: Sender | undefined;

  /** Connects to the address; `null` makes the socket of a server, which `accept` gives its connection. */
  constructor(address: null, protocols: undefined, options?: ServerOptions);
  constructor(address: string | URL, options?: ClientOptions);
  constructor(address: string | URL, protocols?: string | readonly string[], options?: ClientOptions);
  constructor(
    address: string | URL | null,
    protocols?: string | readonly string[] | ClientOptions,
    options?: ClientOptions | ServerOptions,
  ) {
    const isSecondForm = typeof protocols === 'object' && protocols !== null && !Array.isArray(protocols);
    const told = ((isSecondForm ? protocols : options) ?? {}) as ClientOptions;
    const settings = address === null ? sharedSettings(told as ServerOptions) : settingsFrom(told);
    super(blueprintOf(settings, told) as never);
    // What an EventTarget has for its listeners, which are the emitter's here, is half of an idle socket's memory.
    for (const symbol of LISTENER_MAPS) Reflect.set(this, symbol, NO_LISTENERS);
    if (address === null) return;
    const names =
      isSecondForm || protocols === undefined ? told.protocols : (protocols as string | readonly string[]);
    this.#open(
      address,
      names === undefined ? [] : Array.isArray(names) ? names : [names],
      told,
      settings.limits,
    );
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

  /**
   * Sends a message. False, and an error to the callback: it was not sent, because the connection is not open any more
   * or too much waits already.
   */
  override send(data: WsSendable, options?: WsSendOptions | Done, callback?: Done): boolean;
  override send(data: unknown, options?: WsSendOptions | Done, callback?: Done): boolean {
    const connection = connectionOf(this);
    const told = typeof options === 'function' ? {} : (options ?? {});
    const done = typeof options === 'function' ? options : callback;
    if (!isOpen(connection, data, done)) return false;
    if (connection.isBounded && !connection.admit(sizeOf(data), done)) return false;
    const compress = manner(told.compress);
    const isText = told.binary === undefined ? isTextual(data) : !told.binary;
    if (data instanceof Blob) connection.sendBlob(data, !isText, compress, done);
    else if (told.fin === false)
      connection.sendFragment(typeof data === 'string' ? data : bytesOf(data), isText, done);
    else if (isText) connection.sendText(typeof data === 'string' ? data : bytesOf(data), compress, done);
    else connection.sendBinary(bytesOf(data), compress, done);
    return true;
  }

  /** Has the server's `publish` for this topic sent to this socket. */
  subscribe(topic: string): void {
    hostOf(this).topics.subscribe(topic, connectionOf(this) as WsConnection);
  }

  /** The reverse of `subscribe`; the end of the connection does it by itself. */
  unsubscribe(topic: string): void {
    hostOf(this).topics.unsubscribe(topic, connectionOf(this) as WsConnection);
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

/**
 * The socket of a server, of the class that its options name. One that extends the class of the standard gets the
 * events of `ws` all the same.
 */
export function makeSocket(options: ServerOptions): WsWebSocket {
  const Class = options.WebSocket ?? WsWebSocket;
  if (Class === WsWebSocket || Class.prototype instanceof WsWebSocket) {
    return new (Class as typeof WsWebSocket)(null, undefined, options);
  }
  const blueprint = blueprintOf(sharedSettings(options), options);
  return new Class(blueprint as never) as WsWebSocket;
}

function blueprintOf(
  settings: ConnectionSettings,
  { allowSynchronousEvents = true }: EventOptions,
): Blueprint {
  return new Blueprint((socket) => new WsConnection(socket, settings, allowSynchronousEvents));
}

/** Gives a server's socket the stream on which its opening handshake was accepted. */
export function accept(socket: WsWebSocket, server: Host, opened: Opened): void {
  const connection = connectionOf(socket) as WsConnection;
  connection.host = server;
  connection.adopt('server', opened);
}

function settingsFrom(options: ClientOptions): ConnectionSettings {
  return {
    limits: looseLimits(options),
    autoPong: options.autoPong ?? true,
    keepalive: keepaliveFrom(options),
  };
}

const settingsOfServers = new WeakMap<ServerOptions, ConnectionSettings>();

/** The settings of a server's sockets: the same object for all of them. */
function sharedSettings(options: ServerOptions): ConnectionSettings {
  const shared = settingsOfServers.get(options) ?? serverSettings(options);
  settingsOfServers.set(options, shared);
  return shared;
}

/** Throws too early; counts what is too late. */
function isOpen(connection: Connection, data: unknown, done: Done | undefined): boolean {
  if (connection.readyState === OPEN) return true;
  if (connection.readyState === CONNECTING)
    throw new Error('WebSocket is not open: readyState 0 (CONNECTING)');
  connection.refuse(data instanceof Blob ? data.size : bytesOf(data).length, done);
  return false;
}

function hostOf(socket: WsWebSocket): Host {
  const { host } = connectionOf(socket) as WsConnection;
  if (host === undefined) throw new Error('topics are for the sockets of a server');
  return host;
}

/** Whether to compress: what is worth it is said by the threshold, unless the message says `always`. */
export function manner(compress: boolean | 'always' | undefined): boolean | undefined {
  return compress === 'always' ? true : compress === false ? false : undefined;
}

function sizeOf(data: unknown): number {
  if (data instanceof Blob) return data.size;
  return typeof data === 'string' ? Buffer.byteLength(data) : bytesOf(data).length;
}

export function isTextual(data: unknown): boolean {
  return typeof data === 'string' || typeof data === 'number';
}

/** The bytes of whatever `ws` sends; what is empty in any way is the empty message. */
export function bytesOf(data: unknown): Uint8Array {
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
