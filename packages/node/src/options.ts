/**
 * What a client can be told beside URL and subprotocols: those options of `ws` that have a meaning here, Node's own
 * for the connection, and ours.
 */

import type * as http from 'node:http';
import type * as https from 'node:https';

/** permessage-deflate (RFC 7692), by the names of `ws`. */
export interface DeflateOptions {
  /** Ask the server to compress every message on its own. */
  serverNoContextTakeover?: boolean;
  /** Compress every message on its own. */
  clientNoContextTakeover?: boolean;
  /** How far back the server's messages may refer, as a power of two from 8 to 15. */
  serverMaxWindowBits?: number;
  /** The same for the client's messages; `true` leaves it to the server. */
  clientMaxWindowBits?: boolean | number;
  /** Messages shorter than this, in bytes, go uncompressed. 1,024 unless told. */
  threshold?: number;
  /** Only `level` counts, 1 (fast) to 9 (small). */
  zlibDeflateOptions?: { level?: number };
}

/** Options of TLS, as `tls.connect` documents them. */
export type TlsOptions = Pick<
  https.RequestOptions,
  | 'ca'
  | 'cert'
  | 'checkServerIdentity'
  | 'ciphers'
  | 'crl'
  | 'ecdhCurve'
  | 'key'
  | 'maxVersion'
  | 'minVersion'
  | 'passphrase'
  | 'pfx'
  | 'rejectUnauthorized'
  | 'servername'
  | 'sigalgs'
>;

/** The options of a client. Whatever `https.request` takes beside these goes to it. */
export interface ClientOptions
  extends Omit<https.RequestOptions, 'protocol' | 'headers' | 'method' | 'timeout'> {
  /** Subprotocols, where the second argument is the options. */
  protocols?: string | readonly string[] | undefined;
  /** Further fields of the request. */
  headers?: http.OutgoingHttpHeaders | undefined;
  /** The field `Origin`. Without it, the origin of the base URL, if there is one. */
  origin?: string | undefined;
  /** Milliseconds for the opening handshake: 30,000, and none in the face of `ws`. */
  handshakeTimeout?: number | undefined;
  /** Milliseconds from the Close frame to the end of the connection: 5,000, and 30,000 in the face of `ws`. */
  closeTimeout?: number | undefined;
  /** The longest message in bytes: 128 MiB, and 100 MiB in the face of `ws`. */
  maxPayload?: number | undefined;
  /** The most fragments of a message: any number, and 16,384 in the face of `ws`. */
  maxFragments?: number | undefined;
  /** Offer permessage-deflate; true unless told. */
  perMessageDeflate?: boolean | DeflateOptions | undefined;
  /** A proxy: `http:`, `https:` or `socks5:`; `false` for none. Without it the environment is asked, but not in the face of `ws`. */
  proxy?: string | URL | false | undefined;
  /** Answer pings; true unless told. */
  autoPong?: boolean | undefined;
  /**
   * When to ask a silent server whether it is still there: after `interval` milliseconds without a byte from it a ping
   * is sent, and after `timeout` more the connection is given up with code 1006. Both are counted in whole seconds at
   * best. Never unless told.
   */
  keepalive?: Keepalive | undefined;
  /** Accepted for the sake of `ws` and of no effect: validation costs next to nothing here. */
  skipUTF8Validation?: boolean | undefined;
  /** Emit several messages before microtasks run; true in the face of `ws`, of no effect on events. */
  allowSynchronousEvents?: boolean | undefined;
  /** Follow redirects; false unless told. Only in the face of `ws`. */
  followRedirects?: boolean | undefined;
  /** The most redirects that are followed: 10. */
  maxRedirects?: number | undefined;
  /** Called with each request; calls `request.end()` itself. */
  finishRequest?: ((request: http.ClientRequest, socket: never) => void) | undefined;
  /** 13; the 8 of a draft differs from it only in the name of the field for the origin. */
  protocolVersion?: 8 | 13 | undefined;
}

/** Milliseconds of silence before a ping, and then before the peer counts as dead. */
export interface Keepalive {
  interval: number;
  timeout: number;
}

/** The longest time that Node's timers take, and the longest message that the native core takes. */
const MAX_INTEGER = 2 ** 31 - 1;

/** What bounds a connection, all of it told. */
export interface Limits {
  handshakeTimeout: number | undefined;
  closeTimeout: number;
  maxPayload: number;
  maxFragments: number;
}

export const STANDARD_LIMITS: Limits = {
  handshakeTimeout: 30_000,
  closeTimeout: 5_000,
  maxPayload: 128 * 1024 * 1024,
  // A message lies in one buffer, whatever it came in, so that its length is all that has to be bounded.
  maxFragments: 2 ** 31 - 1,
};

/** The limits told in the options, else the defaults. Zero is an error: it would have to mean "without limit". */
export function limitsFrom(
  options: Partial<Record<keyof Limits, number | undefined>>,
  defaults: Limits,
): Limits {
  const told = (name: keyof Limits, max: number) =>
    options[name] === undefined ? defaults[name] : checkInteger(name, options[name], max);
  return {
    handshakeTimeout: told('handshakeTimeout', MAX_INTEGER),
    closeTimeout: told('closeTimeout', MAX_INTEGER) as number,
    maxPayload: told('maxPayload', MAX_INTEGER) as number,
    maxFragments: told('maxFragments', MAX_INTEGER) as number,
  };
}

const WS_LIMITS: Limits = {
  handshakeTimeout: undefined,
  closeTimeout: 30_000,
  maxPayload: 100 * 1024 * 1024,
  maxFragments: 16 * 1024,
};

/** The limits in the face of `ws`, where zero asks for the largest that there is. */
export function looseLimits(options: Partial<Record<keyof Limits, number | undefined>>): Limits {
  const limit = (value: number | undefined) => (value === 0 ? MAX_INTEGER : value);
  const { maxPayload, maxFragments } = options;
  return limitsFrom(
    { ...options, maxPayload: limit(maxPayload), maxFragments: limit(maxFragments) },
    WS_LIMITS,
  );
}

/** The keepalive that the options tell, checked. */
export function keepaliveFrom({ keepalive }: ClientOptions): Keepalive | undefined {
  return (
    keepalive && {
      interval: checkInteger('keepalive.interval', keepalive.interval, MAX_INTEGER),
      timeout: checkInteger('keepalive.timeout', keepalive.timeout, MAX_INTEGER),
    }
  );
}

function checkInteger(name: string, value: unknown, max: number): number {
  if (Number.isSafeInteger(value) && (value as number) > 0 && (value as number) <= max)
    return value as number;
  throw new RangeError(`the option '${name}' is ${value}; it must be an integer from 1 to ${max}`);
}
