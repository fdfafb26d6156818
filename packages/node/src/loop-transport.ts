/**
 * Bytes over a socket that the native core reads and writes itself, on Node's own event loop: plain TCP and Unix sockets
 * on Linux.
 *
 * The socket's descriptor is duplicated, so that neither side can close the other's. The net.Socket either stays, with
 * reading stopped, for whoever holds it and for `server.close()`; or it is released, where nobody listens to it, which more
 * than halves the memory of an idle connection.
 */

import { Socket, type SocketConstructorOpts } from 'node:net';
import type { Duplex } from 'node:stream';
import * as engine from './engine';
import type { Link, Transport } from './link';
import { native } from './native';
import { canLetGo, SocketShell } from './socket-shell';

/** What net.Socket keeps of libuv. */
interface Handle {
  readonly fd?: number;
  readStop?(): void;
}

type HandleHolder = Duplex & { _handle?: Handle | null };

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
  /** The socket that was given, until it is released; then one that was made for who asked for it. */
  private own: Socket | undefined;
  private shell: SocketShell | undefined;
  /** What listens to the end of `own`. */
  private closed: (() => void) | undefined;
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
    socket._read = ignore;
    this.takeChunks(socket, head);
    this.own = socket as Socket;
    this.watch(this.own);
    // Node sees no traffic any more, and would take the connection for an idle one.
    this.own.setTimeout(0);
    if (isReleased) {
      // Whoever gets to know the socket with the connection has until then to listen to it.
      setImmediate(release, this);
    }
  }

  /** The socket as a program may use it; where the first was released, another one for the same connection. */
  get socket(): Socket {
    if (this.own === undefined) {
      if (this.link.id < 0) {
        return new Socket().destroy();
      }
      const options = {
        fd: native.duplicate(this.link.id),
        readable: true,
        writable: true,
        manualStart: true,
      };
      this.own = new Socket(options as SocketConstructorOpts);
      this.watch(this.own);
    }
    return this.own;
  }

  private watch(socket: Socket): void {
    // Whoever resumes the socket would else have Node read what is the native core's.
    socket._read = ignore;
    this.closed = () => this.close();
    socket.on('error', ignore);
    socket.on('close', this.closed);
  }

  /** Lets the socket go, unless somebody would miss it. */
  letGo(): void {
    const { own, closed } = this;
    if (own === undefined || closed === undefined || this.isClosed) {
      return;
    }
    own.removeListener('error', ignore);
    own.removeListener('close', closed);
    this.closed = undefined;
    if (canLetGo(own)) {
      this.shell = new SocketShell(own, () => this.close());
      this.own = undefined;
    } else {
      this.watch(own);
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

  end(ended: () => void): void {
    ended();
  }

  pause(): void {
    this.isPaused = true;
    this.own?.pause();
    this.setReading(false);
  }

  resume(): void {
    this.isPaused = false;
    this.own?.resume();
    if (this.chunks !== undefined) {
      engine.request(this);
    } else {
      this.setReading(true);
    }
  }

  ref(): void {
    if (!this.isReferenced && this.link.id >= 0) {
      this.isReferenced = true;
      this.own?.ref();
      engine.reference();
    }
  }

  unref(): void {
    if (this.isReferenced) {
      this.isReferenced = false;
      this.own?.unref();
      engine.unreference();
    }
  }

  destroy(): void {
    if (this.own === undefined) {
      process.nextTick(close, this);
    } else {
      this.own.destroy();
    }
  }

  private setReading(isReading: boolean): void {
    if (this.link.id >= 0) {
      native.setReading(this.link.id, isReading);
    }
  }

  /** The connection is over, by whatever side. */
  close(): void {
    if (this.isClosed) {
      return;
    }
    this.isClosed = true;
    this.unref();
    this.link.toldEnded(null);
    this.shell?.end();
    this.own?.destroy();
  }
}

function ignore(): void {}

// No closures for these: thousands of connections may be accepted in one turn of the loop.
function release(transport: LoopTransport): void {
  transport.letGo();
}

function close(transport: LoopTransport): void {
  transport.close();
}
