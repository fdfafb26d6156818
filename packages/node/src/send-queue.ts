/** What waits to be sent behind a Blob that is being read: a message keeps its place whatever it is made of. */

import type { Blob } from 'node:buffer';

type Item =
  | { bytes: number; send: () => void }
  | { bytes: number; blob: Blob; send: (data: Uint8Array) => void };

/** A queue that ends when nothing waits any more. */
export class SendQueue {
  /** Payload bytes that wait. */
  bytes = 0;
  readonly #items: Item[] = [];
  readonly #ended: () => void;
  readonly #failed: (error: Error) => void;

  /** Calls `ended` when nothing waits any more, or `failed` when a Blob cannot be read. */
  constructor(ended: () => void, failed: (error: Error) => void) {
    this.#ended = ended;
    this.#failed = failed;
  }

  /** Sends behind all that waits. */
  push(bytes: number, send: () => void): void {
    this.#push({ bytes, send });
  }

  /** Reads the Blob and sends what is in it. */
  pushBlob(blob: Blob, send: (data: Uint8Array) => void): void {
    this.#push({ bytes: blob.size, blob, send });
  }

  #push(item: Item): void {
    this.bytes += item.bytes;
    if (this.#items.push(item) === 1) this.#advance();
  }

  #advance(): void {
    for (let item = this.#items[0]; item !== undefined; item = this.#items[0]) {
      if ('blob' in item) {
        const { blob, send } = item;
        blob.arrayBuffer().then((buffer) => {
          this.#shift();
          send(new Uint8Array(buffer));
          this.#advance();
        }, this.#failed);
        return;
      }
      this.#shift();
      item.send();
    }
    this.#ended();
  }

  #shift(): void {
    this.bytes -= this.#items.shift()?.bytes ?? 0;
  }
}
