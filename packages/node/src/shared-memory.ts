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

/** The kind in a record's second number; flags stand above it. */
export const KIND_MASK = 0xff;
/** The payload lies aside, and not in what was read. */
export const IN_ASIDE = 1 << 8;
/** The payload has a buffer of its own, whose index is the offset. */
export const OWNED = 1 << 9;

/** Numbers in front of the records, and their places. */
export const HEADER_WORDS = 16;
export const CURSOR = 0;
export const COUNT = 1;
export const OUT_COUNT = 2;
export const WALKING = 3;
export const IN_BATCH = 4;
export const WAITING = 5;
export const OUT_BYTES = 6;

/** Flags of a message that is sent. */
export enum Send {
  Text = 1,
  Plain = 1 << 1,
  Compressed = 1 << 2,
  Awaited = 1 << 3,
}

/** Records of one batch: so many that a batch of the shortest messages is not cut off early. */
const MAX_RECORDS = 4096;
/** What came in pieces or was inflated, up to 32 KiB each. */
const ASIDE_BYTES = 128 * 1024;
/** Reads of one batch: as much as stays in a processor's second cache. */
const SLAB_BYTES = 256 * 1024;
/** Messages that wait to be framed. */
export const MAX_OUTGOING = 4096;
export const OUTGOING_BYTES = 256 * 1024;

function allocate(bytes: number): ArrayBuffer {
  const buffer = new ArrayBuffer(bytes);
  // A buffer that a worker took away would leave the native core with memory that is freed.
  markAsUntransferable(buffer);
  return buffer;
}

/** Told records: the header, then four numbers each. */
export const records = new Int32Array(allocate((HEADER_WORDS + 4 * MAX_RECORDS) * 4));
/** Payloads that do not lie in what was read. */
export const aside = Buffer.from(allocate(ASIDE_BYTES)) as SlicedBuffer;
/** What the native core reads from sockets; a message is valid here during its call only. */
export const slab = Buffer.from(allocate(SLAB_BYTES)) as SlicedBuffer;
/** Records of what is sent: connection, flags, offset, length. */
export const outgoingRecords = new Int32Array(allocate(4 * MAX_OUTGOING * 4));
/** Payloads of what is sent. */
export const outgoing = Buffer.from(allocate(OUTGOING_BYTES)) as SlicedBuffer;

/** Room for the payload bytes that wait in each of so many connections. */
export function allocateAmounts(connections: number): Float64Array<ArrayBuffer> {
  return new Float64Array(allocate(8 * connections));
}
