/**
 * The memory that JavaScript and the native core share: records of what happened, records of what is to be sent, and
 * the payloads of both.
 *
 * crates/vaiven-node reads and writes the same layout (events.rs, outgoing.rs). Both sides run on one thread and never at
 * once. All of it is allocated here, so that it works in runtimes that allow a native module no memory of its own.
 */

import { markAsUntransferable } from 'node:worker_threads';

/** A Buffer with the methods that read and write a part of it as a string without checks. */
export interface SlicedBuffer extends Buffer<ArrayBuffer> {
  latin1Slice(start: number, end: number): string;
  ucs2Slice(start: number, end: number): string;
  utf8Slice(start: number, end: number): string;
  utf8Write(text: string, offset: number, length: number): number;
}

/** What a record tells; the first three are messages. */
export enum Told {
  Binary = 0,
  Text = 1,
  /** Text of which every byte is below 0x80. */
  Ascii = 2,
  Ping = 3,
  Pong = 4,
  Close = 5,
  Violation = 6,
  Ended = 7,
  Drained = 8,
  Output = 9,
  Finished = 10,
}

/** A record's second number: the kind, and where the payload lies if not in what was read. */
export enum Flags {
  KindMask = 0xff,
  /** Aside. */
  InAside = 1 << 8,
  /** In a buffer of its own, whose index is the offset. */
  Owned = 1 << 9,
}

/** Numbers in front of the records. */
export enum Header {
  Cursor = 0,
  Count = 1,
  OutCount = 2,
  Walking = 3,
  InBatch = 4,
  Waiting = 5,
  OutBytes = 6,
  Awaited = 7,
  /** How many there are. */
  Words = 16,
}

/** Flags of a message that is sent. */
export enum Send {
  Text = 1,
  Plain = 1 << 1,
  Compressed = 1 << 2,
  Awaited = 1 << 3,
}

/** How much there is of what JavaScript fills. */
export enum Size {
  /** Records of one batch, and messages that wait to be framed: so many that short messages do not cut a batch off. */
  Records = 4096,
  /** Bytes of the payloads that wait to be framed. */
  Outgoing = 256 * 1024,
}

/** Bytes that came in pieces or were inflated, in payloads of up to 32 KiB. */
const ASIDE_BYTES = 128 * 1024;
/** Bytes of the reads of one batch: as much as stays in a processor's second cache. */
const SLAB_BYTES = 256 * 1024;

function allocate(bytes: number): ArrayBuffer {
  const buffer = new ArrayBuffer(bytes);
  // A buffer that a worker took away would leave the native core with memory that is freed.
  markAsUntransferable(buffer);
  return buffer;
}

/** Told records: the header, then four numbers each. */
export const records = new Int32Array(allocate((Header.Words + 4 * Size.Records) * 4));
/** Payloads that do not lie in what was read. */
export const aside = Buffer.from(allocate(ASIDE_BYTES)) as SlicedBuffer;
/** What the native core reads from sockets; a message is valid here during its call only. */
export const slab = Buffer.from(allocate(SLAB_BYTES)) as SlicedBuffer;
/** Records of what is sent: connection, flags, offset, length. */
export const outgoingRecords = new Int32Array(allocate(4 * Size.Records * 4));
/** Payloads of what is sent. */
export const outgoing = Buffer.from(allocate(Size.Outgoing)) as SlicedBuffer;

/** Room for the payload bytes that wait in each of so many connections. */
export function allocateAmounts(connections: number): Float64Array<ArrayBuffer> {
  return new Float64Array(allocate(8 * connections));
}
