/** What waits to be sent behind a Blob that is being read: a message keeps its place whatever it is made of. */

import type { Blob } from 'node:buffer';

/** Called when a message is handed to the network, or with the reason why it never will be. */
export type Done = (error?: Error) => void;

interface Item {
  bytes: number;
  blob: Blob | undefined;
  /** Sends; a Blob's content is given to it. */
  send: (data: Uint8Array) => void;
  done: Done | undefined;
}

const NOTHING = new Uint8Array(0);

/** A queue that is given up when nothing waits any more. */
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
  push(bytes: number, send: () => void, done: Done | undefined): void {
    this.#push({ bytes, blob: undefined, send, done });
  }

  /** Reads the Blob and sends what is in it. */
  pushBlob(blob: Blob, send: (data: Uint8Array) => void, done: Done | undefined): void {
    this.#push({ bytes: blob.size, blob, send, done });
  }

  #push(item: Item): void {
    this.bytes += item.bytes;
    if (this.#items.push(item) === 1) this.#advance();
  }

  #advance(): void {
    for (let item = this.#items[0]; item !== undefined; item = this.#items[0]) {
      if (item.blob !== undefined) {
        item.blob.arrayBuffer().then(
          (buffer) => {
            this.#send(new Uint8Array(buffer));
            this.#advance();
          },
          // Thrown out of the promise, what a callback throws goes where it would go from elsewhere.
          (error) => setImmediate(() => this.#fail(error)),
        );
        return;
      }
      this.#send(NOTHING);
    }
    this.#ended();
  }

  #send(data: Uint8Array): void {
    const item = this.#items.shift();
    this.bytes -= item?.bytes ?? 0;
    item?.send(data);
  }

  #fail(error: Error): void {
    for (const { done } of this.#items.splice(0)) done?.(error);
    this.#failed(error);
  }
}
