/** The messages of a channel for `for await`: what arrives between two turns of the loop waits, within a bound. */

import { VaivenError } from './errors.js';
import type { Message } from './protocol.js';

/** How many messages may wait for a loop: ten seconds of a busy channel. */
const MAX_WAITING = 10_000;

type Waiter = { resolve: (result: IteratorResult<Message>) => void; reject: (error: unknown) => void };

export class MessageStream implements AsyncIterableIterator<Message> {
  readonly #ended: () => void;
  #messages: Message[] = [];
  #waiters: Waiter[] = [];
  /** How it ends once all messages are taken: with an error, or undefined. */
  #end: { readonly error: VaivenError | undefined } | undefined;

  constructor(ended: () => void) {
    this.#ended = ended;
  }

  push(message: Message): void {
    if (this.#end !== undefined) return;
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) waiter.resolve({ done: false, value: message });
    else if (this.#messages.length < MAX_WAITING) this.#messages.push(message);
    else this.end(new VaivenError('overflow', `more than ${MAX_WAITING} messages wait for the loop`));
  }

  /** No message follows; the loop ends, or throws, behind those that wait. */
  end(error?: VaivenError): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    this.#ended();
    for (const waiter of this.#waiters.splice(0)) this.#finish(waiter);
  }

  next(): Promise<IteratorResult<Message>> {
    return new Promise((resolve, reject) => {
      const message = this.#messages.shift();
      if (message !== undefined) resolve({ done: false, value: message });
      else if (this.#end === undefined) this.#waiters.push({ resolve, reject });
      else this.#finish({ resolve, reject });
    });
  }

  /** The loop was left. */
  async return(): Promise<IteratorResult<Message>> {
    this.#messages = [];
    this.end();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** An error is thrown once; after it there is nothing more. */
  #finish({ resolve, reject }: Waiter): void {
    const { error } = this.#end ?? {};
    this.#end = { error: undefined };
    if (error === undefined) resolve({ done: true, value: undefined });
    else reject(error);
  }
}
