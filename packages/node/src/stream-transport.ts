/**
 * Bytes over a stream of Node's: a TLS socket, a named pipe, a Duplex of the program's own, and every socket where the
 * native core cannot read by itself.
 *
 * What the stream gives is decoded as it comes; what the native core has to write is taken from it once per tick.
 */

import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import * as engine from './engine';
import type { Link, Transport } from './link';
import { native } from './native';

export class StreamTransport implements Transport, engine.Source {
  readonly link: Link;
  private readonly socket: Duplex;
  /** What was read and not decoded, oldest first. */
  private readonly chunks: Buffer[] = [];
  private isRequested = false;
  private isPaused = false;
  private isClosed = false;
  private error: NodeJS.ErrnoException | null = null;
  /** Payload bytes that the stream has and did not report as written. */
  private inFlight = 0;

  constructor(link: Link, socket: Duplex, head: Uint8Array) {
    this.link = link;
    this.socket = socket;
    if (head.length > 0) {
      this.chunks.push(Buffer.from(head));
      // A task of its own: promises that the event `open` settles go on before the first message.
      setImmediate(() => this.request());
    }
    socket.on('data', (chunk: Buffer) => {
      this.chunks.push(chunk);
      this.request();
    });
    // The peer has ended its direction: what it says is over, so this side ends as well.
    socket.on('end', () => socket.end());
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.error = error;
    });
    socket.on('close', () => this.closed());
    if (socket.destroyed) {
      process.nextTick(() => this.closed());
    }
    socket.resume();
  }

  next(): Buffer | undefined {
    return this.isPaused && !this.isClosed ? undefined : this.chunks.shift();
  }

  settle(): void {
    this.isRequested = false;
    if (this.isClosed) {
      this.link.toldEnded(this.error);
    }
  }

  write(): void {
    const { id } = this.link;
    const bytes = Buffer.allocUnsafe(native.waiting(id));
    const awaited = native.take(id, bytes);
    const payload = engine.amountOf(id) - this.inFlight;
    this.inFlight += payload;
    this.socket.write(bytes, (error) => {
      // A socket that is destroyed tells nobody that its last write was cut off.
      if (error || this.socket.destroyed || this.link.id < 0) {
        return;
      }
      this.inFlight -= payload;
      engine.settleAmount(id, payload);
      this.link.toldWritten(awaited);
      if (engine.amountOf(id) === 0) {
        this.link.handler.drained();
      }
    });
  }

  end(): void {
    this.socket.end();
  }

  pause(): void {
    this.isPaused = true;
    this.socket.pause();
  }

  resume(): void {
    this.isPaused = false;
    this.socket.resume();
    if (this.chunks.length > 0) {
      this.request();
    }
  }

  ref(): void {
    (this.socket as Partial<Socket>).ref?.();
  }

  unref(): void {
    (this.socket as Partial<Socket>).unref?.();
  }

  destroy(): void {
    this.chunks.length = 0;
    this.socket.destroy();
  }

  private closed(): void {
    if (!this.isClosed) {
      this.isClosed = true;
      this.request();
    }
  }

  private request(): void {
    if (!this.isRequested) {
      this.isRequested = true;
      engine.request(this);
    }
  }
}
