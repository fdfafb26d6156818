/** The options of a server: those of npm `ws`, and what `ws` lacks. */

import type * as http from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { BufferPolicy, ConnectionSettings } from './connection';
import { checkOrigin } from './handshake';
import { type DeflateOptions, looseLimits } from './options';
import type { Rate } from './rate';
import type { WebSocket } from './websocket';
import type { WsWebSocket } from './ws';

/** What `verifyClient` judges by. */
export interface ClientInfo {
  origin: string | undefined;
  secure: boolean;
  req: http.IncomingMessage;
}

/** What the second form of `verifyClient` calls back with. */
export type Verdict = (
  isAccepted: boolean,
  status?: number,
  message?: string,
  headers?: http.OutgoingHttpHeaders,
) => void;

export type VerifyClient = ((info: ClientInfo) => boolean) | ((info: ClientInfo, callback: Verdict) => void);

/** Whose pages may connect. In a list, `same-origin`, `absent` (no page at all) and `null` stand for themselves. */
export type Origins = '*' | 'same-origin' | readonly string[];

export interface ServerOptions {
  /** Listen on this port with an HTTP server of its own; 0 for a free one. */
  port?: number | undefined;
  host?: string | undefined;
  backlog?: number | undefined;
  /** Serve the upgrades of this HTTP or HTTPS server. */
  server?: (http.Server & { requestTimeout?: number }) | undefined;
  /** Serve only what `handleUpgrade` is given. */
  noServer?: boolean | undefined;
  /** Serve this path alone; others get 404. */
  path?: string | undefined;
  /** Keep the set `clients`; true unless told. */
  clientTracking?: boolean | undefined;
  /** Chooses among the offered subprotocols; without it the first is taken. */
  handleProtocols?: ((protocols: Set<string>, request: http.IncomingMessage) => string | false) | undefined;
  verifyClient?: VerifyClient | undefined;
  /** The class of the sockets: one that extends the package's. */
  WebSocket?: typeof WsWebSocket | typeof WebSocket | undefined;
  /** permessage-deflate: off unless told; `true` is frugal, an object is as `ws` has it. */
  perMessageDeflate?: boolean | DeflateOptions | undefined;
  /** The longest message in bytes: 100 MiB unless told. */
  maxPayload?: number | undefined;
  /** The most fragments of a message: 16,384 unless told. */
  maxFragments?: number | undefined;
  /** Accepted for the sake of `ws` and of no effect: a message lies in one buffer, which `maxPayload` bounds. */
  maxBufferedChunks?: number | undefined;
  /** Accepted for the sake of `ws` and of no effect: validation costs next to nothing here. */
  skipUTF8Validation?: boolean | undefined;
  allowSynchronousEvents?: boolean | undefined;
  autoPong?: boolean | undefined;
  /** Milliseconds from a Close frame to the end of the connection: 30,000 unless told. */
  closeTimeout?: number | undefined;

  /** Whose pages may connect: everybody's unless told, as with `ws`; others get 403. */
  origins?: Origins | undefined;
  /** Milliseconds of silence before a ping (25,000), and then before the peer counts as dead (10,000). */
  keepalive?: false | { interval?: number; timeout?: number } | undefined;
  /** The most payload bytes that may wait in a connection; without limit unless told, as with `ws`. */
  maxBufferedAmount?: number | undefined;
  /** The most messages of a connection in a second, on average: a faster peer is ended with 1008. No limit unless told. */
  messageRate?: number | undefined;
  /** How many may come at once; twice the rate unless told. */
  messageBurst?: number | undefined;
  /** `close`, unless told: end the connection with 1013. `drop`: refuse the message, and say so. */
  bufferPolicy?: BufferPolicy | undefined;
}

const KEEPALIVE = { interval: 25_000, timeout: 10_000 };
/** The longest time that Node's timers take. */
const MAX_TIME = 2 ** 31 - 1;

/** More than any connection brings. */
const MAX_RATE = 1_000_000_000;

/** What `perMessageDeflate: true` means: little memory for each connection, and nothing shared between messages. */
const FRUGAL_DEFLATE: DeflateOptions = {
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  serverMaxWindowBits: 12,
  clientMaxWindowBits: 12,
};

/** Exactly one way to get requests. */
export function checkSource({ port, server, noServer }: ServerOptions): void {
  const told = [port !== undefined && port !== null, Boolean(server), Boolean(noServer)];
  if (told.filter(Boolean).length !== 1) {
    throw new TypeError('One and only one of the "port", "server", or "noServer" options must be specified');
  }
}

/** How the sockets of a server behave. */
export function serverSettings(options: ServerOptions): ConnectionSettings {
  const { autoPong = true, bufferPolicy = 'close', maxBufferedAmount } = options;
  if (bufferPolicy !== 'close' && bufferPolicy !== 'drop') {
    throw new TypeError(`the option 'bufferPolicy' is '${bufferPolicy}'; it must be 'close' or 'drop'`);
  }
  return {
    limits: looseLimits(options),
    autoPong,
    keepalive: keepaliveFrom(options.keepalive),
    ...(maxBufferedAmount === undefined
      ? {}
      : { maxBufferedAmount: whole('maxBufferedAmount', maxBufferedAmount, Number.MAX_SAFE_INTEGER) }),
    bufferPolicy,
    messageRate: rateFrom(options),
  };
}

function rateFrom({ messageRate, messageBurst }: ServerOptions): Rate | undefined {
  if (messageRate === undefined) {
    if (messageBurst === undefined) return undefined;
    throw new TypeError("the option 'messageBurst' has no meaning without 'messageRate'");
  }
  const perSecond = whole('messageRate', messageRate, MAX_RATE);
  return { perSecond, burst: whole('messageBurst', messageBurst ?? 2 * perSecond, 2 * MAX_RATE) };
}

/** The options of permessage-deflate, or false. */
export function deflateFrom({ perMessageDeflate = false }: ServerOptions): false | DeflateOptions {
  return perMessageDeflate === true ? FRUGAL_DEFLATE : perMessageDeflate;
}

/** The origins whose pages may connect; undefined for everybody. Throws where one of them is none. */
export function originsFrom({ origins }: ServerOptions): readonly string[] | undefined {
  if (origins === undefined || origins === '*') return undefined;
  if (origins === 'same-origin') return ['same-origin'];
  if (!Array.isArray(origins) || !origins.every((one) => typeof one === 'string')) {
    throw new TypeError(
      "the option 'origins' must be '*', 'same-origin' or a list such as ['https://app.example']",
    );
  }
  checkOrigin(origins, null, 'host', false);
  return [...origins];
}

function keepaliveFrom(keepalive: ServerOptions['keepalive']): ConnectionSettings['keepalive'] {
  if (keepalive === false) return undefined;
  const { interval = KEEPALIVE.interval, timeout = KEEPALIVE.timeout } = keepalive ?? {};
  return {
    interval: whole('keepalive.interval', interval, MAX_TIME),
    timeout: whole('keepalive.timeout', timeout, MAX_TIME),
  };
}

function whole(name: string, value: number, max: number): number {
  if (Number.isSafeInteger(value) && value > 0 && value <= max) return value;
  throw new RangeError(`the option '${name}' is ${value}; it must be an integer from 1 to ${max}`);
}

/** The stream of a request that wants to upgrade: a socket of Node's, or whatever else carries bytes. */
export type UpgradeSocket = Duplex & Partial<Pick<Socket, 'setTimeout' | 'setNoDelay'>>;
