/**
 * One channel of a client: from what the application wants and the server says, to what it is asked and what arrives.
 *
 * Every publication of a `reliable` channel is given out once and in order: a double is dropped, and at a gap the
 * channel is subscribed again with the last position. What cannot be had any more is told.
 */

import type { VaivenError } from './errors.js';
import type { Contract, Message, Position, ServerMessage } from './protocol.js';
import { type Backoff, fullJitter } from './reconnection.js';

/** What a subscription asks for. */
export interface SubscribeOptions {
  /** How many of the latest publications are wanted at first, from 0 to 300. */
  last?: number | undefined;
  /** Whether to be told who comes and goes. */
  presence?: boolean | undefined;
  /** A position of an earlier client, to go on from there. */
  since?: Position | undefined;
}

/** What a server said when it subscribed this client. */
export interface Subscribed {
  readonly contract: Contract;
  /** After which publications follow, in a `reliable` channel. */
  readonly position: Position | undefined;
  /** Whether everything since the last position follows; undefined where there was none. */
  readonly recovered: boolean | undefined;
  /** How many publications were missed and follow. */
  readonly missed: number;
}

/** Publications are lost to this client: what it knows of the channel is no longer whole. */
export interface Gap {
  /** The last position that was seen. */
  readonly since: Position | undefined;
  /** Where the channel goes on. */
  readonly position: Position | undefined;
}

/** What a subscription tells. */
export interface SubscriptionEvents {
  subscribed: Subscribed;
  gap: Gap;
  message: Message;
  unsubscribed: VaivenError;
}

/** Takes what a subscription tells. */
export type Tell = <K extends keyof SubscriptionEvents>(type: K, detail: SubscriptionEvents[K]) => void;

/**
 * What the server knows of this subscription: nothing; that it is asked for, in words that still hold or not; that it
 * stands; that it stands and must end before it can begin anew; that it is to end.
 */
type Phase = 'away' | 'subscribing' | 'outdated' | 'live' | 'stale' | 'unsubscribing';

/** A fault of the server's that passes. */
const TRANSIENT: readonly unknown[] = ['rate', 'unavailable', 'internal'];
/** There is something of this channel that must go first. */
const ALREADY_SUBSCRIBED = 'already_subscribed';

/** A message for the server. */
interface Command extends SubscribeOptions {
  readonly type: 'subscribe' | 'unsubscribe';
  readonly channel: string;
}

export class Subscription {
  readonly channel: string;
  readonly #tell: Tell;
  readonly #delay: (attempt: number) => number;
  #options: SubscribeOptions = {};
  /** Whether the application wants to be subscribed. */
  #wanted = false;
  #phase: Phase = 'away';
  #position: Position | undefined;
  #contract: Contract | undefined;
  #latest: Subscribed | undefined;
  #failures = 0;
  /** Before this time the server is not asked again. */
  #retryAt = 0;

  constructor(channel: string, backoff: Backoff, random: () => number, tell: Tell) {
    this.channel = channel;
    this.#tell = tell;
    this.#delay = (attempt) => fullJitter(backoff, attempt, random);
  }

  /** Everything up to here has been given out. */
  get position(): Position | undefined {
    return this.#position;
  }

  get contract(): Contract | undefined {
    return this.#contract;
  }

  /** What the server said last, while the subscription stands. */
  get current(): Subscribed | undefined {
    return this.#wanted && this.#phase === 'live' ? this.#latest : undefined;
  }

  /** The application wants to be subscribed from now on. */
  want(options: SubscribeOptions): void {
    if (this.#wanted) return;
    this.#wanted = true;
    this.#options = options;
    this.#position = options.since;
    this.#failures = 0;
    this.#retryAt = 0;
    // What the server has in hand was wanted earlier, and with other options.
    if (this.#phase === 'live') this.#phase = 'stale';
    if (this.#phase === 'subscribing') this.#phase = 'outdated';
  }

  /** The application wants to be subscribed no longer, or the server does not let it. */
  leave(why: VaivenError): void {
    if (!this.#wanted) return;
    this.#wanted = false;
    this.#tell('unsubscribed', why);
  }

  /** When the server is to be asked something; never, where all is as it is wanted. */
  get commandAt(): number {
    if (this.#phase === 'away' && this.#wanted) return this.#retryAt;
    return this.#phase === 'stale' || (this.#phase === 'live' && !this.#wanted)
      ? 0
      : Number.POSITIVE_INFINITY;
  }

  /** The next message for the server, which is then under way. */
  command(): Command {
    const { channel } = this;
    if (this.#phase !== 'away') {
      this.#phase = 'unsubscribing';
      return { type: 'unsubscribe', channel };
    }
    this.#phase = 'subscribing';
    const { last, presence } = this.#options;
    return { type: 'subscribe', channel, since: this.#position, last, presence };
  }

  /** The connection is gone. */
  lost(): void {
    this.#phase = 'away';
    this.#retryAt = 0;
  }

  /** The server answered `subscribe`. */
  subscribed({ contract = 'volatile', epoch, offset, recovered, missed = 0 }: ServerMessage): void {
    if (this.#phase === 'outdated') {
      this.#phase = 'stale';
      return;
    }
    this.#phase = 'live';
    if (!this.#wanted) return;
    const since = this.#position;
    const position = epoch === undefined || offset === undefined ? undefined : { epoch, offset };
    this.#contract = contract;
    // What follows is judged by what was seen, wherever the server began.
    this.#position = recovered === true && since !== undefined ? since : position;
    this.#latest = { contract, position: this.#position, recovered, missed };
    this.#tell('subscribed', this.#latest);
    if (since !== undefined && recovered === false) this.#tell('gap', { since, position });
  }

  /** The server answered `unsubscribe`, with whatever. */
  left(): void {
    if (this.#phase === 'unsubscribing') this.#phase = 'away';
  }

  /** The server refused `subscribe`, or has ended the subscription. */
  refused(now: number, error: VaivenError): void {
    const isOutdated = this.#phase === 'outdated';
    this.#phase = error.code === ALREADY_SUBSCRIBED ? 'stale' : 'away';
    if (isOutdated) return;
    if (this.#phase === 'stale' || TRANSIENT.includes(error.code)) this.#postpone(now, error.retry);
    else this.leave(error);
  }

  /** A message of the channel has arrived. */
  received(now: number, { type: _, ...message }: ServerMessage): void {
    // What was under way when the subscription ended, or behind a gap, comes again if it is wanted.
    if (this.#phase !== 'live' || !this.#wanted) return;
    const position = this.#position;
    const { offset } = message;
    if (this.#contract === 'reliable' && position !== undefined && offset !== undefined) {
      if (offset <= position.offset) return;
      if (offset > position.offset + 1) {
        this.#phase = 'stale';
        // The first time at once: a server that has a gap again and again is not to be asked without a pause.
        if (this.#failures > 0) this.#postpone(now);
        else this.#failures = 1;
        return;
      }
      this.#position = { epoch: position.epoch, offset };
    }
    this.#failures = 0;
    this.#tell('message', message as unknown as Message);
  }

  #postpone(now: number, retry = 0): void {
    this.#failures += 1;
    this.#retryAt = now + Math.max(retry, this.#delay(this.#failures));
  }
}
