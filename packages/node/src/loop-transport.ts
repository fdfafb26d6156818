/**
 * Bytes over a socket that the native core reads and writes itself, on Node's own event loop: plain TCP and Unix sockets
 * on Linux.
 *
 * The net.Socket stays, with reading stopped: it is what the connection's addresses, `server.close()` and whoever holds
 * the socket refer to. Its descriptor is duplicated, so that neither side can close the other's.
 */

import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import * as engine from './engine';
import type { Link, Transport } from './link';
import { native } from './native';

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
  private readonly socket: Socket;
  /** What Node had read already: it is decoded before the native core reads on. */
  private readonly chunks: Buffer[] = [];
  private isPaused = false;
  private isReferenced = true;

  constructor(link: Link, socket: Duplex, descriptor: number, head: Uint8Array) {
    this.link = link;
    this.socket = socket as Socket;
    native.adopt(link.id, descriptor);
    engine.reference();
    const holder = socket as HandleHolder;
    holder._handle?.readStop?.();
    // Whoever resumes the socket would else have Node read what is the native core's.
    holder._read = () => {};
    this.takeChunks(head);
    socket.on('error', () => {});
    socket.on('close', () => this.closed());
  }

  private takeChunks(head: Uint8Array): void {
    if (head.length > 0) {
      this.chunks.push(Buffer.from(head));
    }
    for (let chunk = this.socket.read(); chunk !== null; chunk = this.socket.read()) {
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
    this.setReading(false);
  }

  resume(): void {
    this.isPaused = false;
    if (this.chunks.length > 0) {
      engine.request(this);
    } else {
      this.setReading(true);
    }
  }

  ref(): void {
    if (!this.isReferenced && this.link.id >= 0) {
      this.isReferenced = true;
      this.socket.ref();
      engine.reference();
    }
  }

  unref(): void {
    if (this.isReferenced) {
      this.isReferenced = false;
      this.socket.unref();
      engine.unreference();
    }
  }

  destroy(): void {
    this.socket.destroy();
  }

  private setReading(isReading: boolean): void {
    if (this.link.id >= 0) {
      native.setReading(this.link.id, isReading);
    }
  }

  private closed(): void {
    this.unref();
    this.link.toldEnded(null);
  }
}
