/**
 * A connection with the events of the WebSockets Standard ("Feedback from the protocol", "Garbage collection"), and
 * beside them the events that npm `ws` has, for whoever listens to those.
 */

import type { Blob } from 'node:buffer';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { CLOSED, Connection, type ConnectionSettings, type Done, OPEN } from './connection';
import { isHeard } from './emitter';
import { explain } from './errors';
import { closeEvent, errorEvent, joinRuntime, openEvent } from './events';
import { Kind } from './link';
import { toArrayBuffer, toText } from './message-data';
import { messageEvent } from './message-event';
import { keep } from './payload';
import { atEndOfTask, endTask } from './task';
import type { WebSocket } from './websocket';

/** The event types whose listeners keep an open socket from being collected. */
const KEEPING_OPEN = ['message', 'error', 'close'];
const KEEPING_CONNECTING = ['open', ...KEEPING_OPEN];

const abandoned = new FinalizationRegistry<StandardConnection>((connection) => connection.close());

/** A connection of a `WebSocket` of the standard. */
export class StandardConnection extends Connection {
  /** Whether the application said what binary messages are to be; else the emitter's side has Buffers, as in `ws`. */
  isBinaryTypeChosen = false;
  readonly #weak: WeakRef<WebSocket>;
  /** There while somebody listens to what may still come. */
  #strong: WebSocket | undefined;
  readonly #heard = new Set<string>();
  #origin = '';
  #failure: Error | undefined;
  #task: { amount: number } | undefined;

  constructor(socket: WebSocket, settings: ConnectionSettings) {
    super('blob', settings);
    this.#weak = new WeakRef(socket);
    abandoned.register(socket, this);
  }

  /** Somebody listens to this event now. It is not noticed when nobody does any more: the socket only lives longer. */
  heard(type: string): void {
    joinRuntime();
    this.#heard.add(type);
    this.hold();
  }

  /** Keeps the socket from being collected while there is somebody to be told something. */
  hold(): void {
    const socket = this.#socket;
    const listens = (type: string) =>
      this.#heard.has(type) || (socket !== undefined && isHeard(socket, type));
    const types = this.readyState === OPEN ? KEEPING_OPEN : KEEPING_CONNECTING;
    this.#strong = this.readyState !== CLOSED && types.some(listens) ? socket : undefined;
  }

  override get bufferedAmount(): number {
    return this.#task?.amount ?? super.bufferedAmount;
  }

  override sendText(text: string | Uint8Array, compress: boolean | undefined, done?: Done): number {
    // Begun before the message counts below, and told its length when that is known.
    const task = this.#beginTask();
    const bytes = super.sendText(text, compress, done);
    task.amount += bytes;
    return bytes;
  }

  override sendBinary(bytes: Uint8Array, compress: boolean | undefined, done?: Done): void {
    this.#beginTask().amount += bytes.length;
    super.sendBinary(bytes, compress, done);
  }

  override sendBlob(blob: Blob, isBinary: boolean, compress: boolean | undefined, done?: Done): void {
    this.#beginTask().amount += blob.size;
    super.sendBlob(blob, isBinary, compress, done);
  }

  override refuse(bytes: number, done?: Done): void {
    super.refuse(bytes, done);
    if (this.#task !== undefined) this.#task.amount += bytes;
  }

  /** What is sent in a task has not left before the task is over, whatever the network did with it since. */
  #beginTask(): { amount: number } {
    if (this.#task === undefined) {
      this.#task = { amount: super.bufferedAmount };
      atEndOfTask(() => {
        this.#task = undefined;
      });
    }
    return this.#task;
  }

  override message(bytes: Buffer, start: number, end: number, kind: Kind, owned: boolean): boolean {
    const socket = this.#socket;
    if (this.readyState !== OPEN || socket === undefined) return false;
    const isBinary = kind === Kind.Binary;
    const emits = isHeard(socket, 'message');
    try {
      if (emits) {
        const asBuffer = !isBinary || !this.isBinaryTypeChosen;
        const data = asBuffer ? keep(bytes, start, end, owned) : this.#binary(bytes, start, end, owned);
        socket.emit('message', data, isBinary);
      }
    } finally {
      // A listener may be there that was added in a way not noticed; it is looked for where nobody else listens.
      if (!emits || this.#heard.has('message')) {
        const data = isBinary ? this.#binary(bytes, start, end, owned) : toText(bytes, start, end, kind);
        socket.dispatchEvent(messageEvent(data, this.#origin));
      }
    }
    if (endTask === undefined) return true;
    endTask();
    return false;
  }

  #binary(bytes: Buffer, start: number, end: number, owned: boolean): ArrayBuffer | Blob {
    return this.binaryType === 'arraybuffer'
      ? toArrayBuffer(bytes, start, end, owned)
      : new globalThis.Blob([bytes.subarray(start, end)]);
  }

  override ping(payload: Buffer): boolean {
    return this.#emit('ping', payload);
  }

  override pong(payload: Buffer): boolean {
    return this.#emit('pong', payload);
  }

  override readonly hearsRedirects = false;

  override redirected(): void {}

  override answered(request: ClientRequest, response: IncomingMessage): boolean {
    return this.#emit('unexpected-response', request, response);
  }

  override upgraded(response: IncomingMessage): void {
    this.#emit('upgrade', response);
  }

  protected override onOpen(): void {
    this.#origin = new URL(this.url).origin;
    this.hold();
    this.#emit('open');
    this.#socket?.dispatchEvent(openEvent());
  }

  protected override onFailed(error: Error): void {
    this.#end(error);
  }

  protected override onViolation(error: Error): boolean {
    this.#failure ??= error;
    return false;
  }

  protected override onEnd(error: Error | undefined): boolean {
    this.#end(this.#failure ?? error);
    return true;
  }

  protected override queueTask(task: () => void): void {
    setImmediate(task);
  }

  /** "When the WebSocket connection is closed": `error` if it was failed, then `close`. */
  #end(failure: Error | undefined): void {
    this.readyState = CLOSED;
    if (failure === undefined) {
      this.#fireClose();
      return;
    }
    const error = explain(this.url, failure);
    this.#emit('error', error);
    this.#socket?.dispatchEvent(errorEvent(error));
    // What the listeners of `error` promised is kept before `close`.
    const socket = this.#socket;
    setImmediate(() => this.#fireClose(socket));
  }

  #fireClose(socket: WebSocket | undefined = this.#socket): void {
    this.#strong = undefined;
    if (socket === undefined) return;
    if (isHeard(socket, 'close')) socket.emit('close', this.closeCode, Buffer.from(this.closeReason));
    socket.dispatchEvent(closeEvent(this.isCloseReceived, this.closeCode, this.closeReason));
  }

  get #socket(): WebSocket | undefined {
    return this.#strong ?? this.#weak.deref();
  }

  #emit(event: string, ...details: unknown[]): boolean {
    const socket = this.#socket;
    return socket !== undefined && isHeard(socket, event) && socket.emit(event, ...details);
  }
}
