/**
 * The server, compatible with that of npm `ws` 8: HTTP requests to sockets.
 *
 * Requests are Node's, the rules of the opening handshake are the native core's, and what follows is the socket's.
 * What `ws` lacks is here too: an Origin policy, keepalive, a bound on what waits, topics, an orderly end.
 */

import { EventEmitter, once } from 'node:events';
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { deflateConfig } from './extensions';
import { acceptDeflate, checkOrigin, type DeflateConfig, type Upgrade } from './handshake';
import {
  answerConnect,
  answerParseError,
  answerRequest,
  CLOSED,
  DRAINING,
  judge,
  NOT_FOUND,
  refuse,
  refuseAsTold,
} from './refusal';
import {
  checkSource,
  deflateFrom,
  originsFrom,
  type ServerOptions,
  serverSettings,
  type UpgradeSocket,
  type Verdict,
} from './server-options';
import { type PublishOptions, Topics } from './topics';
import { connectionOf } from './websocket';
import { accept, makeSocket, type WsSendable, type WsWebSocket } from './ws';
import type { Host } from './ws-connection';

/** Called with the socket of an accepted request. */
export type Accepted = (socket: WsWebSocket, request: http.IncomingMessage) => void;

/** What `drain` may be told. */
export interface DrainOptions {
  /** Milliseconds until connections that are still there are ended: 30,000 unless told. */
  timeout?: number | undefined;
  /** The code of the Close frames: 1001 unless told, or 1012 where the service comes back at once. */
  code?: 1001 | 1012 | undefined;
  reason?: string | undefined;
}

const DRAIN_TIMEOUT = 30_000;
const HANDSHAKE_TIMEOUT = 10_000;
const MAX_HEADER_BYTES = 16 * 1024;
/** A token of HTTP (RFC 9110 section 5.6.2). */
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

/** Streams that carry a socket already. */
const taken = new WeakSet<Duplex>();

export interface WebSocketServer {
  on(event: 'connection', listener: (socket: WsWebSocket, request: http.IncomingMessage) => void): this;
  on(event: 'headers', listener: (headers: string[], request: http.IncomingMessage) => void): this;
  on(event: 'error', listener: (error: Error) => void): this;
  on(event: 'close' | 'listening', listener: () => void): this;
  on(
    event: 'wsClientError',
    listener: (error: Error, socket: Duplex, request: http.IncomingMessage) => void,
  ): this;
  on(event: string | symbol, listener: (...details: never[]) => void): this;
}

/**
 * A WebSocket server.
 *
 * ```js
 * const server = new WebSocketServer({ port: 8080 });
 * server.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
 * ```
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the events get their types above.
export class WebSocketServer extends EventEmitter {
  readonly options: ServerOptions;
  /** Every socket that is connected, where `clientTracking` is not off. */
  declare readonly clients: Set<WsWebSocket> | undefined;
  readonly #origins: readonly string[] | undefined;
  readonly #deflate: DeflateConfig | null;
  readonly #topics = new Topics();
  readonly #host: Host = { topics: this.#topics, ended: (socket) => this.#ended(socket as WsWebSocket) };
  #state: 'running' | 'closing' | 'closed' = 'running';
  #isDraining = false;
  #server: http.Server | undefined;
  #unlisten = () => {};
  #closesWithLast = false;

  /** `listening` is called once the port is bound. */
  constructor(options: ServerOptions, listening?: () => void) {
    super();
    checkSource(options ?? {});
    this.options = { clientTracking: true, ...options };
    // What cannot be is said here, and not with the first connection.
    serverSettings(this.options);
    this.#origins = originsFrom(this.options);
    this.#deflate = deflateConfig(deflateFrom(this.options));
    if (this.options.clientTracking) {
      Object.defineProperty(this, 'clients', { value: new Set(), enumerable: true });
    }
    if (options.noServer) return;
    this.#server = options.server ?? this.#createServer();
    this.#listen(this.#server);
    const { port, host, backlog } = options;
    if (options.server === undefined) this.#server.listen({ port, host, backlog } as object, listening);
  }

  #createServer(): http.Server {
    const server = http.createServer(
      {
        connectionsCheckingInterval: 1000,
        headersTimeout: HANDSHAKE_TIMEOUT,
        requestTimeout: HANDSHAKE_TIMEOUT,
        maxHeaderSize: MAX_HEADER_BYTES,
      },
      answerRequest,
    );
    return server.on('clientError', answerParseError).on('connect', answerConnect);
  }

  #listen(server: http.Server): void {
    const listeners = {
      listening: () => this.emit('listening'),
      error: (error: Error) => this.emit('error', error),
      upgrade: (request: http.IncomingMessage, socket: Duplex, head: Buffer) =>
        this.handleUpgrade(request, socket, head, (...accepted) => this.emit('connection', ...accepted)),
    };
    for (const [event, listener] of Object.entries(listeners)) server.on(event, listener);
    this.#unlisten = () => {
      for (const [event, listener] of Object.entries(listeners)) server.removeListener(event, listener);
    };
  }

  /** Where the server listens; null once it is closed. */
  address(): AddressInfo | string | null {
    if (this.options.noServer) throw new Error('The server is operating in "noServer" mode');
    return this.#server?.address() ?? null;
  }

  /** The HTTP server below; null without one, and once it is closed. */
  get _server(): http.Server | null {
    return this.#server ?? null;
  }

  /**
   * Accepts no more connections. The event `close` follows when those that are there have ended; they are not asked to,
   * see `drain`.
   */
  close(callback?: (error?: Error) => void): void {
    if (this.#state === 'closed') {
      if (callback) this.once('close', () => callback(new Error('The server is not running')));
      process.nextTick(() => this.emit('close'));
      return;
    }
    if (callback) this.once('close', callback);
    if (this.#state === 'closing') return;
    this.#state = 'closing';
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined || this.options.server !== undefined) {
      this.#unlisten();
      this.#closeWithLast();
      // A server of its own still answers who is in the middle of a request.
    } else server.close(() => this.#closeWithLast());
  }

  #closeWithLast(): void {
    if (this.clients !== undefined && this.clients.size > 0) this.#closesWithLast = true;
    else process.nextTick(() => this.#closed());
  }

  #closed(): void {
    this.#state = 'closed';
    this.emit('close');
  }

  /**
   * Ends in good order: new requests get 503, every socket a Close frame, and who is still there after the timeout is
   * ended. Then the server closes. Gives how many had to be ended.
   */
  async drain({ timeout = DRAIN_TIMEOUT, code = 1001, reason = '' }: DrainOptions = {}): Promise<number> {
    const { clients } = this;
    if (clients === undefined) throw new Error("drain() needs the option 'clientTracking'");
    this.#isDraining = true;
    for (const socket of clients) connectionOf(socket).close(code, reason);
    const isDrained = await this.#emptied(clients, timeout);
    const ended = isDrained ? 0 : clients.size;
    for (const socket of clients) socket.terminate();
    const closed = this.#state === 'closed' ? undefined : once(this, 'close');
    this.close();
    await closed;
    return ended;
  }

  #emptied(clients: Set<WsWebSocket>, timeout: number): Promise<boolean> {
    if (clients.size === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), timeout);
      for (const socket of clients) {
        socket.once('close', () => {
          if (clients.size > 0) return;
          clearTimeout(timer);
          resolve(true);
        });
      }
    });
  }

  /** Whether a request is for this server; may be overridden. */
  shouldHandle(request: Pick<http.IncomingMessage, 'url'>): boolean {
    const { path } = this.options;
    return !path || request.url?.split('?', 1)[0] === path;
  }

  /** Accepts or refuses a request to upgrade; `accepted` is called with the socket of one that is accepted. */
  handleUpgrade(request: http.IncomingMessage, socket: Duplex, head: Buffer, accepted: Accepted): void {
    socket.on('error', destroy);
    const judged = judge(request);
    if (judged.refusal !== undefined) {
      this.#refuse(request, socket, judged.refusal);
      return;
    }
    const { verifyClient } = this.options;
    const isSecure = isEncrypted(socket) || isEncrypted(request.socket);
    if (!this.shouldHandle(request)) {
      refuse(socket, NOT_FOUND);
      return;
    }
    const origins = this.#origins;
    const foreign = origins && checkOrigin(origins, judged.origin, judged.host, isSecure);
    if (foreign) {
      this.#refuse(request, socket, foreign);
      return;
    }
    const complete = () => this.#complete(request, socket, head, judged, accepted);
    if (!verifyClient) {
      complete();
      return;
    }
    const info = { origin: judged.origin ?? undefined, secure: isSecure, req: request };
    const verdict: Verdict = (isAccepted, status, message, headers) =>
      isAccepted ? complete() : refuseAsTold(socket, status || 401, message, headers);
    if (verifyClient.length === 2) verifyClient(info, verdict);
    else verdict((verifyClient as (info: object) => boolean)(info));
  }

  #refuse(request: http.IncomingMessage, socket: Duplex, refusal: Parameters<typeof refuse>[1]): void {
    if (this.listenerCount('wsClientError') === 0) {
      refuse(socket, refusal);
      return;
    }
    const { status, code, message } = refusal;
    this.emit('wsClientError', Object.assign(new Error(message), { status, code }), socket, request);
  }

  #complete(
    request: http.IncomingMessage,
    stream: UpgradeSocket,
    head: Buffer,
    { accept: proof, extensions: offers, subprotocols }: Upgrade,
    accepted: Accepted,
  ): void {
    // The client has ended the connection already.
    if (!stream.readable || !stream.writable) {
      stream.destroy();
      return;
    }
    if (taken.has(stream)) {
      throw new Error(
        'server.handleUpgrade() was called more than once with the same socket, possibly due to a misconfiguration',
      );
    }
    if (this.#state !== 'running' || this.#isDraining) {
      refuse(stream, this.#isDraining ? DRAINING : CLOSED);
      return;
    }
    taken.add(stream);
    const socket = makeSocket(this.options);
    const protocol = this.#chooseProtocol(subprotocols, request);
    const compression = this.#deflate && offers !== null ? acceptDeflate(this.#deflate, offers) : null;
    const headers = [
      'HTTP/1.1 101 Switching Protocols',
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Accept: ${proof}`,
    ];
    if (protocol !== '') headers.push(`Sec-WebSocket-Protocol: ${protocol}`);
    if (compression !== null) headers.push(`Sec-WebSocket-Extensions: ${compression.answer}`);
    this.emit('headers', headers, request);
    stream.write(`${headers.join('\r\n')}\r\n\r\n`);
    stream.removeListener('error', destroy);
    stream.setTimeout?.(0);
    stream.setNoDelay?.();
    this.clients?.add(socket);
    const [extensions, deflate] = [compression?.answer ?? '', compression?.agreed ?? null];
    accept(socket, this.#host, { stream, head, agreed: { subprotocol: protocol, extensions, deflate } });
    accepted(socket, request);
  }

  #chooseProtocol(offered: readonly string[], request: http.IncomingMessage): string {
    if (offered.length === 0) return '';
    const { handleProtocols } = this.options;
    const chosen = handleProtocols ? handleProtocols(new Set(offered), request) : offered[0];
    if (!chosen) return '';
    if (TOKEN.test(chosen)) return chosen;
    throw new TypeError(`handleProtocols gave ${JSON.stringify(chosen)}, which is no name of a subprotocol`);
  }

  #ended(socket: WsWebSocket): void {
    if (this.clients?.delete(socket) && this.#closesWithLast && this.clients.size === 0) {
      process.nextTick(() => this.#closed());
    }
  }

  /**
   * Sends a message to every socket that has subscribed to the topic. It is framed once for all, and compressed once
   * for each size of window. Gives to how many it was sent.
   */
  publish(topic: string, message: WsSendable, options?: PublishOptions): number {
    return this.#topics.publish(topic, message, options);
  }

  /** How many sockets have subscribed to a topic. */
  subscriberCount(topic: string): number {
    return this.#topics.count(topic);
  }
}

function destroy(this: Duplex): void {
  this.destroy();
}

function isEncrypted(stream: Duplex): boolean {
  const { encrypted, authorized } = stream as { encrypted?: boolean; authorized?: boolean };
  return Boolean(encrypted || authorized);
}
