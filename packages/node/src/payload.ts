/**
 * Payloads that outlive their call: from the engine's memory, which is used again, into memory of the program's.
 *
 * Several share a piece of memory, a pool, since an allocation costs more than the copy; whoever keeps one keeps its pool.
 * So a pool is at most 64 times as long as what shares it, or 8 KiB. Node's own would be 8 KiB in some of its releases,
 * which every seventh message of 1 KiB fills, and 64 KiB in others, which a message of a byte would keep.
 */

/** The class that `Buffer.from` makes, whose constructor takes a part of an ArrayBuffer without checks. */
const FastBuffer = (Buffer as unknown as Record<symbol, unknown>)[Symbol.species] as new (
  memory: ArrayBufferLike,
  offset: number,
  length: number,
) => Buffer;

class Pool {
  readonly #size: number;
  #memory = new ArrayBuffer(0);
  #bytes = new Uint8Array(this.#memory);
  #used = 0;

  constructor(size: number) {
    this.#size = size;
  }

  /** A copy of `length` bytes from `start` on, which has to fit into a pool. */
  copy(bytes: Buffer, start: number, length: number): Buffer {
    if (this.#used + length > this.#memory.byteLength) {
      this.#memory = Buffer.allocUnsafeSlow(this.#size).buffer as ArrayBuffer;
      this.#bytes = new Uint8Array(this.#memory);
      this.#used = 0;
    }
    const offset = this.#used;
    this.#bytes.set(new Uint8Array(bytes.buffer, bytes.byteOffset + start, length), offset);
    // The next one begins aligned, for views of larger elements.
    this.#used = (offset + length + 7) & ~7;
    return new FastBuffer(this.#memory, offset, length);
  }
}

const LONG_POOL_BYTES = 64 * 1024;
/** The shortest payload that shares a long pool: one 64th of it. */
const MIN_LONG = LONG_POOL_BYTES / 64;
/** The longest that shares one: a longer one is worth an allocation of its own. */
const MAX_LONG = LONG_POOL_BYTES / 4;

const shortPool = new Pool(8 * 1024);
const longPool = new Pool(LONG_POOL_BYTES);

/** A message's payload, as `LinkHandler.message` gets it, as a Buffer that stays as it is. */
export function keep(bytes: Buffer, start: number, end: number, owned: boolean): Buffer {
  if (owned) {
    return bytes;
  }
  const length = end - start;
  if (length > MAX_LONG) {
    return Buffer.from(bytes.subarray(start, end));
  }
  return (length < MIN_LONG ? shortPool : longPool).copy(bytes, start, length);
}
