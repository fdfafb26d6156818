/**
 * Bytes over a socket that the native core reads and writes itself, on Node's own event loop: plain TCP and Unix sockets
 * on Linux.
 *
 * The socket's descriptor is duplicated, so that neither side can close the other's. The net.Socket stays, with reading
 * stopped, while somebody listens to it; else its handle is let go after the first turn of the loop (socket-shell.ts).
 */

import { Socket } from 'node:net';
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

type HandleHolder = Duplex & { _handle?: Handle | null; _read: (size: number) => void };

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
  /** The socket that was given, until it is let go; then one that was made for who asked for it. */
  private own: Socket | undefined;
  private shell: SocketShell | undefined;
  /** What Node had read already: it is decoded before the native core reads on. */
  private readonly chunks: Buffer[] = [];
  private isPaused = false;
  private isReferenced = true;

  constructor(link: Link, socket: Duplex, descriptor: number, head: Uint8Array) {
    this.link = link;
    this.own = socket as Socket;
    native.adopt(link.id, descriptor);
    engine.reference();
    const holder = socket as HandleHolder;
    holder._handle?.readStop?.();
    // Whoever resumes the socket would else have Node read what is the native core's.
    holder._read = () => {};
    this.takeChunks(this.own, head);
    // Whoever gets to know the socket with the connection has until then to listen to it.
    setImmediate(() => this.settleSocket());
    socket.on('error', ignore);
    socket.on('close', this.closed);
  }

  /** The socket as a program may use it; its handle shares the connection with the native core. */
  get socket(): Socket {
    if (this.own === undefined) {
      const fd = this.link.id < 0 ? -1 : native.duplicate(this.link.id);
      this.own = fd < 0 ? new Socket().destroy() : new Socket(ADOPTED(fd));
      this.own.on('error', ignore);
      this.own.on('close', this.closed);
    }
    return this.own;
  }

  private settleSocket(): void {
    const { own } = this;
    if (own === undefined || this.link.id < 0) {
      return;
    }
    own.removeListener('error', ignore);
    own.removeListener('close', this.closed);
    if (canLetGo(own)) {
      this.shell = new SocketShell(own, this.closed);
      this.own = undefined;
    } else {
      own.on('error', ignore);
      own.on('close', this.closed);
    }
  }

  private takeChunks(socket: Socket, head: Uint8Array): void {
    if (head.length > 0) {
      this.chunks.push(Buffer.from(head));
    }
    for (let chunk = socket.read(); chunk !== null; chunk = socket.read()) {
      this.chunks.push(chunk);
    }
    if (this.chunks.length > 0) {
      native.setReading(this.link.id, false);
      process.nextTick(() => engine.request(this));
    }
  }

  next(): Buffer | undefined {
    return this.isPaused ? undefined : this.chunks.shift();
  }

  settle(): void {
    this.setReading(!this.isPaused);
  }

  // The native core writes and ends by itself.
  write(): void {}
  end(): void {}

  pause(): void {
    this.isPaused = true;
    this.own?.pause();
    this.setReading(false);
  }

  resume(): void {
    this.isPaused = false;
    this.own?.resume();
    if (this.chunks.length > 0) {
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
      process.nextTick(this.closed);
    } else {
      this.own.destroy();
    }
  }

  private setReading(isReading: boolean): void {
    if (this.link.id >= 0) {
      native.setReading(this.link.id, isReading);
    }
  }

  private readonly closed = (): void => {
    this.unref();
    const { shell } = this;
    this.shell = undefined;
    this.link.toldEnded(null);
    shell?.end();
    this.own?.destroy();
  };
}

function ignore(): void {}

/** Options for a socket on a descriptor that somebody else reads. */
const ADOPTED = (fd: number) => ({ fd, readable: true, writable: true, manualStart: true });
