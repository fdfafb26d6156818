/**
 * Bytes over a socket that the native core reads and writes itself, on Node's own event loop: plain TCP and Unix sockets
 * on Linux.
 *
 * The socket's descriptor is duplicated, so that neither side can close the other's. The net.Socket either stays, with
 * reading stopped, for whoever holds it and for `server.close()`; or it is released, which more than halves the memory of
 * an idle connection.
 */

import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import * as engine from './engine';
import type { Link, Transport } from './link';
import { native } from './native';

/** What net.Socket keeps of libuv. */
interface Server {
  _connections: number;
  _emitCloseIfDrained?(): void;
}

interface Handle {
  readonly fd?: number;
  readStop?(): void;
}

type HandleHolder = Duplex & {
  _handle?: Handle | null;
  _read: (size: number) => void;
  _server?: Server | null;
};

/** The descriptor of a socket that the native core can take over; -1 where it cannot. */
export function descriptorOf(socket: Duplex): number {
  const handle = (socket as HandleHolder)._handle;
  const kind = handle?.constructor.name;
  // What was written and did not leave yet would be overtaken; a TLS socket's descriptor carries its records.
  if ((kind !== 'TCP' && kind !== 'Pipe') || socket.writableLength > 0 || socket.destroyed) {
    return -1;
  }
  return typeof handle?.readStop === 'function' ? (handle.fd ?? -1) : -1;
}

export class LoopTransport implements Transport, engine.Source {
  readonly link: Link;
  /** Undefined where it was released. */
  private readonly socket: Socket | undefined;
  /** The server that counts a released socket among its connections. */
  private readonly server: Server | undefined;
  /** What Node had read already: it is decoded before the native core reads on. */
  private chunks: Buffer[] | undefined;
  private isPaused = false;
  private isReferenced = true;
  private isClosed = false;

  constructor(link: Link, socket: Duplex, descriptor: number, head: Uint8Array, isReleased: boolean) {
    this.link = link;
    native.adopt(link.id, descriptor);
    engine.reference();
    const holder = socket as HandleHolder;
    holder._handle?.readStop?.();
    // Whoever resumes the socket would else have Node read what is the native core's.
    holder._read = () => {};
    this.takeChunks(socket, head);
    socket.on('error', () => {});
    if (isReleased) {
      this.server = release(holder);
    } else {
      this.socket = socket as Socket;
      socket.on('close', () => this.closed());
    }
  }

  private takeChunks(socket: Duplex, head: Uint8Array): void {
    const chunks = head.length > 0 ? [Buffer.from(head)] : [];
    for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) {
      chunks.push(chunk);
    }
    if (chunks.length > 0) {
      this.chunks = chunks;
      native.setReading(this.link.id, false);
      // A task of its own: promises that the event `open` settles go on before the first message.
      setImmediate(() => engine.request(this));
    }
  }

  next(): Buffer | undefined {
    return this.isPaused ? undefined : this.chunks?.shift();
  }

  settle(): void {
    if (this.chunks?.length === 0) {
      this.chunks = undefined;
    }
    this.setReading(!this.isPaused);
  }

  // The native core writes and ends by itself.
  write(): void {}
  end(): void {}

  pause(): void {
    this.isPaused = true;
    this.setReading(false);
  }

  resume(): void {
    this.isPaused = false;
    if (this.chunks !== undefined) {
      engine.request(this);
    } else {
      this.setReading(true);
    }
  }

  ref(): void {
    if (!this.isReferenced && this.link.id >= 0) {
      this.isReferenced = true;
      this.socket?.ref();
      engine.reference();
    }
  }

  unref(): void {
    if (this.isReferenced) {
      this.isReferenced = false;
      this.socket?.unref();
      engine.unreference();
    }
  }

  destroy(): void {
    if (this.socket === undefined) {
      process.nextTick(() => this.closed());
    } else {
      this.socket.destroy();
    }
  }

  private setReading(isReading: boolean): void {
    if (this.link.id >= 0) {
      native.setReading(this.link.id, isReading);
    }
  }

  private closed(): void {
    if (!this.isClosed) {
      this.isClosed = true;
      this.unref();
      this.link.toldEnded(null);
      if (this.server !== undefined) {
        this.server._connections--;
        this.server._emitCloseIfDrained?.();
      }
    }
  }
}

/**
 * Destroys a socket whose connection goes on. Its addresses stay readable. The server that accepted it still counts it, so
 * that `server.close()` waits for it; that server is given back.
 */
function release(socket: HandleHolder): Server | undefined {
  const { remoteAddress, localAddress } = socket as Duplex as Socket;
  const server = socket._server;
  const isCounted = typeof server?._connections === 'number';
  if (isCounted) {
    socket._server = null;
  }
  // Read above for their own sake: net.Socket keeps what it was once asked for.
  void remoteAddress;
  void localAddress;
  socket.destroy();
  return isCounted ? server : undefined;
}
