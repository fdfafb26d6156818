/**
 * Finds and loads the native core, and says in types what it exports.
 *
 * The file that VAIVEN_NATIVE names goes first, then a build in this package's folder, made from the repository or by
 * `npm install` where there is no package for the platform; then the package of this platform that npm installed as an
 * optional dependency of `vaiven`.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type * as handshake from './handshake';
import type { Addresses } from './link';
import { platformPackage } from './platform';

/** What crates/vaiven-node exports (functions.rs). A connection is the number that `attach` gave. */
export interface Native {
  /** The value of Sec-WebSocket-Accept, or null where the key is not the base64 of 16 bytes (RFC 6455 4.2.2). */
  acceptKey(key: string): string | null;

  // The opening handshake: handshake.ts says what these do.
  checkUpgrade: typeof handshake.checkUpgrade;
  checkOrigin: typeof handshake.checkOrigin;
  offerDeflate: typeof handshake.offerDeflate;
  acceptDeflate: typeof handshake.acceptDeflate;
  checkResponse: typeof handshake.checkResponse;

  /** Begins the engine of this thread on the memory that shared-memory.ts describes. */
  create(
    records: ArrayBuffer,
    aside: ArrayBuffer,
    outgoingRecords: ArrayBuffer,
    outgoing: ArrayBuffer,
    amounts: ArrayBuffer,
  ): void;
  /** Larger memory for what waits in each connection; what was in the old one is copied already. */
  setAmounts(amounts: ArrayBuffer): void;
  /**
   * A connection after its opening handshake. `deflateWindows` are the server's window bits and, times sixteen, the
   * client's, or 0 without compression. `pingInterval` and `pongTimeout` are milliseconds, 0 without keepalive.
   */
  attach(
    flags: number,
    maxPayload: number,
    maxFragments: number,
    maxIdleFrames: number,
    deflateWindows: number,
    deflateLevel: number,
    deflateThreshold: number,
    pingInterval: number,
    pongTimeout: number,
  ): number;
  /** Joins this thread's event loop; `dispatch` is called with each batch. False where that is not possible. */
  joinEventLoop(slab: ArrayBuffer, dispatch: () => void): boolean;
  /** Reads and writes the socket of a connection from now on, through a descriptor of its own. */
  adopt(connection: number, descriptor: number): void;
  /** Another descriptor of an adopted socket, which is the caller's to close; fails where there is none. */
  duplicate(connection: number): number;
  /** The addresses of an adopted socket; null where it has none. */
  addresses(connection: number): Addresses | null;
  /** Reads from an adopted socket, or does not. */
  setReading(connection: number, isReading: boolean): void;
  /** Whether the process stays alive for the sake of adopted sockets. */
  keepAlive(alive: boolean): void;
  /** Ends this direction of the transport behind what waits. */
  end(connection: number): void;
  /** Forgets a connection. */
  release(connection: number): void;
  /** Decodes what a stream gave from `start` on, and says where it stopped: at the end, or when records were full. */
  feed(connection: number, bytes: Uint8Array, start: number): number;
  /** Makes records of the notices that wait, and says how many. */
  collect(): number;
  /** Writes everything that waits, and says whether there are notices to collect. */
  flush(): boolean;
  /** Sends a message that is too long for the shared memory; `flags` are those of `Send`. */
  send(connection: number, flags: number, payload: Uint8Array): void;
  /** Sends one message to many connections, framed once; throws where the text is not UTF-8. */
  publish(connections: Uint8Array, flags: number, payload: Uint8Array): void;
  /** Sends a part of a message: the first of a binary one (0) or of text (1), one in the middle (2), the last (3). */
  sendFragment(connection: number, part: number, payload: Uint8Array, isAwaited: boolean): void;
  ping(connection: number, payload: Uint8Array): void;
  pong(connection: number, payload: Uint8Array): void;
  /** Begins the closing handshake; code 0 is the empty body. */
  close(connection: number, code: number, reason: string): void;
  /** Answers the peer's Close frame, or the rule that it broke. */
  answer(connection: number): void;
  /** Answers a ping, behind the messages that wait. */
  answerPing(connection: number, payload: Uint8Array): void;
  /** How many bytes wait for a stream to write them. */
  waiting(connection: number): number;
  /**
   * Fills `out` with the first bytes that wait, and says how many payload bytes that are; `Header.Awaited` says how many
   * awaited messages are written with them.
   */
  take(connection: number, out: Uint8Array): number;
  /** The peer of a stream takes what is sent to it, and so is there. */
  progressed(connection: number): void;
  /** How many bytes of a socket of Node's the peer's system does not have yet; 0 where that is not known. */
  unacknowledged(descriptor: number): number;
  /** The payload of a record with a buffer of its own. */
  takeOwned(index: number): Buffer;
  /** Lets time act on every connection, and says whether there are notices to collect. */
  handleTimeouts(): boolean;
  /**
   * Decodes UTF-8 from `start` to `end` to the beginning of `out`. Gives the number of units times two, and one more
   * where they are UTF-16 and not Latin-1; 0 where it is not UTF-8 or there is no room.
   */
  decodeText(text: Uint8Array, start: number, end: number, out: Uint8Array): number;
  /** Close code, name and sentence of a rule, separated by line breaks. */
  violation(index: number): string;
  /** Bytes that a connection holds beyond what waits to be written. */
  heldBytes(connection: number): number;
}

function load(): Native {
  const local = process.env.VAIVEN_NATIVE ?? join(__dirname, '..', 'native', 'vaiven.node');
  const isLocal = existsSync(local);
  const wanted = isLocal ? local : platformPackage();
  try {
    return require(wanted) as Native;
  } catch (cause) {
    const advice = isLocal
      ? 'build it again: npm run build:native'
      : 'install without --omit=optional, or have Rust when you install: npm then builds it from source';
    throw new Error(`vaiven: the native core ${wanted} cannot be loaded; ${advice}`, { cause });
  }
}

export const native: Native = load();
