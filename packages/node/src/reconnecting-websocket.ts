/**
 * The class `ReconnectingWebSocket`: a `WebSocket` that comes back.
 *
 * When to try again is decided in reconnection.ts; here are the connections, the timer and the events.
 */

import { checkClose } from './close-code';
import { CLOSED, CLOSING, CONNECTING, OPEN, STATES } from './connection';
import { isTerminal, retryAfterOfHeaders, retryAfterOfReason } from './end-cause';
import { OpeningError } from './errors';
import { type CloseEvent, closeEvent, errorEvent } from './events';
import { type EventHandler, EventHandlers } from './handlers';
import { type MessageEvent, messageEvent } from './message-event';
import { MessageQueue, type QueuedMessage } from './message-queue';
import type { ClientOptions } from './options';
import { ReconnectingEvent, ReopenEvent } from './reconnecting-events';
import {
  type Address,
  type Attempt,
  type ReconnectingOptions,
  type ReconnectingSettings,
  type Subprotocols,
  settingsFrom,
} from './reconnecting-options';
import { type EndCause, Reconnection } from './reconnection';
import { asInterface, requireArguments, toClampedUnsignedShort, toUSVString } from './webidl';
import { connectionOf, type Sendable, toPayload, WebSocket } from './websocket';

/** What became of a message that was given to `send`. */
export type SendResult = 'sent' | 'queued' | 'refused';

/** The events of the socket by their names. */
export interface ReconnectingWebSocketEventMap {
  open: ReopenEvent;
  message: MessageEvent;
  reconnecting: ReconnectingEvent;
  error: Event;
  close: CloseEvent;
}

type Listener<Type extends keyof ReconnectingWebSocketEventMap> =
  | ((this: ReconnectingWebSocket, event: ReconnectingWebSocketEventMap[Type]) => unknown)
  | { handleEvent(event: ReconnectingWebSocketEventMap[Type]): unknown };

type ListenerOptions = Parameters<EventTarget['addEventListener']>[2];

export interface ReconnectingWebSocket {
  addEventListener<Type extends keyof ReconnectingWebSocketEventMap>(
    type: Type,
    listener: Listener<Type> | null,
    options?: ListenerOptions,
  ): void;
  addEventListener(...parameters: Parameters<EventTarget['addEventListener']>): void;
}

/** What a try is made with. */
type Ingredients = [
  url: string | URL,
  protocols: string | readonly string[] | undefined,
  options: ClientOptions,
];

/**
 * A connection to a WebSocket server that is made again when it is lost.
 *
 * ```js
 * const socket = new ReconnectingWebSocket('wss://host/path');
 * socket.onopen = ({ reconnected }) => console.log(reconnected ? 'back again' : 'connected');
 * socket.onmessage = ({ data }) => console.log(data);
 * socket.send('waits until there is a connection');
 * ```
 *
 * `close` and `error` fire at the very end only: when `close()` is called, and when trying again is pointless.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: it only gives addEventListener the types of the events.
export class ReconnectingWebSocket extends EventTarget {
  declare static readonly CONNECTING: 0;
  declare static readonly OPEN: 1;
  declare static readonly CLOSING: 2;
  declare static readonly CLOSED: 3;
  declare readonly CONNECTING: 0;
  declare readonly OPEN: 1;
  declare readonly CLOSING: 2;
  declare readonly CLOSED: 3;

  /** Whether trying again is pointless, unless the option of this name says otherwise. */
  static readonly isTerminal = isTerminal;

  readonly #address: Address;
  readonly #protocols: Subprotocols | undefined;
  readonly #options: ReconnectingOptions;
  readonly #settings: ReconnectingSettings;
  readonly #machine: Reconnection;
  readonly #queue: MessageQueue;
  readonly #handlers = new EventHandlers(this);
  /** The connection, or the one that is being made; none while a try waits. */
  #socket: WebSocket | undefined;
  #try: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #cause: EndCause | undefined;
  #readyState = CONNECTING;
  #url = '';
  #binaryType = 'blob';
  #wasOpen = false;
  #isRefed = true;

  /**
   * Begins to connect. URL, subprotocols and `options.connection` may each be a function that is asked before every try.
   *
   * Throws a `SyntaxError` (a DOMException) where a URL or subprotocols that are no functions cannot be used.
   */
  constructor(url: Address, protocols?: Subprotocols | ReconnectingOptions, options?: ReconnectingOptions) {
    super();
    requireArguments(arguments.length, 1, "construct 'ReconnectingWebSocket'");
    const isSecondForm = typeof protocols === 'object' && protocols !== null && !Array.isArray(protocols);
    this.#options = (isSecondForm ? protocols : (options ?? {})) as ReconnectingOptions;
    this.#address = url;
    this.#protocols = isSecondForm ? this.#options.protocols : (protocols as Subprotocols | undefined);
    this.#settings = settingsFrom(this.#options);
    this.#machine = new Reconnection(this.#settings.policy, Math.random);
    this.#queue = new MessageQueue(this.#settings.maxQueuedMessages, this.#settings.maxQueuedBytes);
    this.#machine.start(performance.now());
    this.#connect(true);
  }

  /** The URL of the connection, or of the last one. */
  get url(): string {
    return this.#url;
  }

  /** `CONNECTING` also while a try waits; `CLOSED` when there will be no other. */
  get readyState(): number {
    return this.#readyState;
  }

  /** Bytes that were given to `send` and did not leave yet. */
  get bufferedAmount(): number {
    const socket = this.#socket;
    // What a connection had when it was lost will never leave.
    const unsent = socket === undefined || socket.readyState === CLOSED ? 0 : socket.bufferedAmount;
    return unsent + this.#queue.bytes;
  }

  /** The extensions that the server chose. */
  get extensions(): string {
    return this.#socket?.extensions ?? '';
  }

  /** The subprotocol that the server chose. */
  get protocol(): string {
    return this.#socket?.protocol ?? '';
  }

  /** What binary messages arrive as: `blob` or `arraybuffer`. */
  get binaryType(): string {
    return this.#binaryType;
  }

  set binaryType(type: string) {
    if (type !== 'blob' && type !== 'arraybuffer') return;
    this.#binaryType = type;
    if (this.#socket !== undefined) this.#socket.binaryType = type;
  }

  get onopen(): EventHandler {
    return this.#handlers.get('open');
  }

  set onopen(value: ((this: ReconnectingWebSocket, event: ReopenEvent) => unknown) | null) {
    this.#handlers.set('open', value);
  }

  get onmessage(): EventHandler {
    return this.#handlers.get('message');
  }

  set onmessage(value: ((this: ReconnectingWebSocket, event: MessageEvent) => unknown) | null) {
    this.#handlers.set('message', value);
  }

  get onreconnecting(): EventHandler {
    return this.#handlers.get('reconnecting');
  }

  set onreconnecting(value: ((this: ReconnectingWebSocket, event: ReconnectingEvent) => unknown) | null) {
    this.#handlers.set('reconnecting', value);
  }

  get onerror(): EventHandler {
    return this.#handlers.get('error');
  }

  set onerror(value: ((this: ReconnectingWebSocket, event: Event) => unknown) | null) {
    this.#handlers.set('error', value);
  }

  get onclose(): EventHandler {
    return this.#handlers.get('close');
  }

  set onclose(value: ((this: ReconnectingWebSocket, event: CloseEvent) => unknown) | null) {
    this.#handlers.set('close', value);
  }

  /**
   * Sends a message, or keeps it until there is a connection. Says which, or that it did neither: behind the end, and
   * where more would wait than `maxQueuedMessages` and `maxQueuedBytes` allow.
   *
   * A message that is `sent` is lost with its connection if that ends before the server has read it: only the server can
   * say what it has read. It is not sent again, so that nothing arrives twice.
   */
  send(data: Sendable): SendResult;
  send(data: unknown): SendResult {
    requireArguments(arguments.length, 1, "execute 'send' on 'ReconnectingWebSocket'");
    const payload = toPayload(data);
    if (this.#readyState >= CLOSING) return 'refused';
    const bytes = payload instanceof Blob ? payload.size : Buffer.byteLength(payload as string | Uint8Array);
    const socket = this.#socket;
    if (socket?.readyState !== OPEN) return this.#queue.push(payload, bytes) ? 'queued' : 'refused';
    if (socket.bufferedAmount + bytes > this.#settings.maxQueuedBytes) return 'refused';
    socket.send(payload);
    return 'sent';
  }

  /** Takes out what waits for a connection, the oldest first: to keep it elsewhere, when there will be none. */
  takeQueued(): QueuedMessage[] {
    return this.#queue.takeAll();
  }

  /** How many messages wait for a connection. */
  get queuedMessages(): number {
    return this.#queue.length;
  }

  /** Ends the connection, and tries no more. Code and reason are for the other side, as those of `WebSocket`. */
  close(code?: number, reason?: string): void;
  close(code: unknown = undefined, reason: unknown = undefined): void {
    const status = code === undefined ? undefined : toClampedUnsignedShort(code);
    const text = reason === undefined ? '' : toUSVString(reason);
    const checked = checkClose("execute 'close' on 'ReconnectingWebSocket'", status, text);
    if (this.#readyState >= CLOSING) return;
    this.#readyState = CLOSING;
    this.#stop();
    const socket = this.#socket;
    if (socket !== undefined && socket.readyState !== CONNECTING && socket.readyState !== CLOSED) {
      socket.close(checked, text);
      return;
    }
    this.#drop();
    setImmediate(() => {
      if (this.#readyState === CLOSING) this.#end({ code: 1006, reason: '', wasClean: false });
    });
  }

  /** Connects anew and at once, whatever was: also behind the end, and in the place of a connection that is open. */
  reconnect(): void {
    this.#stop();
    this.#drop();
    this.#readyState = CONNECTING;
    this.#machine.start(performance.now());
    this.#connect(false);
  }

  /** Keeps the process alive until the end, as it does at first. */
  ref(): this {
    this.#isRefed = true;
    this.#timer?.ref();
    if (this.#socket !== undefined) connectionOf(this.#socket).ref();
    return this;
  }

  /** Lets the process end when nothing else is left to do. */
  unref(): this {
    this.#isRefed = false;
    this.#timer?.unref();
    if (this.#socket !== undefined) connectionOf(this.#socket).unref();
    return this;
  }

  /** Makes a try: in this very call where nothing has to be asked. */
  #connect(isFirst: boolean): void {
    const controller = new AbortController();
    this.#try = controller;
    this.#wakeAtDeadline();
    const parts = [this.#address, this.#protocols, this.#options.connection ?? {}];
    if (!parts.some((part) => typeof part === 'function')) {
      try {
        this.#open(parts as Ingredients);
      } catch (error) {
        if (isFirst) {
          this.#stop();
          throw error;
        }
        this.#failed(error);
      }
      return;
    }
    const { signal } = controller;
    const attempt: Attempt = { attempt: this.#machine.attempt, cause: this.#cause, signal };
    const asked = parts.map(async (part) => (typeof part === 'function' ? part(attempt as never) : part));
    Promise.all(asked)
      .then((given) => {
        if (!signal.aborted) this.#open(given as Ingredients);
      })
      .catch((error) => {
        if (!signal.aborted) this.#failed(error);
      });
  }

  #open([url, protocols, options]: Ingredients): void {
    const { keepalive } = this.#settings;
    const socket = new WebSocket(url, {
      ...(keepalive === undefined ? {} : { keepalive }),
      ...options,
      protocols: protocols ?? options.protocols,
    });
    this.#socket = socket;
    this.#url = socket.url;
    socket.binaryType = this.#binaryType;
    if (!this.#isRefed) connectionOf(socket).unref();
    let failure: Error | undefined;
    // A socket that was dropped has nothing to say any more.
    const heard = (listener: (event: never) => void) => (event: Event) => {
      if (this.#socket === socket) listener(event as never);
    };
    socket.addEventListener(
      'open',
      heard(() => this.#opened(socket)),
    );
    socket.addEventListener(
      'message',
      heard(({ data, origin }: MessageEvent) => {
        this.dispatchEvent(messageEvent(data, origin));
      }),
    );
    socket.addEventListener(
      'error',
      heard(({ error }: { error: Error }) => {
        failure = error;
      }),
    );
    socket.addEventListener(
      'close',
      heard((event: CloseEvent) => this.#closed(causeOf(event, failure))),
    );
  }

  #opened(socket: WebSocket): void {
    if (this.#readyState !== CONNECTING) return;
    this.#machine.opened(performance.now());
    clearTimeout(this.#timer);
    this.#readyState = OPEN;
    const event = new ReopenEvent(this.#wasOpen);
    this.#wasOpen = true;
    // First what the listeners send, who may have to introduce themselves, then what waited.
    this.dispatchEvent(event);
    if (this.#socket !== socket || socket.readyState !== OPEN) return;
    for (const message of this.#queue.takeAll()) socket.send(message);
  }

  /** A function that was asked has failed, or gave what no socket can be made with. */
  #failed(error: unknown): void {
    const cause = error instanceof Error ? error : new Error(String(error));
    this.#closed({ code: 1006, reason: '', wasClean: false, error: cause });
  }

  #closed(cause: EndCause): void {
    this.#cause = cause;
    clearTimeout(this.#timer);
    const retry = this.#readyState === CLOSING ? undefined : this.#machine.ended(performance.now(), cause);
    if (retry === undefined) {
      this.#end(cause);
      return;
    }
    this.#readyState = CONNECTING;
    this.#wakeAtDeadline();
    this.dispatchEvent(new ReconnectingEvent(retry, cause));
  }

  #end({ code, error, reason, wasClean }: EndCause): void {
    this.#readyState = CLOSED;
    if (error !== undefined) this.dispatchEvent(errorEvent(error));
    this.dispatchEvent(closeEvent(wasClean, code, reason));
  }

  #wakeAtDeadline(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#wake(), Math.max(this.#machine.deadline - performance.now(), 0));
    if (!this.#isRefed) this.#timer.unref();
  }

  #wake(): void {
    switch (this.#machine.handleTimeout(performance.now())) {
      case 'connect':
        this.#connect(false);
        break;
      case 'give up':
        this.#drop();
        this.#failed(Object.assign(new Error('the try to connect took too long'), { code: 'ETIMEDOUT' }));
        break;
      default:
        // Timers may fire a little early.
        this.#wakeAtDeadline();
    }
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#machine.stop();
  }

  /** Gives up the try that is under way, or lets go of the connection. */
  #drop(): void {
    this.#try?.abort();
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.close();
  }
}

for (const [value, name] of STATES.entries()) {
  for (const target of [ReconnectingWebSocket, ReconnectingWebSocket.prototype]) {
    Object.defineProperty(target, name, { value, enumerable: true });
  }
}

asInterface(ReconnectingWebSocket, 'ReconnectingWebSocket', [
  'url',
  'readyState',
  'bufferedAmount',
  'onopen',
  'onmessage',
  'onreconnecting',
  'onerror',
  'onclose',
  'extensions',
  'protocol',
  'binaryType',
  'send',
  'close',
  'reconnect',
]);

/** What the events of a socket say about its end. */
function causeOf({ code, reason, wasClean }: CloseEvent, error: Error | undefined): EndCause {
  const refusal = error?.cause instanceof OpeningError ? error.cause : undefined;
  return {
    code,
    reason,
    wasClean,
    status: refusal?.status,
    retryAfter:
      refusal === undefined ? retryAfterOfReason(reason) : retryAfterOfHeaders(refusal.headers, Date.now()),
    error,
  };
}
