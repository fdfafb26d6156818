/**
 * The opening handshake (RFC 6455 section 4, RFC 7692 section 7.1): what the classes ask of it.
 *
 * Every rule is the native core's, so that it answers as the Rust crates do; what Node's HTTP has parsed comes in. Raw
 * headers are Node's `rawHeaders`: names and values in turn.
 */

import type { Deflate } from './link';
import { native } from './native';

/** What this side wants of compression. */
export interface DeflateConfig {
  /** Whether the server shall compress every message on its own. */
  serverNoContextTakeover: boolean;
  /** Whether the client shall compress every message on its own. */
  clientNoContextTakeover: boolean;
  /** How far back the server's messages may refer: 8 to 15. */
  serverMaxWindowBits: number;
  /** How far back the client's messages may refer: 8 to 15, or 0 for a client that does not offer to be asked. */
  clientMaxWindowBits: number;
  /** zlib's level, 1 (fast) to 9 (small). */
  level: number;
  /** Messages shorter than this many bytes go uncompressed. */
  threshold: number;
}

/** An answer other than 101; every refusal closes the connection. */
export interface Refusal {
  /** 400 to 599. */
  status: number;
  /** A short, stable name for logs and metrics. */
  code: string;
  /** What is wrong and what to do, for whoever reads the body. */
  message: string;
  /** Header fields, names and values in turn. */
  headers: string[];
}

/** A request that is a right opening handshake. */
export interface Upgrade {
  refusal?: undefined;
  /** The value of Sec-WebSocket-Accept. */
  accept: string;
  host: string;
  origin: string | null;
  subprotocols: string[];
  /** All offers of extensions, as one list; null where there are none. */
  extensions: string | null;
}

/** What a 101 agreed to. */
export interface Agreement {
  error?: undefined;
  /** Empty where the server chose none. */
  subprotocol: string;
  /** The server's Sec-WebSocket-Extensions; empty where it has none. */
  extensions: string;
  deflate: Deflate | null;
}

/** Why a 101 fails the connection; the name is a variant of `vaiven_proto::handshake::HandshakeError`. */
export interface HandshakeError {
  name:
    | 'Upgrade'
    | 'Connection'
    | 'MissingAccept'
    | 'RepeatedAccept'
    | 'WrongAccept'
    | 'UnofferedSubprotocol'
    | 'MalformedExtensions'
    | 'UnofferedExtension'
    | 'RepeatedExtension'
    | 'InvalidExtension'
    | 'Head';
  message: string;
}

/** Judges a request, as a server must before it answers 101. */
export function checkUpgrade(
  method: string,
  httpVersion: string,
  rawHeaders: readonly string[],
): Upgrade | { refusal: Refusal } {
  return native.checkUpgrade(method, httpVersion, rawHeaders);
}

/**
 * Judges where a request comes from: null where it may go on. In `allowed`, `same-origin` stands for pages of the very
 * host, `absent` for requests without an Origin, `null` for what sandboxed frames send, and `*` for every page.
 *
 * @throws where an allowed origin is none.
 */
export function checkOrigin(
  allowed: readonly string[],
  origin: string | null,
  host: string,
  isSecure: boolean,
): Refusal | null {
  return native.checkOrigin(allowed, origin, host, isSecure);
}

/** The element that a client puts into Sec-WebSocket-Extensions. */
export function offerDeflate(config: DeflateConfig): string {
  return native.offerDeflate(config);
}

/** A server's choice among the offers of a request, with the element of its answer; null: without compression. */
export function acceptDeflate(
  config: DeflateConfig,
  extensions: string,
): { agreed: Deflate; answer: string } | null {
  return native.acceptDeflate(config, extensions);
}

/**
 * Judges a 101 by the request: `nonce` are the 16 bytes whose base64 was the key, `config` is what was offered with
 * `offerDeflate`, or null.
 */
export function checkResponse(
  nonce: Uint8Array,
  subprotocols: readonly string[],
  config: DeflateConfig | null,
  rawHeaders: readonly string[],
): Agreement | { error: HandshakeError } {
  return native.checkResponse(nonce, subprotocols, config, rawHeaders);
}
