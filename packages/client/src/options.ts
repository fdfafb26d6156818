/** The options of a client, with their defaults and the reasons for them. */

import { DEFAULT_QUEUE } from './publications.js';
import { DEFAULT_BACKOFF } from './reconnection.js';
import type { SessionOptions } from './session.js';
import type { TransportName } from './transport-choice.js';
import type { WebSocketClass } from './websocket-transport.js';

/** Where a token comes from; a function is called before each try to connect, and when the token ends soon. */
export type TokenSource = string | (() => string | undefined | Promise<string | undefined>);

export interface ClientOptions {
  token?: TokenSource | undefined;
  /** The class to make WebSockets of. Default: the global one; in Node 20 that is to be given. */
  WebSocket?: WebSocketClass | undefined;
  /** What to try, in this order. Default: `['websocket', 'sse']`. */
  transports?: readonly TransportName[] | undefined;
  /** Milliseconds; the longest delay before the first new try is twice this. Default: 250, as the protocol says. */
  baseDelay?: number | undefined;
  /** Milliseconds; the longest delay of all. Default: 20,000, as the protocol says. */
  maxDelay?: number | undefined;
  /** Milliseconds that each step to a connection may take. Default: 10,000, as the server waits for a handshake. */
  connectTimeout?: number | undefined;
  /** How many publications may wait for their acknowledgement. Default: 1,024. */
  maxQueued?: number | undefined;
  /** How many bytes, or characters of JSON, they may have together. Default: 4 MiB. */
  maxQueuedBytes?: number | undefined;
}

/** A connection that is not there within this time will not be. */
const CONNECT_TIMEOUT = 10_000;
const CHARACTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
/** 192 bits, which nobody guesses. */
const SESSION_LENGTH = 32;

/** The address as both kinds of URL; throws a `TypeError` for what is none. */
export function readUrl(url: string | URL): { webSocketUrl: string; httpUrl: string } {
  const { href, protocol } = new URL(url, globalThis.location?.href);
  if (!/^(ws|http)s?:$/.test(protocol)) throw new TypeError(`a URL with ws, wss, http or https, not ${href}`);
  const rest = href.replace(/^(ws|http)/, '').replace(/#.*$/, '');
  return { webSocketUrl: `ws${rest}`, httpUrl: `http${rest}` };
}

export function readOptions(options: ClientOptions): SessionOptions {
  const { token, transports = ['websocket', 'sse'], connectTimeout = CONNECT_TIMEOUT } = options;
  const { baseDelay = DEFAULT_BACKOFF.base, maxDelay = DEFAULT_BACKOFF.max } = options;
  const { maxQueued = DEFAULT_QUEUE.count, maxQueuedBytes = DEFAULT_QUEUE.bytes } = options;
  const isThere = (name: TransportName) => name !== 'websocket' || webSocketClass(options) !== undefined;
  const possible = transports.filter(isThere);
  if (possible.length === 0) {
    throw new TypeError('there is no global WebSocket: pass a class as the option WebSocket');
  }
  return {
    session: drawSession(),
    transports: possible,
    hasToken: token !== undefined,
    backoff: { ...DEFAULT_BACKOFF, base: baseDelay, max: maxDelay },
    connectTimeout,
    queue: { count: maxQueued, bytes: maxQueuedBytes },
  };
}

export function webSocketClass({ WebSocket }: ClientOptions): WebSocketClass | undefined {
  return WebSocket ?? (globalThis as { WebSocket?: WebSocketClass }).WebSocket;
}

function drawSession(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(SESSION_LENGTH));
  return Array.from(bytes, (byte) => CHARACTERS[byte % CHARACTERS.length]).join('');
}
