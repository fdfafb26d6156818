/**
 * A connection from its opening to its end: the states of the WebSockets Standard over an opening handshake and a
 * link. What is told to the application, and when, is the business of the two classes that extend this one: one for
 * the events of the standard, one for those of npm `ws`.
 */

import type { Blob } from 'node:buffer';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { OpeningError, violationError } from './errors';
import { type Kind, Link, type LinkHandler } from './link';
import { type Opened, Opening, type OpeningListener, type OpeningPlan } from './opening';
import type { Keepalive, Limits } from './options';
import type { Rate } from './rate';
import { type Done, SendQueue } from './send-queue';

export type { Done };

export const CONNECTING = 0;
export const OPEN = 1;
export const CLOSING = 2;
export const CLOSED = 3;
/** Milliseconds that the peer has to end its direction of the transport, once all that this side says is written. */
const END_TIMEOUT = 1000;
/** The states by their names. */
export const STATES = ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'] as const;

/** What happens to a message that would make more wait than `maxBufferedAmount`. */
export type BufferPolicy = 'close' | 'drop';

/** How a connection behaves. */
export interface ConnectionSettings {
  limits: Limits;
  autoPong: boolean;
  keepalive?: Keepalive | undefined;
  maxBufferedAmount?: number;
  bufferPolicy?: BufferPolicy;
  messageRate?: Rate | undefined;
}

/** A connection as a socket object sees it. */
export abstract class Connection implements LinkHandler, OpeningListener {
  readyState = CONNECTING;
  url = '';
  protocol = '';
  extensions = '';
  binaryType: string;
  /** The request of the opening handshake, while there is one. */
  request: ClientRequest | undefined;
  isPaused = false;
  protected link: Link | undefined;
  protected settings: ConnectionSettings;
  /** The code and reason of the first Close frame that came (RFC 6455 sections 7.1.5 and 7.1.6). */
  protected closeCode = 1006;
  protected closeReason = '';
  /** Whether a Close frame came: it is answered, so the connection ends cleanly. */
  protected isCloseReceived = false;
  /** Payload bytes that were given to `send` when it was too late: the standard counts them, and for good. */
  protected lateBytes = 0;
  #lastLink: Link | undefined;
  #opening: Opening | undefined;
  #queue: SendQueue | undefined;
  #closeTimer: NodeJS.Timeout | undefined;
  #isRefed = true;

  constructor(binaryType: string, settings: ConnectionSettings) {
    this.binaryType = binaryType;
    this.settings = settings;
  }

  /** The connection is open. */
  protected abstract onOpen(): void;
  /** There will be no connection. */
  protected abstract onFailed(error: Error): void;
  /** The peer broke a rule: the connection is failed, and ends soon. */
  protected abstract onViolation(error: Error): boolean;
  /** Nothing follows. The error is there where the connection was lost. */
  protected abstract onEnd(error: Error | undefined): boolean;
  /** Runs a task of its own. */
  protected abstract queueTask(task: () => void): void;

  abstract message(bytes: Buffer, start: number, end: number, kind: Kind, owned: boolean): boolean;
  abstract ping(payload: Buffer): boolean;
  abstract pong(payload: Buffer): boolean;
  abstract answered(request: ClientRequest, response: IncomingMessage): boolean;
  abstract upgraded(response: IncomingMessage): void;
  abstract redirected(url: URL, request: ClientRequest): void;
  abstract readonly hearsRedirects: boolean;

  /** Begins the opening handshake. */
  open(plan: OpeningPlan): void {
    this.url = plan.url.href;
    this.#opening = new Opening(plan, this);
    this.#opening.start();
  }

  /** Takes over a stream on which the opening handshake is done. */
  adopt(role: 'client' | 'server', { stream, head, agreed }: Opened): void {
    const { autoPong, keepalive, limits } = this.settings;
    this.protocol = agreed.subprotocol;
    this.extensions = agreed.extensions;
    this.link = Link.attach(
      stream,
      head,
      {
        role,
        maxPayload: limits.maxPayload,
        maxFragments: limits.maxFragments,
        deflate: agreed.deflate ?? undefined,
        autoPong,
        keepalive,
        socket: 'released',
      },
      this,
    );
    if (!this.#isRefed) this.link.unref();
    this.readyState = OPEN;
    this.onOpen();
  }

  /** The stream below; there from the opening on, also after the end. */
  get stream(): Duplex | undefined {
    return (this.link ?? this.#lastLink)?.transport.socket;
  }

  requested(request: ClientRequest): void {
    this.request = request;
    if (!this.#isRefed) request.once('socket', (socket) => socket.unref());
  }

  opened(opened: Opened): void {
    this.#opening = undefined;
    this.request = undefined;
    this.adopt('client', opened);
  }

  failed(error: Error): void {
    this.#opening = undefined;
    this.request = undefined;
    this.onFailed(error);
  }

  /** What was given to `send` and did not leave yet, in payload bytes. */
  get bufferedAmount(): number {
    return (this.link?.bufferedAmount ?? 0) + (this.#queue?.bytes ?? 0) + this.lateBytes;
  }

  /** Gives the payload's length in bytes, which is found out by encoding it. */
  sendText(text: string | Uint8Array, compress: boolean | undefined, done?: Done): number {
    if (this.#queue === undefined) return this.link?.sendText(text, compress, done) ?? 0;
    const kept = this.#kept(text);
    const bytes = Buffer.byteLength(text);
    this.inOrder(bytes, (link) => link.sendText(kept, compress, done), done);
    return bytes;
  }

  sendBinary(bytes: Uint8Array, compress: boolean | undefined, done?: Done): void {
    if (this.#queue === undefined) this.link?.sendBinary(bytes, compress, done);
    else {
      const kept = this.#kept(bytes);
      this.inOrder(bytes.length, (link) => link.sendBinary(kept, compress, done), done);
    }
  }

  /** The link, where what is sent now need not wait for something sent before. */
  get sharedLink(): Link | undefined {
    return this.#queue === undefined && this.link?.isShareable ? this.link : undefined;
  }

  /** Sends a part of a message that goes on. */
  sendFragment(data: string | Uint8Array, isText: boolean, done?: Done): void {
    const kept = this.#kept(data);
    this.inOrder(Buffer.byteLength(data), (link) => link.sendFragment(kept, isText, false, done), done);
  }

  sendBlob(blob: Blob, isBinary: boolean, compress: boolean | undefined, done?: Done): void {
    this.#queue ??= new SendQueue(
      () => {
        this.#queue = undefined;
      },
      (error) => this.fail(error),
    );
    const send = isBinary ? 'sendBinary' : 'sendText';
    this.#queue.pushBlob(
      blob,
      (data) => this.#onLink((link) => link[send](data, compress, done), done),
      done,
    );
  }

  /** Whether there is a limit to what may wait. */
  get isBounded(): boolean {
    return this.settings.maxBufferedAmount !== undefined;
  }

  /**
   * Whether so many payload bytes more may wait. Where they may not, the message is refused with an error, and the
   * policy may end the connection: with 1013, so that the peer knows to come back and ask for what it missed.
   */
  admit(bytes: number, done?: Done): boolean {
    const { bufferPolicy, maxBufferedAmount = Number.POSITIVE_INFINITY } = this.settings;
    const { bufferedAmount } = this;
    if (bufferedAmount + bytes <= maxBufferedAmount) return true;
    const message = `the message was not sent: ${bufferedAmount} bytes wait and maxBufferedAmount is ${maxBufferedAmount}`;
    if (done !== undefined) {
      process.nextTick(done, Object.assign(new Error(message), { code: 'ERR_VAIVEN_BUFFER_FULL' }));
    }
    if (bufferPolicy === 'close') this.close(1013, 'slow consumer: reconnect to go on');
    return false;
  }

  /** Counts what is given to `send` when it is too late, and says so. */
  refuse(bytes: number, done?: Done): void {
    this.lateBytes += bytes;
    const state = `readyState ${this.readyState} (${STATES[this.readyState]})`;
    if (done !== undefined) process.nextTick(done, new Error(`WebSocket is not open: ${state}`));
  }

  sendControl(kind: 'ping' | 'pong', payload: Uint8Array, done?: Done): void {
    const kept = this.#kept(payload);
    this.inOrder(
      0,
      (link) => {
        link[kind](kept);
        if (done !== undefined) process.nextTick(done);
      },
      done,
    );
  }

  /** What is sent is what the bytes are now, whatever becomes of them until the Blob before them is read. */
  #kept<Data extends string | Uint8Array>(data: Data): Data | Uint8Array {
    return this.#queue === undefined || typeof data === 'string' ? data : new Uint8Array(data);
  }

  /** Sends behind all that waits to be sent. */
  protected inOrder(bytes: number, send: (link: Link) => void, done?: Done): void {
    if (this.#queue === undefined) this.#onLink(send, done);
    else this.#queue.push(bytes, () => this.#onLink(send, done), done);
  }

  #onLink(send: (link: Link) => void, done: Done | undefined): void {
    if (this.link !== undefined) send(this.link);
    else done?.(new Error('The socket was closed while the blob was being read'));
  }

  /** Begins the closing handshake, or gives up the opening one. */
  close(code?: number, reason = ''): void {
    if (this.readyState === CONNECTING) this.#giveUp();
    else if (this.readyState === OPEN) {
      this.readyState = CLOSING;
      this.#startCloseTimer();
      this.inOrder(0, (link) => link.close(code, reason));
    }
  }

  /** Ends the connection with a Close frame, and without waiting for one: the peer does as it should not. */
  protected end(code: number, reason: string): void {
    this.readyState = CLOSING;
    this.#startCloseTimer();
    this.inOrder(0, (link) => {
      link.close(code, reason);
      link.end();
    });
  }

  /** Ends the connection at once, whatever waits. */
  terminate(): void {
    if (this.readyState === CONNECTING) this.#giveUp();
    else if (this.readyState !== CLOSED) {
      this.readyState = CLOSING;
      this.link?.abort();
    }
  }

  /** Fails the connection for a reason on this side. */
  fail(error: Error): void {
    if (this.readyState === CLOSED) return;
    this.terminate();
    this.onViolation(error);
  }

  pause(): void {
    if (this.readyState === CONNECTING || this.readyState === CLOSED) return;
    this.isPaused = true;
    this.link?.pause();
  }

  resume(): void {
    if (this.readyState === CONNECTING || this.readyState === CLOSED) return;
    this.isPaused = false;
    this.link?.resume();
  }

  /** Keeps the process alive while the connection is there, as it does at first. */
  ref(): void {
    this.#isRefed = true;
    this.link?.ref();
    this.request?.socket?.ref();
  }

  /** Lets the process end although the connection is there. */
  unref(): void {
    this.#isRefed = false;
    this.link?.unref();
    this.request?.socket?.unref();
  }

  closeFrame(code: number, reason: string): boolean {
    if (!this.isCloseReceived) {
      this.isCloseReceived = true;
      this.closeCode = code;
      this.closeReason = reason;
    }
    if (this.readyState === OPEN) this.readyState = CLOSING;
    // A client waits for the server to end the connection (RFC 6455 section 7.1.1), but not for ever.
    this.#startCloseTimer();
    return false;
  }

  violation(code: number, name: string, text: string): boolean {
    this.readyState = CLOSING;
    this.#startCloseTimer();
    return this.onViolation(violationError(code, name, text));
  }

  ended(error: NodeJS.ErrnoException | null): boolean {
    clearTimeout(this.#closeTimer);
    if (this.readyState === CLOSED) return false;
    // Bytes that never left stay in the count.
    this.lateBytes = this.bufferedAmount;
    this.#lastLink = this.link;
    this.link = undefined;
    this.#queue = undefined;
    const isLost = this.readyState === OPEN;
    return this.onEnd(isLost ? (error ?? lost()) : undefined);
  }

  drained(): void {}

  /** Who has said its last ends the connection (RFC 6455 section 7.1.1); a peer that does not end it as well is not waited for. */
  finished(): void {
    clearTimeout(this.#closeTimer);
    this.#endIn(Math.min(END_TIMEOUT, this.settings.limits.closeTimeout));
  }

  #giveUp(): void {
    this.readyState = CLOSING;
    this.#opening?.abort();
    const error = new OpeningError(
      'WS_ERR_CLOSED_EARLY',
      'WebSocket was closed before the connection was established',
    );
    this.queueTask(() => this.failed(error));
  }

  #startCloseTimer(): void {
    if (this.#closeTimer === undefined) this.#endIn(this.settings.limits.closeTimeout);
  }

  #endIn(milliseconds: number): void {
    this.#closeTimer = setTimeout(() => this.link?.abort(), milliseconds);
    // The connection itself keeps the process alive as long as it is there.
    this.#closeTimer.unref();
  }
}

function lost(): Error {
  return Object.assign(new Error('the connection ended without a Close frame'), {
    code: 'WS_ERR_CONNECTION_LOST',
  });
}
