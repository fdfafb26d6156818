/** A channel as an application sees it: events, a loop over its messages, publications, questions. */

import { Emitter } from './emitter.js';
import { VaivenError } from './errors.js';
import { MessageStream } from './message-stream.js';
import { toBody } from './payload.js';
import type { History, Message, Position, Presence, PresenceChange } from './protocol.js';
import type { Published, PublishOptions } from './publications.js';
import type { Session } from './session.js';
import type { Gap, Subscribed, SubscribeOptions } from './subscription.js';

export interface ChannelEvents {
  message: Message;
  /** The server has subscribed the client, for the first time or again after a lost connection. */
  subscribed: Subscribed;
  /** Publications are lost to this client, as after `subscribed` with `recovered: false`. */
  gap: Gap;
  /** Somebody came or went; only with the option `presence`. */
  presence: PresenceChange;
  /** The subscription has ended: by `unsubscribe`, by the server, or with the client. */
  unsubscribed: VaivenError;
}

export interface HistoryOptions {
  /** Publications after this position; before it with `reverse`. Default: from the oldest, or the newest. */
  since?: Position | undefined;
  /** At most 300, which is the default. */
  limit?: number | undefined;
  /** Newest first. */
  reverse?: boolean | undefined;
}

/** What a channel needs of its client. */
export interface Driver {
  /** Calls the session with the time and a ticket, and does what follows; gives what the ticket is settled with. */
  ask<T>(call: (session: Session, now: number, ticket: number) => void): Promise<T>;
  /** Calls the session with the time, and does what follows. */
  run(call: (session: Session, now: number) => void): void;
  readonly session: Session;
}

export class Channel extends Emitter<ChannelEvents> implements AsyncIterable<Message> {
  readonly name: string;
  readonly #driver: Driver;
  readonly #options: SubscribeOptions;
  readonly #streams = new Set<MessageStream>();

  constructor(driver: Driver, name: string, options: SubscribeOptions) {
    super();
    this.#driver = driver;
    this.name = name;
    this.#options = options;
  }

  /** The position up to which everything has been given out, of a `reliable` channel. */
  get position(): Position | undefined {
    return this.#driver.session.position(this.name);
  }

  /** Subscribes; resolves when the server has, and rejects if it does not let the client. */
  subscribe(): Promise<Subscribed> {
    return this.#driver.ask((session, now, ticket) =>
      session.subscribe(now, ticket, this.name, { ...this.#options }),
    );
  }

  /** No message arrives after this call, and the next subscription does not go on where this one ended. */
  unsubscribe(): void {
    this.#driver.run((session, now) => session.unsubscribe(now, this.name));
  }

  /**
   * Publishes JSON, or bytes from an ArrayBuffer, a view of one or a Blob. Resolves when the server has acknowledged;
   * without a connection it waits for one.
   */
  async publish(data: unknown, options: PublishOptions = {}): Promise<Published> {
    const { key, remove, ephemeral } = options;
    const fields = { key, remove: remove || undefined, ephemeral: ephemeral || undefined };
    const body = toBody(remove && data === undefined ? null : data);
    const isLater = body instanceof Promise;
    return this.#driver.ask((session, now, ticket) => {
      // The place in the order is taken now, whenever the bytes of a Blob are there.
      session.publish(now, ticket, this.name, fields, isLater ? undefined : body);
      if (!isLater) return;
      body.then(
        (bytes) => this.#driver.run((session, now) => session.provide(now, ticket, bytes)),
        (error) => this.#driver.run((session, now) => session.withdraw(now, ticket, error)),
      );
    });
  }

  /** Who is there now. */
  presence(): Promise<Presence> {
    const question = { type: 'presence', channel: this.name } as const;
    return this.#driver.ask((session, now, ticket) => session.request(now, ticket, question));
  }

  /** A part of what was published. */
  history({ since, limit, reverse }: HistoryOptions = {}): Promise<History> {
    const question = { type: 'history', channel: this.name, since, limit, reverse } as const;
    return this.#driver.ask((session, now, ticket) => session.request(now, ticket, question));
  }

  /**
   * The messages from now on; subscribes. The loop ends with the subscription. It throws if the server ends that, and
   * at a gap, unless somebody listens to `gap`.
   */
  [Symbol.asyncIterator](): MessageStream {
    const stream = new MessageStream(() => this.#streams.delete(stream));
    this.#streams.add(stream);
    this.subscribe().catch((error: VaivenError) => stream.end(error));
    return stream;
  }

  /** What the client passes on. */
  deliver<K extends keyof ChannelEvents>(event: K, detail: ChannelEvents[K]): void {
    for (const stream of this.#streams) {
      if (event === 'message') stream.push(detail as Message);
      if (event === 'unsubscribed')
        stream.end(isOwnWish(detail as VaivenError) ? undefined : (detail as VaivenError));
      if (event === 'gap' && !this.hears('gap')) {
        stream.end(new VaivenError('gap', `publications of ${this.name} are lost to this client`));
      }
    }
    this.emit(event, detail);
  }
}

/** Whether the application itself has ended the subscription, or the client with it. */
function isOwnWish({ code, cause }: VaivenError): boolean {
  return code === 'unsubscribed' || (code === 'closed' && (cause as { code?: number }).code === 1000);
}
