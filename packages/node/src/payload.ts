/**
 * Payloads that outlive their call: from the engine's memory, which is used again, into memory of the program's.
 *
 * Node's own pool has 8 KiB, so that every seventh message of 1 KiB pays for a new one, which costs more than the copy. A
 * larger pool is shared only by payloads that are a good part of it: whoever keeps one keeps at most 64 times its size.
 */

const POOL_BYTES = 64 * 1024;
/** The shortest payload that shares a pool: one 64th of it. */
const MIN_SHARE = POOL_BYTES / 64;
/** The longest: a longer one is worth an allocation of its own. */
const MAX_SHARE = POOL_BYTES / 4;

/** The class that `Buffer.from` makes, whose constructor takes a part of an ArrayBuffer without checks. */
const FastBuffer = (Buffer as unknown as Record<symbol, unknown>)[Symbol.species] as new (
  memory: ArrayBufferLike,
  offset: number,
  length: number,
) => Buffer;

let pool = new ArrayBuffer(0);
let poolBytes = new Uint8Array(pool);
let used = 0;

/** A message's payload, as `LinkHandler.message` gets it, as a Buffer that stays as it is. */
export function keep(bytes: Buffer, start: number, end: number, owned: boolean): Buffer {
  if (owned) {
    return bytes;
  }
  const length = end - start;
  if (length < MIN_SHARE || length > MAX_SHARE) {
    return Buffer.from(bytes.subarray(start, end));
  }
  if (used + length > pool.byteLength) {
    pool = Buffer.allocUnsafeSlow(POOL_BYTES).buffer as ArrayBuffer;
    poolBytes = new Uint8Array(pool);
    used = 0;
  }
  const offset = used;
  poolBytes.set(new Uint8Array(bytes.buffer, bytes.byteOffset + start, length), offset);
  // The next one begins aligned, for views of larger elements.
  used = (offset + length + 7) & ~7;
  return new FastBuffer(pool, offset, length);
}
