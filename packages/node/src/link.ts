/**
 * `Link`: one WebSocket connection after its opening handshake, as the classes see it.
 *
 * What the peer sends comes through a `LinkHandler`; pings, the closing handshake and broken rules are answered below.
 * A link knows nothing of events, of `readyState` or of close timeouts: those are the classes'. It answers every call at
 * any time; once the transport is gone, or a Close frame was queued, nothing more is sent.
 */

import type { Duplex } from 'node:stream';
import { getSystemErrorName } from 'node:util';
import * as engine from './engine';
import { descriptorOf, LoopTransport } from './loop-transport';
import { native } from './native';
import { Send, type SlicedBuffer } from './shared-memory';
import { StreamTransport } from './stream-transport';

/** What a message is. */
export enum Kind {
  Binary = 0,
  Text = 1,
  /** Text of which every byte is below 0x80: `latin1Slice` reads it fastest. */
  Ascii = 2,
}

/**
 * What happens to a connection, in order. A method that returns true asks that microtasks and ticks run before the next
 * event of any connection, as tasks of the standard have it; else the next event may follow at once. What it throws goes
 * where uncaught exceptions go, and the next event follows.
 */
export interface LinkHandler {
  /**
   * A message: the bytes from `start` to `end`. They are valid during this call only, as the memory is used again,
   * unless `owned` says that they are the handler's to keep.
   */
  message(bytes: SlicedBuffer, start: number, end: number, kind: Kind, owned: boolean): boolean | undefined;
  /** A ping; it is answered already, unless `autoPong` is off. */
  ping(payload: Buffer): boolean | undefined;
  pong(payload: Buffer): boolean | undefined;
  /** The peer's Close frame, with 1005 where it had no code. It is answered already; no message follows. */
  closeFrame(code: number, reason: string): boolean | undefined;
  /** The peer broke a rule. A Close frame with `code` is on its way; no message follows. */
  violation(code: number, name: ViolationName, text: string): boolean | undefined;
  /** The transport is gone, with an error or because the peer or this side ended it. Nothing follows. */
  ended(error: NodeJS.ErrnoException | null): boolean | undefined;
  /** Everything that was sent is handed to the system, after it could not be at once or somebody waited for it. */
  drained(): void;
  /** This side has said its last, and ended its direction of the transport: only the peer's end is missing. */
  finished(): void;
}

/** The names of `vaiven_proto::Violation`. */
export type ViolationName =
  | 'UnmaskedFrame'
  | 'MaskedFrame'
  | 'ReservedBits'
  | 'MisplacedCompressionBit'
  | 'ReservedOpcode'
  | 'FragmentedControl'
  | 'OversizedControl'
  | 'UnexpectedContinuation'
  | 'UnfinishedMessage'
  | 'NonMinimalLength'
  | 'LengthOutOfRange'
  | 'TruncatedCloseCode'
  | 'InvalidCloseCode'
  | 'InvalidCloseReason'
  | 'InvalidUtf8'
  | 'InvalidDeflate'
  | 'MessageTooLarge'
  | 'TooManyFragments'
  | 'FrameFlood'
  | 'PartialMessageTimeout';

/** What both sides agreed of permessage-deflate (RFC 7692), and how this side compresses. */
export interface Deflate {
  serverNoContextTakeover: boolean;
  clientNoContextTakeover: boolean;
  /** 8 to 15. */
  serverMaxWindowBits: number;
  /** 8 to 15. */
  clientMaxWindowBits: number;
  /** zlib's level, 1 (fast) to 9 (small). */
  level: number;
  /** Messages shorter than this many bytes go uncompressed unless a message asks for it. */
  threshold: number;
}

/** How a connection behaves. */
export interface LinkOptions {
  role: 'client' | 'server';
  /** The longest message in bytes, after inflation: 1 to 2^31 - 1. */
  maxPayload: number;
  /** The most frames of one message: 1 to 2^32 - 1. */
  maxFragments: number;
  /** The most pings, pongs and empty frames in ten seconds. Default 100. */
  maxIdleFrames?: number | undefined;
  deflate?: Deflate | undefined;
  /** Whether pings are answered. Default true. */
  autoPong?: boolean | undefined;
  /**
   * What becomes of a net.Socket that the native core reads by itself. `kept` (the default): it stays, does not read, and
   * destroying it ends the link. `released`: it is let go after this turn of the event loop, unless somebody listens to it,
   * which more than halves the memory of an idle connection (socket-shell.ts).
   */
  socket?: 'kept' | 'released' | undefined;
  /** Milliseconds of silence before a ping, and then before the peer counts as dead. Default: no pings. */
  keepalive?: { interval: number; timeout: number } | undefined;
}

/** Both ends of a connection, as net.Socket names them. */
export interface Addresses {
  remoteAddress: string;
  remotePort: number;
  remoteFamily: 'IPv4' | 'IPv6';
  localAddress: string;
  localPort: number;
}

/** Called when a message is handed to the system, or with an error when it will not be. */
export type Done = (error?: Error) => void;

/** What carries a link's bytes. */
export interface Transport {
  /** The stream of Node's, for what it knows of addresses and certificates; also after the end. */
  readonly socket: Duplex;
  /** Bytes wait to be written; `most` bounds how many the stream is given ahead of its needs. */
  write(most?: number): void;
  /** Nothing more will be written: half-closes. `ended` is called once all is handed to the system. */
  end(ended: () => void): void;
  pause(): void;
  resume(): void;
  ref(): void;
  unref(): void;
  /** Drops the connection; `Link.ended` follows. */
  destroy(): void;
}

const DEFAULT_MAX_IDLE_FRAMES = 100;

export class Link {
  /** The number of this connection in the engine; -1 when the transport is gone. */
  id: number;
  readonly handler: LinkHandler;
  readonly transport: Transport;
  private readonly autoPong: boolean;
  private isClosing = false;
  private isFragmented = false;
  /** Who waits for their messages to be written, in the order of the messages. */
  private awaiting: Done[] | undefined;
  /** What was left unwritten when the transport went. */
  private leftover = 0;

  /**
   * Takes a connection over whose opening handshake is done: `head` is what was read behind it. The first event comes
   * in a later tick.
   */
  static attach(socket: Duplex, head: Uint8Array, options: LinkOptions, handler: LinkHandler): Link {
    return new Link(socket, head, options, handler);
  }

  private constructor(socket: Duplex, head: Uint8Array, options: LinkOptions, handler: LinkHandler) {
    const { deflate, keepalive } = options;
    const flags =
      (options.role === 'server' ? 1 : 0) |
      (deflate?.serverNoContextTakeover ? 2 : 0) |
      (deflate?.clientNoContextTakeover ? 4 : 0);
    this.id = native.attach(
      flags,
      options.maxPayload,
      options.maxFragments,
      options.maxIdleFrames ?? DEFAULT_MAX_IDLE_FRAMES,
      deflate === undefined ? 0 : deflate.serverMaxWindowBits | (deflate.clientMaxWindowBits << 4),
      deflate?.level ?? 0,
      deflate?.threshold ?? 0,
      keepalive?.interval ?? 0,
      keepalive?.timeout ?? 0,
    );
    this.handler = handler;
    this.autoPong = options.autoPong ?? true;
    engine.add(this, this.id);
    const isReleased = options.socket === 'released';
    const descriptor = engine.joinsEventLoop() ? descriptorOf(socket) : -1;
    this.transport =
      descriptor < 0
        ? new StreamTransport(this, socket, head, keepalive !== undefined)
        : new LoopTransport(this, socket, descriptor, head, isReleased);
  }

  /**
   * Sends text: a string, in which lone surrogates become U+FFFD, or bytes that are UTF-8. `compress` overrides the
   * threshold where permessage-deflate was agreed. `done` is called when the message is handed to the system. Gives the
   * payload's length in bytes.
   */
  sendText(text: string | Uint8Array, compress?: boolean, done?: Done): number {
    if (this.isClosing || this.isFragmented) {
      this.sendSpecially(text, true, done);
      return Buffer.byteLength(text);
    }
    const flags = manner(compress) | this.await(done);
    return typeof text === 'string'
      ? engine.sendText(this.id, text, flags)
      : engine.sendBytes(this.id, text, flags | Send.Text);
  }

  /** Sends bytes; otherwise as `sendText`. They may change as soon as the call returns. */
  sendBinary(bytes: Uint8Array, compress?: boolean, done?: Done): void {
    if (this.isClosing || this.isFragmented) {
      this.sendSpecially(bytes, false, done);
      return;
    }
    engine.sendBytes(this.id, bytes, manner(compress) | this.await(done));
  }

  /** Sends one message to many links, which all have to be `isShareable`; it is framed once. */
  static publish(
    links: readonly Link[],
    bytes: Uint8Array,
    isText: boolean,
    compress: boolean | undefined,
  ): void {
    const ids = links.map(({ id }) => id);
    engine.publish(ids, bytes, manner(compress) | (isText ? Send.Text : 0));
  }

  /** Whether a message can be queued now that others get too: no message of several parts is unfinished. */
  get isShareable(): boolean {
    return !this.isClosing && !this.isFragmented;
  }

  /**
   * Sends a part of a message, uncompressed: `fin` ends it. Whether it is text is said by the first part. A message that
   * is sent before the end is taken for the last part, as `ws` does.
   */
  sendFragment(data: string | Uint8Array, isText: boolean, fin: boolean, done?: Done): void {
    if (this.isClosing) {
      this.refuse(done);
    } else if (!fin || this.isFragmented) {
      this.sendPart(data, isText, fin, done);
    } else if (isText) {
      this.sendText(data, undefined, done);
    } else {
      this.sendBinary(bytesOf(data), undefined, done);
    }
  }

  private sendPart(data: string | Uint8Array, isText: boolean, fin: boolean, done?: Done): void {
    const part = fin ? 3 : this.isFragmented ? 2 : isText ? 1 : 0;
    this.isFragmented = !fin;
    engine.sendFragment(this.id, part, bytesOf(data), this.await(done) !== 0);
  }

  /** Sends a ping; a payload beyond 125 bytes is cut. */
  ping(payload: Uint8Array): void {
    if (!this.isClosing) {
      engine.control(this.id, 'ping', payload);
    }
  }

  /** Sends a pong; a payload beyond 125 bytes is cut. */
  pong(payload: Uint8Array): void {
    if (!this.isClosing) {
      engine.control(this.id, 'pong', payload);
    }
  }

  /**
   * Begins the closing handshake: without a code the Close frame has no body. Messages sent before leave before it; after
   * it nothing is sent. A server then ends its direction when the peer's Close frame is here, a client when the server
   * did (RFC 6455 section 7.1.1). How long to wait for that is the caller's to say, with `abort`.
   */
  close(code: number | undefined, reason: string): void {
    if (!this.isClosing) {
      this.isClosing = true;
      native.close(this.id, code ?? 0, reason);
      engine.planFlush();
    }
  }

  /** Drops the connection without a closing handshake. `ended` follows in a later tick, and nothing before it. */
  abort(): void {
    if (this.id >= 0) {
      this.isClosing = true;
      engine.silence(this.id);
      this.transport.destroy();
    }
  }

  /** Ends this direction of the transport behind what was sent, without a closing handshake. */
  end(): void {
    if (this.id >= 0) {
      this.isClosing = true;
      native.end(this.id);
      engine.planFlush();
    }
  }

  /** Reads no more; messages that were read already still come. */
  pause(): void {
    this.transport.pause();
  }

  resume(): void {
    this.transport.resume();
  }

  /** Keeps the process alive while the connection is there, as it does at first. */
  ref(): void {
    this.transport.ref();
  }

  unref(): void {
    this.transport.unref();
  }

  /** Payload bytes of messages that are not handed to the system yet, without framing. */
  get bufferedAmount(): number {
    return this.id >= 0 ? engine.amountOf(this.id) : this.leftover;
  }

  /** The addresses of both ends, where the native core reads the socket by itself and it is not of the Unix family. */
  get addresses(): Addresses | null {
    return this.id >= 0 ? native.addresses(this.id) : null;
  }

  /** Bytes that the connection holds in the native core for an unfinished message and for compression. */
  get heldBytes(): number {
    return this.id >= 0 ? native.heldBytes(this.id) : 0;
  }

  // What follows is called by the engine and the transport.

  /** The answers that the handler gave to earlier messages go first. */
  toldPing(payload: Buffer): boolean | undefined {
    if (this.autoPong && !this.isClosing) {
      engine.control(this.id, 'answerPing', payload);
    }
    return this.handler.ping(payload);
  }

  /** Nothing more will be written. */
  toldFinished(): void {
    this.transport.end(() => this.handler.finished());
  }

  /** The peer's Close frame. */
  toldClose(code: number, reason: string): boolean | undefined {
    this.answer();
    return this.handler.closeFrame(code, reason);
  }

  /** The peer broke a rule. */
  toldViolation(index: number): boolean | undefined {
    this.answer();
    const [code, name, text] = native.violation(index).split('\n') as [string, ViolationName, string];
    return this.handler.violation(Number(code), name, text);
  }

  /** The answers that the handler gave to earlier messages go first. */
  private answer(): void {
    this.isClosing = true;
    native.answer(this.id);
    engine.planFlush();
  }

  /** Messages are written that somebody waited for. */
  toldWritten(awaited: number): void {
    const written = this.awaiting?.splice(0, awaited);
    if (this.awaiting?.length === 0) {
      this.awaiting = undefined;
    }
    written?.forEach((done) => {
      done();
    });
  }

  /** The native core gives the connection up: `errno` of the system, 0, or -1 for a peer that answers no ping. */
  toldLost(errno: number): boolean | undefined {
    const { transport } = this;
    const pause = this.toldEnded(errno === 0 ? null : lost(errno));
    transport.destroy();
    return pause;
  }

  /** The transport is gone. */
  toldEnded(error: NodeJS.ErrnoException | null): boolean | undefined {
    if (this.id < 0) {
      return false;
    }
    this.isClosing = true;
    this.leftover = engine.amountOf(this.id);
    engine.remove(this.id);
    this.id = -1;
    const { awaiting } = this;
    this.awaiting = undefined;
    awaiting?.forEach((done) => {
      done(error ?? notSent());
    });
    return this.handler.ended(error);
  }

  private await(done: Done | undefined): number {
    if (done === undefined) {
      return 0;
    }
    this.awaiting ??= [];
    this.awaiting.push(done);
    return Send.Awaited;
  }

  private sendSpecially(data: string | Uint8Array, isText: boolean, done?: Done): void {
    if (this.isClosing) {
      this.refuse(done);
    } else {
      this.sendPart(data, isText, true, done);
    }
  }

  private refuse(done: Done | undefined): void {
    if (done !== undefined) {
      process.nextTick(done, notSent());
    }
  }
}

function manner(compress: boolean | undefined): number {
  return compress === undefined ? 0 : compress ? Send.Compressed : Send.Plain;
}

function bytesOf(data: string | Uint8Array): Uint8Array {
  return typeof data === 'string' ? Buffer.from(data) : data;
}

function lost(errno: number): NodeJS.ErrnoException {
  if (errno === -1) {
    return Object.assign(new Error('the peer answers no ping'), { code: 'ETIMEDOUT' });
  }
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`the connection is lost: ${code}`), { code, errno: -errno });
}

function notSent(): Error {
  return Object.assign(new Error('the message was not sent: the connection is closing or closed'), {
    code: 'ERR_VAIVEN_NOT_OPEN',
  });
}
