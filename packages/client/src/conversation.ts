/**
 * What a client and the server say to each other over a connection that stands: subscriptions, publications and
 * questions in, messages for the server and news for the application out.
 *
 * It knows no transport, and of the time only what it is told.
 */

import { VaivenError } from './errors.js';
import { GRACE } from './liveness.js';
import { Pacer } from './pacer.js';
import { type Body, encode, type Outgoing, type Position, type ServerMessage } from './protocol.js';
import { disconnected, Publications, type PublishOptions, type QueueLimits } from './publications.js';
import type { Backoff } from './reconnection.js';
import { type Question, Requests, readAnswer } from './requests.js';
import { type SubscribeOptions, Subscription, type SubscriptionEvents } from './subscription.js';

/** For servers that do not say it. */
export const DEFAULT_PING = 25_000;
const DEFAULT_WINDOW = 300_000;
const DEFAULT_PUBLISHING = 32;

/** Something for the application. */
export type News =
  /** What came of what it asked for under this number. */
  | { type: 'settle'; ticket: number; value?: unknown; error?: VaivenError }
  | { type: 'presence'; channel: string; message: ServerMessage }
  | {
      [K in keyof SubscriptionEvents]: {
        type: 'tell';
        channel: string;
        event: K;
        detail: SubscriptionEvents[K];
      };
    }[keyof SubscriptionEvents];

export interface ConversationOptions {
  readonly backoff: Backoff;
  readonly queue: QueueLimits;
  readonly random: () => number;
  readonly send: (message: Outgoing) => void;
  readonly tell: (news: News) => void;
}

/** Takes the answer to a message; an error of the server's as one. */
export type Answered = (now: number, answer: ServerMessage | VaivenError) => void;

export class Conversation {
  readonly #options: ConversationOptions;
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #publications: Publications;
  readonly #requests = new Requests();
  readonly #pacer = new Pacer();
  /** What is done with the answers that have not come yet. */
  readonly #answers = new Map<number, Answered>();
  /** Who waits for a subscription. */
  readonly #subscribers = new Map<string, number[]>();
  #isLive = false;
  #ids = 0;
  /** How long after a publication was sent it can be sent again without becoming two. */
  #certainFor = DEFAULT_WINDOW;
  #maxBytes = Number.POSITIVE_INFINITY;
  #publishing = DEFAULT_PUBLISHING;

  constructor(options: ConversationOptions) {
    this.#options = options;
    this.#publications = new Publications(options.queue, (settled) => this.#settle(settled));
  }

  // What the application wants.

  /** The ticket is settled when the server has said that the client is subscribed, or that it may not be. */
  subscribe(ticket: number, channel: string, options: SubscribeOptions): void {
    const subscription = this.#subscription(channel);
    subscription.want(options);
    const { current } = subscription;
    if (current !== undefined) this.#settle({ ticket, value: current });
    else this.#subscribers.set(channel, [...(this.#subscribers.get(channel) ?? []), ticket]);
  }

  unsubscribe(channel: string): void {
    const error = new VaivenError('unsubscribed', 'the application has unsubscribed');
    this.#subscriptions.get(channel)?.leave(error);
  }

  /** The position up to which everything of a channel has been given out. */
  position(channel: string): Position | undefined {
    return this.#subscriptions.get(channel)?.position;
  }

  publish(ticket: number, channel: string, options: PublishOptions, body: Body | undefined): void {
    if (options.ephemeral && !this.#isLive) this.#settle({ ticket, error: disconnected() });
    else this.#publications.add(ticket, channel, options, body);
  }

  provide(ticket: number, body: Body): void {
    this.#publications.provide(ticket, body);
  }

  withdraw(ticket: number, error: VaivenError): void {
    this.#publications.withdraw(ticket, error);
  }

  request(ticket: number, question: Question): void {
    if (this.#requests.add(ticket, question)) return;
    this.#settle({ ticket, error: new VaivenError('queue_full', 'too many questions wait for answers') });
  }

  // What becomes of the connection.

  /** The server has welcomed the client: everything that waits may be said. */
  begin(now: number, welcome: ServerMessage): void {
    const { ping = DEFAULT_PING, window = DEFAULT_WINDOW, limits = {} } = welcome;
    this.#isLive = true;
    this.#pacer.reset(now, limits.message_rate, limits.message_burst);
    // What is sent now may arrive at any time before the connection is taken for dead, and must be known even then.
    this.#certainFor = Math.max(window / 2, window - ping - GRACE);
    this.#maxBytes = limits.message_bytes ?? Number.POSITIVE_INFINITY;
    this.#publishing = limits.publishing ?? DEFAULT_PUBLISHING;
    this.#publications.expire(now, this.#certainFor);
  }

  /** The connection is gone: what was under way is not under way any more. */
  lost(): void {
    this.#isLive = false;
    this.#answers.clear();
    this.#requests.lost();
    for (const subscription of this.#subscriptions.values()) subscription.lost();
    this.#publications.lost((channel) => this.#subscriptions.get(channel)?.contract === 'volatile');
  }

  /** The client has ended. */
  close(error: VaivenError): void {
    this.#publications.close(error);
    for (const ticket of this.#requests.close()) this.#settle({ ticket, error });
    for (const subscription of this.#subscriptions.values()) subscription.leave(error);
  }

  /** When `flush` has something to do that it has not now. */
  get deadline(): number {
    const expiry = this.#publications.expiresAt(this.#certainFor);
    if (!this.#isLive) return expiry;
    const commands = [...this.#subscriptions.values()].map(({ commandAt }) => commandAt);
    if (this.#requests.isReady || this.#publications.isReady(this.#publishing)) commands.push(0);
    return Math.min(expiry, Math.max(Math.min(...commands), this.#pacer.readyAt));
  }

  /** Says what is to be said and may be said now. */
  flush(now: number): void {
    this.#publications.expire(now, this.#certainFor);
    while (this.#isLive && this.#hasCommand(now) && this.#pacer.take(now)) this.#command(now);
  }

  /** Sends a message and gives its answer to the function. */
  ask(fields: object, answered: Answered): void {
    this.#options.send(encode({ ...fields, id: this.#nextId(answered) }));
  }

  /** Takes a message of the server, other than those that are about the connection itself. */
  handle(now: number, message: ServerMessage): void {
    const { type, id, channel = '' } = message;
    const answered = id === undefined ? undefined : this.#answers.get(id);
    if (type === 'message') this.#subscriptions.get(channel)?.received(now, message);
    else if (type === 'presence_changed') this.#options.tell({ type: 'presence', channel, message });
    else if (type === 'unsubscribed') this.#subscriptions.get(channel)?.refused(now, asError(message));
    else if (id !== undefined && answered !== undefined) {
      this.#answers.delete(id);
      answered(now, type === 'error' ? asError(message) : message);
    }
  }

  // What is said next: subscriptions first, since nothing of theirs can be lost that has not been published yet.

  #hasCommand(now: number): boolean {
    if (this.#requests.isReady || this.#publications.isReady(this.#publishing)) return true;
    return this.#dueSubscription(now) !== undefined;
  }

  #dueSubscription(now: number): Subscription | undefined {
    for (const subscription of this.#subscriptions.values()) {
      if (subscription.commandAt <= now) return subscription;
    }
    return undefined;
  }

  #command(now: number): void {
    const subscription = this.#dueSubscription(now);
    if (subscription !== undefined) this.#subscribe(subscription);
    else if (this.#requests.isReady) this.#request();
    else this.#publish(now);
  }

  #subscribe(subscription: Subscription): void {
    const command = subscription.command();
    this.ask(command, (now, answer) => {
      if (command.type === 'unsubscribe') subscription.left();
      else if (answer instanceof VaivenError) subscription.refused(now, answer);
      else subscription.subscribed(answer);
    });
  }

  #request(): void {
    const id = this.#nextId((_, answer) => {
      const ticket = this.#requests.answered(id);
      if (ticket === undefined) return;
      if (answer instanceof VaivenError) this.#settle({ ticket, error: answer });
      else this.#settle({ ticket, value: readAnswer(answer) });
    });
    this.#options.send(encode({ ...this.#requests.next(id), id }));
  }

  #publish(now: number): void {
    const id = this.#nextId((_, answer) => this.#publications.answered(id, answer));
    const message = this.#publications.next(now, id, this.#maxBytes);
    if (message === undefined) this.#answers.delete(id);
    else this.#options.send(message);
  }

  #nextId(answered: Answered): number {
    this.#ids += 1;
    this.#answers.set(this.#ids, answered);
    return this.#ids;
  }

  #subscription(channel: string): Subscription {
    let subscription = this.#subscriptions.get(channel);
    if (subscription === undefined) {
      const { backoff, random, tell } = this.#options;
      subscription = new Subscription(channel, backoff, random, (event, detail) => {
        tell({ type: 'tell', channel, event, detail } as News);
        if (event === 'subscribed') this.#settleSubscribers(channel, { value: detail });
        if (event === 'unsubscribed') this.#settleSubscribers(channel, { error: detail as VaivenError });
      });
      this.#subscriptions.set(channel, subscription);
    }
    return subscription;
  }

  #settleSubscribers(channel: string, outcome: { value?: unknown; error?: VaivenError }): void {
    const tickets = this.#subscribers.get(channel) ?? [];
    this.#subscribers.delete(channel);
    for (const ticket of tickets) this.#settle({ ticket, ...outcome });
  }

  #settle(outcome: { ticket: number; value?: unknown; error?: VaivenError }): void {
    this.#options.tell({ type: 'settle', ...outcome });
  }
}

function asError({
  code = 'internal',
  message = 'the server gave no reason',
  retry,
}: ServerMessage): VaivenError {
  return new VaivenError(String(code), message, { retry });
}
