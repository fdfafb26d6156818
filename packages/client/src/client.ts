/** The client: drives a session with real transports, timers and tokens, and passes on what it tells. */

import { Channel, type ChannelEvents, type Driver } from './channel.js';
import { Clock } from './clock.js';
import { Emitter } from './emitter.js';
import { type ClientOptions, readOptions, readUrl, webSocketClass } from './options.js';
import { watchPage } from './page.js';
import { LOST } from './reconnection.js';
import { type Action, Session, type SessionOptions, type State, type StateChange } from './session.js';
import { SseTransport } from './sse-transport.js';
import type { SubscribeOptions } from './subscription.js';
import type { Transport, TransportHandler } from './transport.js';
import type { TransportName } from './transport-choice.js';
import { WebSocketTransport } from './websocket-transport.js';

export interface ClientEvents {
  /** The client stands elsewhere now, or another try follows. */
  state: StateChange;
}

/** What a promise of the application waits for. */
interface Ticket {
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
}

/** The longest time that a timer takes. */
const MAX_TIMEOUT = 0x7fff_ffff;

export class Client extends Emitter<ClientEvents> {
  readonly #options: ClientOptions;
  readonly #sessionOptions: SessionOptions;
  readonly #webSocketUrl: string;
  readonly #httpUrl: string;
  readonly #session: Session;
  readonly #driver: Driver;
  readonly #clock = new Clock();
  readonly #channels = new Map<string, Channel>();
  readonly #tickets = new Map<number, Ticket>();
  readonly #transports = new Map<number, Transport>();
  #ticketCount = 0;
  #change: StateChange = { state: 'idle' };
  #isActing = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #unwatch: (() => void) | undefined;

  /** `url` is the address of the protocol, such as `wss://example.org/v1`. It connects when it is first used. */
  constructor(url: string | URL, options: ClientOptions = {}) {
    super();
    ({ webSocketUrl: this.#webSocketUrl, httpUrl: this.#httpUrl } = readUrl(url));
    this.#options = options;
    this.#sessionOptions = readOptions(options);
    this.#session = new Session(this.#sessionOptions, Math.random);
    this.#driver = {
      session: this.#session,
      ask: (call) => this.#ask(call),
      run: (call) => this.#run(call),
    };
  }

  get state(): State {
    return this.#change.state;
  }

  /** The name under which others know this client, while it is connected; it stays the same when it comes back. */
  get id(): string | undefined {
    return this.#change.client;
  }

  /** What carries the messages, while it is connected. */
  get transport(): TransportName | undefined {
    return this.#change.transport;
  }

  /** Connects, unless that is under way; also after the client has ended, and at once while it waits for the next try. */
  connect(): void {
    this.#run((session, now) => session.connect(now));
  }

  /** Ends the client. What waits is rejected. */
  close(): void {
    this.#run((session) => session.close());
  }

  /** The channel of this name, always the same; options count when it is named for the first time. */
  channel(name: string, options: SubscribeOptions = {}): Channel {
    let channel = this.#channels.get(name);
    if (channel === undefined) {
      channel = new Channel(this.#driver, name, options);
      this.#channels.set(name, channel);
    }
    return channel;
  }

  #ask<T>(call: (session: Session, now: number, ticket: number) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#ticketCount += 1;
      const ticket = this.#ticketCount;
      this.#tickets.set(ticket, { resolve, reject });
      this.#run((session, now) => call(session, now, ticket));
    });
  }

  #run(call: (session: Session, now: number) => void): void {
    call(this.#session, this.#clock.now());
    // A listener that calls the client finds it consistent, and what it asks for is done behind what came before.
    if (this.#isActing) return;
    this.#isActing = true;
    for (
      let actions = this.#session.takeActions();
      actions.length > 0;
      actions = this.#session.takeActions()
    ) {
      for (const action of actions) this.#act(action);
    }
    this.#isActing = false;
    this.#setTimer();
  }

  #act(action: Action): void {
    switch (action.type) {
      case 'token':
        void this.#getToken(action.request);
        break;
      case 'open':
        this.#open(action.connection, action.transport, action.token);
        break;
      case 'send':
        this.#transports.get(action.connection)?.send(action.message);
        break;
      case 'close':
        this.#transports.get(action.connection)?.close();
        this.#transports.delete(action.connection);
        break;
      case 'settle':
        this.#settle(action.ticket, action.value, action.error);
        break;
      case 'state':
        this.#changed(action.change);
        break;
      case 'tell':
        this.#deliver(action.channel, action.event, action.detail);
        break;
      case 'presence': {
        const { count = 0, joined = [], left = [] } = action.message;
        this.#deliver(action.channel, 'presence', { count, joined, left });
      }
    }
  }

  async #getToken(request: number): Promise<void> {
    const { token: source } = this.#options;
    try {
      const token = typeof source === 'function' ? await source() : source;
      this.#run((session, now) => session.gotToken(now, request, token));
    } catch (error) {
      this.#run((session, now) => session.gotNoToken(now, request, error));
    }
  }

  #open(connection: number, transport: TransportName, token: string | undefined): void {
    const handler: TransportHandler = {
      opened: () => this.#run((session, now) => session.opened(now, connection)),
      received: (message) => this.#run((session, now) => session.received(now, connection, message)),
      ended: (cause) => {
        this.#transports.delete(connection);
        this.#run((session, now) => session.ended(now, connection, cause));
      },
    };
    try {
      this.#transports.set(connection, this.#makeTransport(transport, token, handler));
    } catch (error) {
      const cause = { code: LOST, reason: 'no connection can be made', error };
      this.#run((session, now) => session.ended(now, connection, cause));
    }
  }

  #makeTransport(name: TransportName, token: string | undefined, handler: TransportHandler): Transport {
    const { session } = this.#sessionOptions;
    const WebSocket = webSocketClass(this.#options);
    return name === 'websocket' && WebSocket !== undefined
      ? new WebSocketTransport(WebSocket, this.#webSocketUrl, handler)
      : new SseTransport({ url: this.#httpUrl, token, session }, handler);
  }

  #settle(number: number, value: unknown, error: unknown): void {
    const ticket = this.#tickets.get(number);
    this.#tickets.delete(number);
    if (error === undefined) ticket?.resolve(value as never);
    else ticket?.reject(error);
  }

  #changed(change: StateChange): void {
    this.#change = change;
    if (change.state === 'closed') {
      this.#unwatch?.();
      this.#unwatch = undefined;
    } else this.#unwatch ??= watchPage(() => this.#run((session, now) => session.wake(now)));
    this.emit('state', change);
  }

  #deliver<K extends keyof ChannelEvents>(name: string, event: K, detail: ChannelEvents[K]): void {
    this.#channels.get(name)?.deliver(event, detail);
  }

  /** A timer that comes too early costs less than a new one for every message. */
  #setTimer(): void {
    const { deadline } = this.#session;
    const isEnough = this.#timer !== undefined && this.#timerAt <= deadline;
    // With nothing to wait for, a timer would keep a process alive.
    if (isEnough && deadline !== Number.POSITIVE_INFINITY) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerAt = deadline;
    if (deadline === Number.POSITIVE_INFINITY) return;
    const delay = Math.min(Math.max(0, Math.ceil(deadline - this.#clock.now())), MAX_TIMEOUT);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#run((session, now) => session.handleTimeout(now));
    }, delay);
  }
}
