/** Messages that wait for a connection: so many and so long, and not more. */

import type { Blob } from 'node:buffer';

/** A message as `send` takes it, with bytes that nobody changes any more. */
export type QueuedMessage = string | Uint8Array | Blob;

export class MessageQueue {
  readonly #maxMessages: number;
  readonly #maxBytes: number;
  #messages: QueuedMessage[] = [];
  /** Payload bytes that wait. */
  bytes = 0;

  constructor(maxMessages: number, maxBytes: number) {
    this.#maxMessages = maxMessages;
    this.#maxBytes = maxBytes;
  }

  get length(): number {
    return this.#messages.length;
  }

  /** Puts a message of `bytes` bytes at the end, a copy of what can change. False: there is no room. */
  push(message: QueuedMessage, bytes: number): boolean {
    if (this.length >= this.#maxMessages || this.bytes + bytes > this.#maxBytes) return false;
    this.#messages.push(message instanceof Uint8Array ? new Uint8Array(message) : message);
    this.bytes += bytes;
    return true;
  }

  /** Takes everything out, the oldest first. */
  takeAll(): QueuedMessage[] {
    const messages = this.#messages;
    this.#messages = [];
    this.bytes = 0;
    return messages;
  }
}
