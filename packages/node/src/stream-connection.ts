/**
 * A connection whose messages travel through streams (WebSocketStream explainer, "Feedback to WebSocketStream from the
 * protocol").
 *
 * Whoever does not read is not sent to: while the readable's queue is full nothing is read from the network. Whoever
 * writes is held up: a write is over when its bytes are handed to the system.
 */

import { ReadableStream, type ReadableStreamDefaultController, WritableStream } from 'node:stream/web';
import { checkClose } from './close-code';
import { CLOSED, Connection, type ConnectionSettings, OPEN } from './connection';
import { explain } from './errors';
import { Kind } from './link';
import { toArrayBuffer, toBufferSource, toText } from './message-data';
import { toUSVString } from './webidl';
import { connectionError, WebSocketError } from './websocket-error';

/** The longest message, in bytes or UTF-16 units, that is expected to be handed to the system in one go. */
const MAX_SHORT = 64 * 1024;

/** What `opened` gives. */
export interface WebSocketOpenInfo {
  /** The messages of the server: text as strings, binary as Uint8Arrays. */
  readable: ReadableStream<string | Uint8Array>;
  /** Messages for the server: strings as text, buffers and views of them as binary. */
  writable: WritableStream<string | ArrayBuffer | NodeJS.ArrayBufferView>;
  extensions: string;
  protocol: string;
}

/** A WritableStreamDefaultController, whose signal Node's types lack. */
interface WritableController {
  readonly signal: AbortSignal;
  error(reason: Error): void;
}

/** What `closed` gives. */
export type CloseReport = Readonly<{ closeCode: number; reason: string }>;

export class StreamConnection extends Connection {
  readonly whenOpened = new Deferred<WebSocketOpenInfo>();
  readonly whenClosed = new Deferred<CloseReport>();
  #readable: ReadableStreamDefaultController<string | Uint8Array> | undefined;
  #writable: WritableController | undefined;
  /** The write that is under way: a stream has one at a time. */
  #write: Write | undefined;
  /** The closing of the writable, once its writer asked for it. */
  #writableClose: Deferred<void> | undefined;
  /** Why this side failed the connection. */
  #failure: Error | undefined;
  /** Whether the server said goodbye while a message was on its way. */
  #isCutShort = false;

  constructor(url: URL, settings: ConnectionSettings) {
    super('arraybuffer', settings);
    this.url = url.href;
  }

  /** Gives up the opening handshake. */
  giveUp(reason: unknown): void {
    this.whenOpened.reject(reason);
    this.whenClosed.reject(reason);
    this.close();
  }

  override close(code?: number, reason?: string): void {
    super.close(code, reason);
    // The server's Close frame may stand behind messages that nobody is going to read.
    this.resume();
  }

  override message(bytes: Buffer, start: number, end: number, kind: Kind, owned: boolean): boolean {
    const readable = this.#readable;
    if (this.readyState !== OPEN || readable === undefined) return false;
    readable.enqueue(
      kind === Kind.Binary
        ? new Uint8Array(toArrayBuffer(bytes, start, end, owned))
        : toText(bytes, start, end, kind),
    );
    if ((readable.desiredSize ?? 0) <= 0) this.pause();
    return true;
  }

  protected override onOpen(): void {
    const readable = new ReadableStream<string | Uint8Array>({
      start: (controller) => {
        this.#readable = controller;
      },
      pull: () => this.resume(),
      cancel: (reason) => {
        this.#readable = undefined;
        this.#closeFor(reason);
      },
    });
    const writable = new WritableStream({
      start: (given: unknown) => {
        const controller = given as WritableController;
        this.#writable = controller;
        // Not the algorithm `abort`: that one has to wait for a write, and a write for a server that does not read.
        const { signal } = controller;
        signal.addEventListener('abort', () => this.#closeFor(signal.reason));
      },
      write: (chunk) => this.#send(chunk),
      close: () => {
        this.#writableClose = new Deferred();
        this.close();
        return this.#writableClose.promise;
      },
    });
    const { extensions, protocol } = this;
    this.whenOpened.resolve({ readable, writable, extensions, protocol });
  }

  #send(chunk: unknown): Promise<void> {
    const data = toBufferSource(chunk, "write to 'WebSocketStream'") ?? toUSVString(chunk);
    const write = new Write(data.length > MAX_SHORT);
    if (this.readyState === OPEN) {
      this.#write = write;
      const done = (error?: Error) => this.#sent(write, error);
      if (typeof data === 'string') this.sendText(data, undefined, done);
      else this.sendBinary(data, undefined, done);
    } else if (this.isCloseReceived) {
      // The end of the connection, which is near, tells everybody.
      this.#write = write;
      this.#isCutShort = true;
    } else {
      // The explainer has such a write succeed, and the message vanish.
      throw notWritable('A message cannot be written behind the Close frame.');
    }
    return write.promise;
  }

  /** A message is handed to the system. Where it never will be, the end of the connection says so. */
  #sent(write: Write, error: Error | undefined): void {
    if (error !== undefined) return;
    const settle = () => {
      if (this.#write !== write || this.#isCutShort) return;
      this.#write = undefined;
      write.resolve();
    };
    // What the server said while a long message was compressed and copied has not been heard yet: one more turn of
    // the loop reads it.
    if (write.isLong) setImmediate(setImmediate, settle);
    else settle();
  }

  /** Closes with the code and reason that a WebSocketError brings, as far as an application may send them. */
  #closeFor(cause: unknown): void {
    if (!(cause instanceof WebSocketError)) {
      this.close();
      return;
    }
    const { closeCode, reason } = cause;
    try {
      this.close(checkClose('close', closeCode ?? undefined, reason), reason);
    } catch {
      this.close();
    }
  }

  override closeFrame(code: number, reason: string): boolean {
    this.#isCutShort = this.#write?.isLong === true;
    // A short message leaves with the answer to the Close frame; where the system does not take it, it was sent in vain.
    setImmediate(() => {
      this.#isCutShort ||= this.#write !== undefined;
    });
    return super.closeFrame(code, reason);
  }

  protected override onFailed(error: Error): void {
    this.readyState = CLOSED;
    const told = explain(this.url, error);
    const failure = connectionError(told.message, null, '', told);
    this.whenOpened.reject(failure);
    this.whenClosed.reject(failure);
  }

  protected override onViolation(error: Error): boolean {
    this.#failure ??= error;
    return false;
  }

  protected override onEnd(error: Error | undefined): boolean {
    this.readyState = CLOSED;
    const { closeCode, closeReason: reason } = this;
    const isUnsent = this.#write !== undefined;
    const failure = this.#failure ?? error;
    if (this.isCloseReceived && failure === undefined && !isUnsent) {
      this.#readable?.close();
      this.#endWritable(undefined, notWritable('The WebSocketStream is closed.'));
      this.whenClosed.resolve({ closeCode, reason });
      return true;
    }
    const what = failure === undefined ? describe(this.isCloseReceived) : explain(this.url, failure).message;
    const told = connectionError(what, closeCode, reason, failure);
    this.#readable?.error(told);
    const isCutShort = this.isCloseReceived && isUnsent;
    this.#endWritable(
      told,
      isCutShort ? notWritable('The connection was closed before the message left.') : told,
    );
    this.whenClosed.reject(told);
    return true;
  }

  /** Ends the writable: `failure` is what a writer is told that closed it, `error` what everybody else is. */
  #endWritable(failure: Error | undefined, error: Error): void {
    if (this.#writableClose !== undefined) {
      if (failure === undefined) this.#writableClose.resolve();
      else this.#writableClose.reject(failure);
      return;
    }
    this.#write?.reject(error);
    this.#writable?.error(error);
  }

  protected override queueTask(task: () => void): void {
    setImmediate(task);
  }

  override ping(): boolean {
    return false;
  }

  override pong(): boolean {
    return false;
  }

  override answered(): boolean {
    return false;
  }

  override upgraded(): void {}

  override readonly hearsRedirects = false;

  override redirected(): void {}
}

/** A promise with the functions that settle it. A rejection that nobody waits for harms nobody. */
class Deferred<Value> {
  readonly promise: Promise<Value>;
  resolve!: (value: Value) => void;
  reject!: (reason: unknown) => void;

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.promise.catch(() => {});
  }
}

/** A write that is under way. */
class Write extends Deferred<void> {
  constructor(readonly isLong: boolean) {
    super();
  }
}

function notWritable(message: string): DOMException {
  return new DOMException(message, 'InvalidStateError');
}

function describe(isCloseReceived: boolean): string {
  return isCloseReceived
    ? 'The server closed the connection before a message had left.'
    : 'The connection ended without a Close frame from the server.';
}
