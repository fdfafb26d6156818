/**
 * A connection with the events of npm `ws`: on an EventEmitter, as they happen, with Buffers.
 */

import type { ClientRequest, IncomingMessage } from 'node:http';
import { CLOSED, CLOSING, Connection, type ConnectionSettings } from './connection';
import { Kind } from './link';
import { toArrayBuffer } from './message-data';
import { keep } from './payload';
import { Bucket } from './rate';
import type { Topics } from './topics';
import type { WebSocket } from './websocket';

/** The server of a socket, as the socket needs it. */
export interface Host {
  readonly topics: Topics;
  /** The connection has ended; the event `close` follows. */
  ended(socket: WebSocket): void;
}

/** A connection of the socket that `require('vaiven')` gives, of a client or of a server. */
export class WsConnection extends Connection {
  readonly #socket: WebSocket;
  /** The server, for a socket of one. */
  host: Host | undefined;
  /** What the socket has subscribed to. */
  subscriptions: Set<string> | undefined;
  readonly #eventsAreTasks: boolean;
  /** What the peer may still send, where that is limited. */
  readonly #bucket: Bucket | undefined;
  #isTooFast = false;
  #isErrorEmitted = false;

  get socket(): WebSocket {
    return this.#socket;
  }

  /** `allowSynchronousEvents: false` has microtasks run between two messages. */
  constructor(socket: WebSocket, settings: ConnectionSettings, allowSynchronousEvents: boolean) {
    super('nodebuffer', settings);
    this.#socket = socket;
    this.#eventsAreTasks = !allowSynchronousEvents;
    if (settings.messageRate !== undefined) this.#bucket = new Bucket(settings.messageRate);
  }

  override message(bytes: Buffer, start: number, end: number, kind: Kind, owned: boolean): boolean {
    if (this.#bucket !== undefined && !this.#mayCome(this.#bucket)) return false;
    const isBinary = kind === Kind.Binary;
    this.#socket.emit(
      'message',
      isBinary ? this.#binary(bytes, start, end, owned) : keep(bytes, start, end, owned),
      isBinary,
    );
    return this.#eventsAreTasks;
  }

  /** Whether a message is told. One that comes too fast, and what follows it, is not. */
  #mayCome(bucket: Bucket): boolean {
    if (this.#isTooFast || bucket.take()) return !this.#isTooFast;
    this.#isTooFast = true;
    this.end(1008, 'messages come faster than this server takes them');
    return false;
  }

  override resume(): void {
    if (this.isPaused) this.#bucket?.credit();
    super.resume();
  }

  #binary(bytes: Buffer, start: number, end: number, owned: boolean): unknown {
    switch (this.binaryType) {
      case 'arraybuffer':
        return toArrayBuffer(bytes, start, end, owned);
      case 'blob':
        return new Blob([bytes.subarray(start, end)]);
      case 'fragments':
        return [keep(bytes, start, end, owned)];
      default:
        return keep(bytes, start, end, owned);
    }
  }

  override ping(payload: Buffer): boolean {
    this.#socket.emit('ping', payload);
    return this.#eventsAreTasks;
  }

  override pong(payload: Buffer): boolean {
    this.#socket.emit('pong', payload);
    return this.#eventsAreTasks;
  }

  override get hearsRedirects(): boolean {
    return this.#socket.listenerCount('redirect') > 0;
  }

  override redirected(url: URL, request: ClientRequest): void {
    this.url = url.href;
    this.#socket.emit('redirect', this.url, request);
  }

  override answered(request: ClientRequest, response: IncomingMessage): boolean {
    return this.#socket.emit('unexpected-response', request, response);
  }

  override upgraded(response: IncomingMessage): void {
    this.#socket.emit('upgrade', response);
  }

  protected override onOpen(): void {
    this.#socket.emit('open');
  }

  protected override onFailed(error: Error): void {
    this.readyState = CLOSING;
    // Where nobody listens, the error is thrown from here; the end is told all the same.
    try {
      this.#emitError(error);
    } finally {
      this.onEnd();
    }
  }

  protected override onViolation(error: Error): boolean {
    this.#emitError(error);
    return this.#eventsAreTasks;
  }

  /** A connection that is lost has ended with code 1006 and no error. */
  protected override onEnd(): boolean {
    this.readyState = CLOSED;
    this.host?.topics.leave(this);
    this.host?.ended(this.#socket);
    this.#socket.emit('close', this.closeCode, Buffer.from(this.closeReason));
    return this.#eventsAreTasks;
  }

  protected override queueTask(task: () => void): void {
    process.nextTick(task);
  }

  #emitError(error: Error): void {
    if (this.#isErrorEmitted) return;
    this.#isErrorEmitted = true;
    this.#socket.emit('error', error);
  }
}
