/**
 * Publications on their way to the server: in order, numbered, bounded, and sent again after a resume until they are
 * acknowledged, so that each is kept once, or said to be uncertain.
 */

import { VaivenError } from './errors.js';
import {
  type Body,
  byteLength,
  encode,
  type Outgoing,
  type Position,
  type ServerMessage,
} from './protocol.js';

/** What is said of a publication beside its data. */
export interface PublishOptions {
  /** What is updated, in a `latest` channel. */
  key?: string | undefined;
  /** Takes the key away; there is no data then. */
  remove?: boolean | undefined;
  /** For those who listen now: it is not kept, not queued, and not sent again. */
  ephemeral?: boolean | undefined;
}

/** What became of a publication. */
export interface Published {
  /** Its place in the history; undefined where it is not kept. */
  readonly position: Position | undefined;
}

/** What came of one: its ticket, and what its promise is settled with. */
export interface Settled {
  readonly ticket: number;
  readonly value?: Published;
  readonly error?: VaivenError;
}

/** How many publications may wait, sent or not, and how many bytes of data they may have together. */
export interface QueueLimits {
  readonly count: number;
  readonly bytes: number;
}

export const DEFAULT_QUEUE: QueueLimits = { count: 1024, bytes: 4 << 20 };

interface Entry {
  readonly ticket: number;
  readonly channel: string;
  readonly options: PublishOptions;
  /** Undefined while a Blob is being read. */
  body: Body | undefined;
  seq?: number;
  /** The id under which it was sent on this connection. */
  id?: number | undefined;
  firstSentAt?: number;
  /** Whether an earlier connection took it along. */
  isRepeated: boolean;
}

/** An error of these says nothing of an earlier connection's try, which may have been taken. */
const SAYS_NOTHING_OF_EARLIER: readonly unknown[] = [
  'rate',
  'unavailable',
  'internal',
  'forbidden',
  'unauthorized',
];

export class Publications {
  readonly #limits: QueueLimits;
  readonly #settle: (settled: Settled) => void;
  /** In the order of publication: first those that this connection was given, and then the others. */
  #entries: Entry[] = [];
  #sent = 0;
  #bytes = 0;
  #seq = 0;

  constructor(limits: QueueLimits, settle: (settled: Settled) => void) {
    this.#limits = limits;
    this.#settle = settle;
  }

  /** Takes a publication, if there is room. Without a body it holds its place until `provide` is called. */
  add(ticket: number, channel: string, options: PublishOptions, body: Body | undefined): void {
    const { count, bytes } = this.#limits;
    if (this.#entries.length >= count || this.#bytes + (body?.length ?? 0) > bytes) {
      this.#settle({ ticket, error: queueFull() });
      return;
    }
    this.#bytes += body?.length ?? 0;
    this.#entries.push({ ticket, channel, options, body, isRepeated: false });
  }

  /** What a publication without a body waited for. */
  provide(ticket: number, body: Body): void {
    const index = this.#entries.findIndex((entry) => entry.ticket === ticket);
    const entry = this.#entries[index];
    if (entry === undefined) return;
    if (this.#bytes + body.length > this.#limits.bytes) {
      this.#remove(index, { error: queueFull() });
      return;
    }
    this.#bytes += body.length;
    entry.body = body;
  }

  /** A publication without a body gets none. */
  withdraw(ticket: number, error: VaivenError): void {
    const index = this.#entries.findIndex((entry) => entry.ticket === ticket);
    if (index >= 0) this.#remove(index, { error });
  }

  /** Whether there is something to send while so many may be under way. */
  isReady(underWay: number): boolean {
    return this.#sent < underWay && this.#entries[this.#sent]?.body !== undefined;
  }

  /** The next message for this connection; undefined where it is longer than the server takes. */
  next(now: number, id: number, maxBytes: number): Outgoing | undefined {
    const entry = this.#entries[this.#sent] as Entry;
    const { channel, options, body } = entry;
    if (!options.ephemeral) entry.seq ??= this.#seq + 1;
    const fields = { type: 'publish', id, channel, seq: entry.seq, ...options };
    const message = encode(fields, body);
    if (message.length > maxBytes || (message.length > maxBytes / 3 && byteLength(message) > maxBytes)) {
      const error = new VaivenError('too_large', `the server takes messages of at most ${maxBytes} bytes`);
      this.#remove(this.#sent, { error });
      return undefined;
    }
    this.#seq = Math.max(this.#seq, entry.seq ?? 0);
    entry.id = id;
    entry.firstSentAt ??= now;
    this.#sent += 1;
    return message;
  }

  /** The server acknowledged, or refused. */
  answered(id: number, answer: ServerMessage | VaivenError): void {
    const index = this.#entries.findIndex((entry) => entry.id === id);
    const entry = this.#entries[index];
    if (entry === undefined) return;
    if (answer instanceof VaivenError) {
      const isUncertain = entry.isRepeated && SAYS_NOTHING_OF_EARLIER.includes(answer.code);
      this.#remove(index, { error: isUncertain ? uncertain(answer) : answer });
      return;
    }
    const { epoch, offset } = answer;
    const position = epoch === undefined || offset === undefined ? undefined : { epoch, offset };
    this.#remove(index, { value: { position } });
  }

  /** The connection is gone. What is for those who listen now is not sent again. */
  lost(isVolatile: (channel: string) => boolean): void {
    this.#fail((entry) => {
      if (entry.id === undefined) return entry.options.ephemeral ? disconnected() : undefined;
      return entry.options.ephemeral || isVolatile(entry.channel) ? uncertain() : undefined;
    });
    for (const entry of this.#entries) {
      entry.isRepeated ||= entry.id !== undefined;
      entry.id = undefined;
    }
    this.#sent = 0;
  }

  /** Gives up what the server may have forgotten by now. */
  expire(now: number, window: number): void {
    while (now >= this.expiresAt(window)) this.#remove(this.#sent, { error: uncertain() });
  }

  /** When `expire` finds something next: what was sent first stands in front of what is to be sent again. */
  expiresAt(window: number): number {
    return (this.#entries[this.#sent]?.firstSentAt ?? Number.POSITIVE_INFINITY) + window;
  }

  /** The client has ended. */
  close(error: VaivenError): void {
    this.#fail(({ firstSentAt }) => (firstSentAt === undefined ? error : uncertain(error)));
  }

  #fail(judge: (entry: Entry) => VaivenError | undefined): void {
    for (let index = 0; index < this.#entries.length; ) {
      const error = judge(this.#entries[index] as Entry);
      if (error === undefined) index += 1;
      else this.#remove(index, { error });
    }
  }

  #remove(index: number, outcome: Omit<Settled, 'ticket'>): void {
    const [entry] = this.#entries.splice(index, 1) as [Entry];
    if (index < this.#sent) this.#sent -= 1;
    this.#bytes -= entry.body?.length ?? 0;
    this.#settle({ ticket: entry.ticket, ...outcome });
  }
}

/** Whoever publishes for those who listen now does so while there is a connection. */
export function disconnected(): VaivenError {
  return new VaivenError(
    'disconnected',
    'there is no connection, and what is ephemeral does not wait for one',
  );
}

function queueFull(): VaivenError {
  const help = 'wait for earlier publications, or for the connection to come back';
  return new VaivenError('queue_full', `too much waits to be sent: ${help}`);
}

function uncertain(cause?: unknown): VaivenError {
  const text = 'the connection was lost before it was acknowledged: whether it was published is not known';
  return new VaivenError('uncertain', text, cause === undefined ? {} : { cause });
}
