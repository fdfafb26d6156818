/**
 * Server-Sent Events from the server and POST to it, as a transport: for networks that let no WebSocket through.
 *
 * It uses fetch and not EventSource, which sends no headers and comes back by itself.
 */

import { EventStreamParser } from './event-stream.js';
import { decode, fromBase64, type Incoming, type Outgoing } from './protocol.js';
import { type EndCause, FORBIDDEN, LOST, UNAUTHORIZED } from './reconnection.js';
import type { Transport, TransportHandler } from './transport.js';

/** What the server takes in one request. */
const MAX_BATCH = 100;
const MAX_BATCH_LENGTH = 32_768;

export interface SseOptions {
  /** The address of the protocol, with http or https. */
  readonly url: string;
  readonly token: string | undefined;
  readonly session: string;
}

export class SseTransport implements Transport {
  readonly #options: SseOptions;
  readonly #handler: TransportHandler;
  readonly #abort = new AbortController();
  #stream = '';
  #waiting: Outgoing[] = [];
  #isPosting = false;

  constructor(options: SseOptions, handler: TransportHandler) {
    this.#options = options;
    this.#handler = handler;
    this.#read().catch((error: unknown) => this.#end({ code: LOST, reason: 'the stream was lost', error }));
  }

  send(message: Outgoing): void {
    this.#waiting.push(message);
    if (!this.#isPosting) void this.#post();
  }

  close(): void {
    this.#abort.abort();
  }

  async #read(): Promise<void> {
    const { url, token, session } = this.#options;
    const headers: Record<string, string> = { Accept: 'text/event-stream', 'Vaiven-Session': session };
    if (token !== undefined) headers.Authorization = `Bearer ${token}`;
    const response = await fetch(`${url}/events`, { headers, cache: 'no-store', signal: this.#abort.signal });
    const type = response.headers.get('Content-Type') ?? '';
    if (!response.ok || response.body === null || !type.startsWith('text/event-stream')) {
      this.#end(refusal(response));
      return;
    }
    this.#handler.opened();
    const parser = new EventStreamParser((event, data) => this.#received(event, data));
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      parser.feed(decoder.decode(value, { stream: true }));
    }
    this.#end({ code: LOST, reason: 'the stream ended' });
  }

  #received(event: string, data: string): void {
    if (this.#abort.signal.aborted) return;
    const message: Incoming = event === 'binary' ? fromBase64(data) : data;
    if (this.#stream === '') {
      const welcome = decode(message);
      if (welcome?.type === 'welcome') this.#stream = welcome.stream ?? '';
    }
    this.#handler.received(message);
  }

  /** One request at a time, so that messages arrive in their order. */
  async #post(): Promise<void> {
    this.#isPosting = true;
    try {
      while (this.#waiting.length > 0 && !this.#abort.signal.aborted) {
        const response = await fetch(`${this.#options.url}/commands`, {
          method: 'POST',
          signal: this.#abort.signal,
          ...this.#nextBody(),
        });
        if (!response.ok) {
          this.#end({ ...refusal(response), code: LOST });
          return;
        }
      }
    } catch (error) {
      this.#end({ code: LOST, reason: 'a request was lost', error });
    } finally {
      this.#isPosting = false;
    }
  }

  /** A message with binary data goes alone; others together, as a list. */
  #nextBody(): { headers: Record<string, string>; body: Outgoing } {
    const headers = { 'Vaiven-Stream': this.#stream, 'Content-Type': 'application/json' };
    const [first = ''] = this.#waiting;
    if (typeof first !== 'string') {
      this.#waiting.shift();
      return { headers: { ...headers, 'Content-Type': 'application/octet-stream' }, body: first };
    }
    let length = 0;
    const end = this.#waiting.findIndex((message, index) => {
      length += message.length;
      return typeof message !== 'string' || index === MAX_BATCH || (index > 0 && length > MAX_BATCH_LENGTH);
    });
    const batch = this.#waiting.splice(0, end < 0 ? this.#waiting.length : end);
    return { headers, body: batch.length === 1 ? first : `[${batch.join(',')}]` };
  }

  #end(cause: EndCause): void {
    if (this.#abort.signal.aborted) return;
    this.#abort.abort();
    this.#handler.ended(cause);
  }
}

/** What the status of an answer means: the same as the close code that a WebSocket would have got. */
function refusal({ status, headers }: Response): EndCause {
  const code = status === 401 ? UNAUTHORIZED : status === 403 ? FORBIDDEN : LOST;
  const seconds = Number(headers.get('Retry-After') ?? Number.NaN);
  const reason = `the server answered with the status ${status}`;
  return Number.isFinite(seconds) ? { code, reason, retry: seconds * 1000 } : { code, reason };
}
