/** What an application gets of a message's bytes beside Buffers, and the bytes of what it gives. */

import { types } from 'node:util';
import { Kind } from './link';
import { native } from './native';
import type { SlicedBuffer } from './shared-memory';
import { typeError } from './webidl';

/** The shortest text that the native core decodes: the call costs as much as Node's own decoder takes for this. */
const MIN_DECODED = 128;
/** The longest one; UTF-16 of it fits into the memory that it is decoded into. */
const MAX_DECODED = 32 * 1024;
/** Until release 24 Node decodes what is not ASCII two to four times as slowly as the native core. */
const isNodeSlow =
  Number.parseInt(process.versions.node, 10) < 24 &&
  process.versions.bun === undefined &&
  process.versions.deno === undefined;

/** Text while it is decoded. */
const decoded = Buffer.allocUnsafeSlow(2 * MAX_DECODED) as SlicedBuffer;

/** A text message as a string. */
export function toText(bytes: Buffer, start: number, end: number, kind: Kind): string {
  // Node's own methods, without the look-up of the encoding's name that `toString` does for each message.
  const sliced = bytes as SlicedBuffer;
  if (kind === Kind.Ascii) return sliced.latin1Slice(start, end);
  const length = end - start;
  if (isNodeSlow && length >= MIN_DECODED && length <= MAX_DECODED) {
    const units = native.decodeText(bytes, start, end, decoded);
    if (units !== 0) {
      return (units & 1) === 0 ? decoded.latin1Slice(0, units >> 1) : decoded.ucs2Slice(0, units & ~1);
    }
  }
  return sliced.utf8Slice(start, end);
}

/** A message as an ArrayBuffer that holds nothing else. */
export function toArrayBuffer(bytes: Buffer, start: number, end: number, owned: boolean): ArrayBuffer {
  const { buffer, byteOffset } = bytes as Buffer & { buffer: ArrayBuffer };
  if (owned && byteOffset + start === 0 && buffer.byteLength === end) return buffer;
  const copy = new Uint8Array(end - start);
  // `slice` looks for the buffer's species first, which takes as long as all of this.
  copy.set(new Uint8Array(buffer, byteOffset + start, end - start));
  return copy.buffer;
}

const NOTHING = new Uint8Array(0);

/** Bytes that an application gave, as a view of them; undefined where it gave something else. */
export function viewOf(data: unknown): Uint8Array | undefined {
  if (data instanceof Uint8Array && data.length > 0) return data;
  if (!ArrayBuffer.isView(data) && !types.isAnyArrayBuffer(data)) return undefined;
  // Memory that was taken away has no bytes, and allows no view.
  if (data.byteLength === 0) return NOTHING;
  return ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
}

/** Web IDL's `BufferSource`, neither shared nor resizable, as a view of its bytes; undefined where it is something else. */
export function toBufferSource(data: unknown, where: string): Uint8Array | undefined {
  // Mostly it is a view of bytes, about which nothing has to be asked but its memory.
  if (data instanceof Uint8Array && data.length > 0) {
    const { buffer } = data;
    if (buffer instanceof ArrayBuffer && !isResizable(buffer)) return data;
  }
  const view = types.isSharedArrayBuffer(data) ? undefined : viewOf(data);
  if (view === undefined) return undefined;
  const { buffer } = ArrayBuffer.isView(data) ? data : { buffer: data as ArrayBuffer };
  const kind = types.isSharedArrayBuffer(buffer) ? 'shared' : isResizable(buffer) ? 'resizable' : undefined;
  if (kind === undefined) return view;
  throw typeError(where, `the memory is ${kind}; send a copy of it, such as slice() gives.`);
}

function isResizable(buffer: ArrayBufferLike): boolean {
  return (buffer as { resizable?: boolean }).resizable === true;
}
