/** `createWebSocketStream`: a socket as a Duplex of Node's. */

import { Duplex, type DuplexOptions } from 'node:stream';
import { CLOSED, CONNECTING, type Done, OPEN } from './connection';
import type { WsWebSocket } from './ws';

/**
 * Makes a Duplex of a socket. What is written is sent, a message for each chunk, and pushes back while the network does
 * not take it; what arrives is read, and the network waits while nobody reads. Ending the stream closes the connection.
 */
export function createWebSocketStream(socket: WsWebSocket, options: DuplexOptions = {}): Duplex {
  const { objectMode, readableObjectMode, writableObjectMode, ...rest } = options;
  return new WebSocketDuplex(socket, {
    ...rest,
    // Node itself knows when both directions are over and the error, if any, was told.
    autoDestroy: true,
    emitClose: true,
    objectMode: false,
    readableObjectMode: objectMode || readableObjectMode || false,
    writableObjectMode: false,
  });
}

class WebSocketDuplex extends Duplex {
  readonly #socket: WsWebSocket;
  /** An error ends the connection in good order: a Close frame that says why is on its way. */
  #terminates = true;

  constructor(socket: WsWebSocket, options: DuplexOptions) {
    super(options);
    this.#socket = socket;
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      const chunk = !isBinary && this.readableObjectMode ? data.toString() : data;
      if (!this.push(chunk)) socket.pause();
    });
    socket.once('error', (error: Error) => {
      if (this.destroyed) return;
      this.#terminates = false;
      this.destroy(error);
    });
    socket.once('close', () => {
      if (!this.destroyed) this.push(null);
    });
  }

  override _read(): void {
    if (this.#socket.isPaused) this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Done): void {
    this.#whenOpen(() => this.#socket.send(chunk, callback));
  }

  override _final(callback: Done): void {
    this.#whenOpen(() => {
      const socket = this.#socket;
      if (socket.readyState === OPEN) socket.close();
      callback();
    });
  }

  override _destroy(error: Error | null, callback: Done): void {
    const socket = this.#socket;
    const done = () => callback(error ?? undefined);
    if (socket.readyState === CLOSED) {
      done();
      return;
    }
    let failure: Error | undefined;
    socket.once('error', (reason: Error) => {
      failure = reason;
    });
    socket.once('close', () => (failure === undefined ? done() : callback(failure)));
    if (this.#terminates) socket.terminate();
  }

  #whenOpen(then: () => void): void {
    if (this.#socket.readyState === CONNECTING) this.#socket.once('open', then);
    else then();
  }
}
