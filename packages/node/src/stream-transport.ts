/**
 * Bytes over a stream of Node's: a TLS socket, a named pipe, a Duplex of the program's own, and every socket where the
 * native core cannot read by itself.
 *
 * What the stream gives is decoded as it comes; what the native core has to write is taken from it once per tick, and
 * what is long in pieces.
 */

import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import * as engine from './engine';
import type { Link, Transport } from './link';
import { native } from './native';

/** The longest piece that a stream is given at once: shorter ones cost TLS several percent. */
const MAX_PIECE = 128 * 1024;
/** A stream that has less than this left is given the next piece, so that it need not wait for it. */
const MAX_AHEAD = MAX_PIECE;

export class StreamTransport implements Transport, engine.Source, engine.Watched {
  readonly link: Link;
  readonly socket: Duplex;
  /** What was read and not decoded, oldest first. */
  private readonly chunks: Buffer[] = [];
  private isRequested = false;
  private isPaused = false;
  private isClosed = false;
  private error: NodeJS.ErrnoException | null = null;
  /** Bytes that the stream has and did not report as written. */
  private ahead = 0;
  /** Bytes that the stream was given. */
  private given = 0;
  /** How many of them the peer's system had a second ago; undefined where nothing was on its way. */
  private acknowledged: number | undefined;
  private readonly isWatching: boolean;

  /** `isWatching`: whether somebody wants to know whether the peer takes what is sent to it. */
  constructor(link: Link, socket: Duplex, head: Uint8Array, isWatching: boolean) {
    this.link = link;
    this.socket = socket;
    this.isWatching = isWatching;
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

  /**
   * Gives the stream what waits in pieces, the next one when it has little left: what it has is neither counted down
   * nor known to be taken until the whole piece is.
   */
  write(most = MAX_AHEAD): void {
    const { id } = this.link;
    for (let waiting = native.waiting(id); waiting > 0 && this.ahead < most; ) {
      const bytes = Buffer.allocUnsafe(Math.min(waiting, MAX_PIECE));
      const payload = native.take(id, bytes);
      this.give(bytes, payload, engine.awaitedOfTaken());
      waiting = native.waiting(id);
    }
    if (this.isWatching) {
      engine.watch(this);
    }
  }

  private give(bytes: Buffer, payload: number, awaited: number): void {
    const { id } = this.link;
    this.ahead += bytes.length;
    this.given += bytes.length;
    this.socket.write(bytes, (error) => {
      this.ahead -= bytes.length;
      // A socket that is destroyed tells nobody that its last write was cut off.
      if (error || this.socket.destroyed || this.link.id < 0) {
        return;
      }
      engine.settleAmount(id, payload);
      this.link.toldWritten(awaited);
      if (this.ahead === 0 && engine.amountOf(id) === 0) {
        this.link.handler.drained();
      }
      // A callback may have ended the connection.
      if (this.link.id >= 0) {
        this.write();
      }
    });
  }

  watch(): boolean {
    if (this.link.id < 0) {
      return false;
    }
    const waiting = this.ahead + native.unacknowledged(descriptorOf(this.socket));
    // With TLS the number includes the expense of records, and may exceed what was given.
    const acknowledged = waiting > 0 ? this.given - waiting : undefined;
    if (acknowledged !== undefined && this.acknowledged !== undefined && acknowledged > this.acknowledged) {
      native.progressed(this.link.id);
    }
    this.acknowledged = acknowledged;
    return acknowledged !== undefined;
  }

  end(ended: () => void): void {
    this.socket.end(ended);
  }

  private setPaused(isPaused: boolean): void {
    this.isPaused = isPaused;
    if (this.link.id >= 0) {
      native.setReading(this.link.id, !isPaused);
    }
  }

  pause(): void {
    this.setPaused(true);
    this.socket.pause();
  }

  resume(): void {
    this.setPaused(false);
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

/** The descriptor of a socket, also below TLS; -1 where a stream has none. */
function descriptorOf(stream: Duplex): number {
  return (stream as { _handle?: { fd?: number } | null })._handle?.fd ?? -1;
}
