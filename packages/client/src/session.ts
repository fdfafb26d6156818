/**
 * A client's session as a state machine: what happened goes in with its time, what is to be done comes out.
 *
 * It knows no DOM, no socket, no timer and no source of randomness. Whoever drives it opens connections, tells what
 * became of them, does what `takeActions` gives, and calls `handleTimeout` when `deadline` has come. What is said over a
 * connection that stands is `Conversation`'s; here is how one comes about and ends.
 */

import { Conversation, DEFAULT_PING, type News } from './conversation.js';
import { VaivenError } from './errors.js';
import { Liveness } from './liveness.js';
import {
  type Body,
  decode,
  encode,
  type Incoming,
  type Outgoing,
  type Position,
  type ServerMessage,
} from './protocol.js';
import type { PublishOptions, QueueLimits } from './publications.js';
import { type Backoff, type EndCause, isTerminal, LOST, Reconnection, UNAUTHORIZED } from './reconnection.js';
import type { Question } from './requests.js';
import type { SubscribeOptions } from './subscription.js';
import { TransportChoice, type TransportName } from './transport-choice.js';

/** Where a client stands. */
export type State = 'idle' | 'connecting' | 'connected' | 'reconnecting' | 'closed';

/** That it stands elsewhere now, why, and what follows. */
export interface StateChange {
  readonly state: State;
  /** The close code of the connection that ended; 1006 where it was lost or did not come about. */
  readonly code?: number;
  readonly reason?: string;
  /** Which try comes next since the last good connection. */
  readonly attempt?: number;
  /** Milliseconds until it is made. */
  readonly delay?: number;
  /** The name under which others know this client, once it is connected. */
  readonly client?: string | undefined;
  readonly transport?: TransportName;
  /** What went wrong, where something was thrown. */
  readonly error?: unknown;
}

/** What the driver is to do, in this order. */
export type Action =
  /** Get a token, then call `gotToken` or `gotNoToken` with this number. */
  | { type: 'token'; request: number }
  /** Open a connection, then call `opened` and `received`, and `ended` once, with its number. */
  | { type: 'open'; connection: number; transport: TransportName; token: string | undefined }
  | { type: 'send'; connection: number; message: Outgoing }
  /** End it; nothing is to be said of it any more. */
  | { type: 'close'; connection: number }
  | { type: 'state'; change: StateChange }
  | News;

export interface SessionOptions {
  /** The secret under which the server knows this client again. */
  readonly session: string;
  readonly transports: readonly TransportName[];
  /** Whether there is somebody to ask for a token. */
  readonly hasToken: boolean;
  readonly backoff: Backoff;
  /** Milliseconds that each step to a connection may take: the token, the opening, the welcome. */
  readonly connectTimeout: number;
  readonly queue: QueueLimits;
}

/** How long after a token could not be had it is asked for again, while the connection stands. */
const REFRESH_AGAIN_AFTER = 2_000;
const NEVER = Number.POSITIVE_INFINITY;

type Phase = 'idle' | 'token' | 'opening' | 'joining' | 'live' | 'waiting' | 'closed';

export class Session {
  readonly #options: SessionOptions;
  readonly #reconnection: Reconnection;
  readonly #choice: TransportChoice;
  readonly #liveness = new Liveness();
  readonly #conversation: Conversation;
  #actions: Action[] = [];
  #phase: Phase = 'idle';
  /** When the phase has lasted too long. */
  #phaseEnds = NEVER;
  /** Connections are counted, so that what an earlier one says late is told from what this one says. */
  #connections = 0;
  #connection = 0;
  #transport: TransportName = 'websocket';
  /** A WebSocket that is tried while a stream of events stands; 0 where there is none. */
  #upgrade = 0;
  #upgradeEnds = NEVER;
  #tokenRequests = 0;
  #token: string | undefined;
  #refused: { readonly token: string | undefined } | undefined;
  #refreshAt = NEVER;
  /** Why the client has ended. */
  #ending: EndCause = { code: 1000, reason: '' };

  constructor(options: SessionOptions, random: () => number) {
    const { backoff, queue, transports } = options;
    this.#options = options;
    this.#reconnection = new Reconnection(backoff, random);
    this.#choice = new TransportChoice(transports);
    const send = (message: Outgoing) => this.#act({ type: 'send', connection: this.#connection, message });
    const tell = (news: News) => this.#act(news);
    this.#conversation = new Conversation({ backoff, queue, random, send, tell });
  }

  /** What is to be done, once. */
  takeActions(): Action[] {
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  // What the application wants. Whatever it is, it connects a client that has not been used yet.

  connect(now: number): void {
    if (this.#phase === 'waiting') this.wake(now);
    if (this.#phase !== 'idle' && this.#phase !== 'closed') return;
    this.#reconnection.reset();
    this.#refused = undefined;
    this.#act({ type: 'state', change: { state: 'connecting' } });
    this.#try(now);
  }

  /** Ends the client. What waits is rejected. */
  close(): void {
    if (this.#phase !== 'closed') this.#terminate({ code: 1000, reason: 'it was closed' });
  }

  subscribe(now: number, ticket: number, channel: string, options: SubscribeOptions): void {
    this.#want(now, ticket, () => this.#conversation.subscribe(ticket, channel, options));
  }

  unsubscribe(now: number, channel: string): void {
    this.#conversation.unsubscribe(channel);
    this.#conversation.flush(now);
  }

  /** The position up to which everything of a channel has been given out. */
  position(channel: string): Position | undefined {
    return this.#conversation.position(channel);
  }

  /** Without a body the publication holds its place until `provide` or `withdraw` is called. */
  publish(now: number, ticket: number, channel: string, options: PublishOptions, body?: Body): void {
    this.#want(now, ticket, () => this.#conversation.publish(ticket, channel, options, body));
  }

  provide(now: number, ticket: number, body: Body): void {
    this.#conversation.provide(ticket, body);
    this.#conversation.flush(now);
  }

  withdraw(now: number, ticket: number, error: VaivenError): void {
    this.#conversation.withdraw(ticket, error);
    this.#conversation.flush(now);
  }

  request(now: number, ticket: number, question: Question): void {
    this.#want(now, ticket, () => this.#conversation.request(ticket, question));
  }

  // What the driver tells.

  gotToken(now: number, request: number, token: string | undefined): void {
    if (request !== this.#tokenRequests) return;
    if (this.#phase === 'live') this.#refresh(token);
    if (this.#phase !== 'token') return;
    if (this.#refused !== undefined && token === this.#refused.token) {
      this.#terminate({
        code: UNAUTHORIZED,
        reason: 'the server has refused its token, and there is no other',
      });
      return;
    }
    this.#token = token;
    this.#open(now);
  }

  gotNoToken(now: number, request: number, error: unknown): void {
    if (request !== this.#tokenRequests) return;
    if (this.#phase === 'live') this.#refreshAt = now + REFRESH_AGAIN_AFTER;
    else if (this.#phase === 'token') this.#end(now, { code: LOST, reason: 'there was no token', error });
  }

  opened(now: number, connection: number): void {
    if (connection === this.#upgrade) {
      this.#upgrade = 0;
      this.#act({ type: 'close', connection: this.#connection });
      this.#leave();
      this.#connection = connection;
      this.#transport = 'websocket';
      this.#join(now);
    } else if (connection === this.#connection && this.#phase === 'opening') this.#join(now);
  }

  received(now: number, connection: number, incoming: Incoming): void {
    if (connection !== this.#connection || !this.#isOpen) return;
    const message = decode(incoming);
    if (message === undefined) {
      this.#abandon(now, { code: LOST, reason: 'the server sent what is no message of this protocol' });
      return;
    }
    this.#liveness.heard(now);
    this.#handle(now, message);
    this.#conversation.flush(now);
  }

  ended(now: number, connection: number, cause: EndCause): void {
    if (connection === this.#upgrade) {
      this.#upgrade = 0;
      this.#upgradeEnds = NEVER;
      this.#choice.upgradeFailed(now);
    } else if (connection === this.#connection && (this.#isOpen || this.#phase === 'opening')) {
      this.#end(now, cause);
    }
  }

  /** There is reason to look whether the connection still stands, or to hope that one can be made. */
  wake(now: number): void {
    if (this.#phase === 'live' && this.#liveness.probe(now)) this.#ping();
    if (this.#phase !== 'waiting') return;
    this.#reconnection.hurry(now);
    this.handleTimeout(now);
  }

  /** When `handleTimeout` is to be called. */
  get deadline(): number {
    const times = [this.#phaseEnds, this.#conversation.deadline];
    if (this.#phase === 'waiting') times.push(this.#reconnection.retryAt);
    if (this.#phase === 'live') {
      times.push(this.#liveness.deadline, this.#refreshAt, this.#choice.upgradeAt, this.#upgradeEnds);
    }
    return Math.min(...times);
  }

  /** Acts on the time `now`, whether the deadline has come or not. */
  handleTimeout(now: number): void {
    this.#conversation.flush(now);
    if (now >= this.#phaseEnds) this.#abandon(now, { code: LOST, reason: 'it took too long to connect' });
    if (this.#phase === 'waiting' && now >= this.#reconnection.retryAt) this.#try(now);
    if (this.#phase !== 'live') return;
    const verdict = this.#liveness.check(now);
    if (verdict === 'ask') this.#ping();
    if (verdict === 'dead') this.#abandon(now, { code: LOST, reason: 'the server was silent for too long' });
    else this.#maintain(now);
  }

  // A connection, from the try to its end.

  #try(now: number): void {
    this.#reconnection.began();
    if (this.#options.hasToken) {
      this.#enter('token', now);
      this.#askForToken();
    } else this.#open(now);
  }

  #open(now: number): void {
    this.#enter('opening', now);
    this.#transport = this.#choice.next;
    this.#connection = this.#connect(this.#transport);
  }

  #connect(transport: TransportName): number {
    this.#connections += 1;
    this.#act({ type: 'open', connection: this.#connections, transport, token: this.#token });
    return this.#connections;
  }

  /** A stream of events says who it is in the headers of its request; a WebSocket in its first message. */
  #join(now: number): void {
    this.#enter('joining', now);
    if (this.#transport !== 'websocket') return;
    const { session } = this.#options;
    this.#conversation.ask({ type: 'connect', token: this.#token, session }, (then, answer) => {
      if (!(answer instanceof VaivenError)) this.#welcomed(then, answer);
      else this.#abandon(then, { code: LOST, reason: answer.message, error: answer });
    });
  }

  #welcomed(now: number, message: ServerMessage): void {
    if (this.#phase !== 'joining') return;
    this.#enter('live');
    this.#reconnection.welcomed(now);
    this.#choice.worked(now, this.#transport);
    this.#liveness.reset(now, message.ping ?? DEFAULT_PING);
    this.#conversation.begin(now, message);
    const { client } = message;
    this.#act({ type: 'state', change: { state: 'connected', transport: this.#transport, client } });
  }

  #handle(now: number, message: ServerMessage): void {
    const { code, reason = '', retry } = message;
    if (message.type === 'disconnect') this.#abandon(now, { code: Number(code), reason, retry });
    else if (message.type === 'refresh') this.#askForToken();
    else if (message.type === 'welcome' && this.#transport === 'sse') this.#welcomed(now, message);
    else this.#conversation.handle(now, message);
  }

  /** Gives a connection up that the other side has not ended. */
  #abandon(now: number, cause: EndCause): void {
    this.#act({ type: 'close', connection: this.#connection });
    this.#end(now, cause);
  }

  #end(now: number, cause: EndCause): void {
    const { code, reason, error } = cause;
    const cameAbout = this.#phase === 'live' || code !== LOST;
    const wasTried = this.#phase === 'opening' || this.#phase === 'joining';
    this.#leave();
    if (code === UNAUTHORIZED) this.#refused = { token: this.#token };
    if (isTerminal(code) || (code === UNAUTHORIZED && !this.#options.hasToken)) {
      this.#terminate(cause);
      return;
    }
    const atOnce = wasTried && !cameAbout && this.#choice.failed(this.#transport);
    this.#reconnection.ended(now, cause, atOnce);
    this.#enter('waiting');
    const { attempt, retryAt } = this.#reconnection;
    this.#act({
      type: 'state',
      change: { state: 'reconnecting', code, reason, attempt, delay: retryAt - now, error },
    });
  }

  /** Nothing is under way on this connection any more. */
  #leave(): void {
    if (this.#upgrade !== 0) this.#act({ type: 'close', connection: this.#upgrade });
    this.#upgrade = 0;
    this.#upgradeEnds = NEVER;
    this.#refreshAt = NEVER;
    this.#conversation.lost();
  }

  #terminate(cause: EndCause): void {
    const { code, reason, error } = cause;
    this.#leave();
    if (this.#connection !== 0) this.#act({ type: 'close', connection: this.#connection });
    this.#connection = 0;
    this.#enter('closed');
    this.#ending = cause;
    this.#conversation.close(closed(cause));
    this.#act({ type: 'state', change: { state: 'closed', code, reason, error } });
  }

  // While a connection stands.

  #maintain(now: number): void {
    if (now >= this.#refreshAt) this.#askForToken();
    if (now >= this.#upgradeEnds) {
      this.#act({ type: 'close', connection: this.#upgrade });
      this.ended(now, this.#upgrade, { code: LOST, reason: 'it took too long' });
    }
    if (now < this.#choice.upgradeAt) return;
    this.#choice.upgrading();
    this.#upgrade = this.#connect('websocket');
    this.#upgradeEnds = now + this.#options.connectTimeout;
  }

  /** Asked is whoever connects, and whoever is connected with a token that ends soon. */
  #askForToken(): void {
    this.#refreshAt = NEVER;
    if (!this.#options.hasToken) return;
    this.#tokenRequests += 1;
    this.#act({ type: 'token', request: this.#tokenRequests });
  }

  /** The server judges the token: a bad one, or the old one again, ends the connection when its time has come. */
  #refresh(token: string | undefined): void {
    if (token === undefined || token === this.#token) return;
    this.#token = token;
    this.#conversation.ask({ type: 'refresh', token }, () => {});
  }

  #ping(): void {
    this.#act({ type: 'send', connection: this.#connection, message: encode({ type: 'ping' }) });
  }

  get #isOpen(): boolean {
    return this.#phase === 'joining' || this.#phase === 'live';
  }

  #want(now: number, ticket: number, action: () => void): void {
    if (this.#phase === 'closed') {
      this.#act({ type: 'settle', ticket, error: closed(this.#ending) });
      return;
    }
    this.connect(now);
    action();
    this.#conversation.flush(now);
  }

  #enter(phase: Phase, now = NEVER): void {
    this.#phase = phase;
    this.#phaseEnds = now + this.#options.connectTimeout;
  }

  #act(action: Action): void {
    this.#actions.push(action);
  }
}

function closed(cause: EndCause): VaivenError {
  return new VaivenError('closed', `the client has ended: ${cause.reason}`, { cause });
}
