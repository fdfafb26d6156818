/**
 * The client's opening handshake: a URL and options to an upgraded stream (RFC 6455 section 4.1, with what the
 * WebSockets Standard changes of it).
 *
 * The request is Node's own, so that names, happy eyeballs, TLS, agents and the events of requests are as everywhere
 * in Node. This file knows no socket object and no events of one.
 */

import { randomBytes } from 'node:crypto';
import * as dns from 'node:dns';
import * as http from 'node:http';
import * as https from 'node:https';
import * as net from 'node:net';
import type { Duplex } from 'node:stream';
import * as tls from 'node:tls';
import { agree, type Request, requestFields } from './answer';
import { OpeningError } from './errors';
import { deflateConfig } from './extensions';
import type { Agreement } from './handshake';
import type { ClientOptions } from './options';
import { isBadPort } from './ports';
import { openTunnel, type Tunnel } from './proxy';
import { headersBehind, isTrusted } from './redirect';
import { takeTurn } from './turns';
import { credentialsOf, hostOf, parseLooseURL, portOf } from './url';

/** What is to be opened. */
export interface OpeningPlan {
  url: URL;
  protocols: readonly string[];
  options: ClientOptions;
  timeout: number | undefined;
  origin: string | undefined;
  proxy: URL | undefined;
  /** As the standard has it: bad ports are blocked, and attempts to one host take turns. */
  isStandard: boolean;
  /** Ends the request in the application's stead. */
  finish: ((request: http.ClientRequest) => void) | undefined;
}

/** An upgraded stream and what was agreed on. */
export interface Opened {
  stream: Duplex;
  head: Buffer;
  agreed: Pick<Agreement, 'subprotocol' | 'extensions' | 'deflate'>;
}

/** Who wants the connection; each of the first four calls may abort the opening. */
export interface OpeningListener {
  requested(request: http.ClientRequest): void;
  redirected(url: URL, request: http.ClientRequest): void;
  /** Whether somebody sees to what a redirected request tells its new host. */
  readonly hearsRedirects: boolean;
  /** Gives whether somebody takes care of an answer that is no 101. */
  answered(request: http.ClientRequest, response: http.IncomingMessage): boolean;
  upgraded(response: http.IncomingMessage): void;
  opened(opened: Opened): void;
  failed(error: Error): void;
}

const MAX_INTERIM_ANSWERS = 8;
const MAX_HEAD_BYTES = 16 * 1024;

type Resolved = readonly dns.LookupAddress[];

/** One attempt to open a connection, its redirects included. It ends with `opened`, `failed` or `abort`. */
export class Opening {
  readonly #plan: OpeningPlan;
  readonly #listener: OpeningListener;
  #isOver = false;
  #request: http.ClientRequest | undefined;
  #tunnel: Tunnel | undefined;
  #timer: NodeJS.Timeout | undefined;
  #endTurn: (() => void) | undefined;
  #redirects = 0;
  #headers: http.OutgoingHttpHeaders;
  /** User name and password of the URL. */
  #credentials: string | undefined;

  constructor(plan: OpeningPlan, listener: OpeningListener) {
    this.#plan = plan;
    this.#listener = listener;
    this.#headers = plan.options.headers ?? {};
    this.#credentials = credentialsOf(plan.url);
  }

  start(): void {
    const { isStandard, url } = this.#plan;
    if (!isStandard) this.#send(url, undefined);
    else if (isBadPort(portOf(url))) {
      const error = new OpeningError(
        'WS_ERR_BLOCKED_PORT',
        `Port ${portOf(url)} is blocked, because it belongs to another protocol; let the server listen on another`,
      );
      setImmediate(() => this.#fail(error));
    } else this.#startInTurn().catch((error) => this.#fail(error));
  }

  /** Gives up without a word to the listener. */
  abort(): void {
    this.#finish();
    discard(this.#tunnel);
    discard(this.#request);
  }

  async #startInTurn(): Promise<void> {
    const { options, proxy, url } = this.#plan;
    // Whoever connects by means of its own resolves the name there, if at all.
    const isDirect = proxy === undefined && options.createConnection === undefined && !options.agent;
    const addresses = isDirect ? await resolve(hostOf(url), options) : undefined;
    if (this.#isOver) return;
    const endTurn = await takeTurn(addresses?.map(({ address }) => address) ?? [url.hostname], portOf(url));
    if (this.#isOver) endTurn();
    else {
      this.#endTurn = endTurn;
      this.#send(url, addresses);
    }
  }

  /** Sends the request to this URL: the first, or one of a redirect. */
  #send(url: URL, addresses: Resolved | undefined): void {
    const { finish, timeout } = this.#plan;
    clearTimeout(this.#timer);
    if (timeout !== undefined) {
      const late = new OpeningError('WS_ERR_HANDSHAKE_TIMEOUT', 'Opening handshake has timed out');
      // The request keeps the process alive, if anything is to.
      this.#timer = setTimeout(() => this.#fail(late), timeout).unref();
    }
    const { options, protocols } = this.#plan;
    const asked: Request = {
      nonce: randomBytes(16),
      protocols,
      deflate: deflateConfig(options.perMessageDeflate),
      version: options.protocolVersion ?? 13,
    };
    const request = (url.protocol === 'wss:' ? https : http).request(
      this.#requestOptions(url, asked, addresses),
    );
    this.#request = request;
    this.#listener.requested(request);
    let interim = 0;
    request.on('information', () => {
      interim += 1;
      if (interim > MAX_INTERIM_ANSWERS) {
        this.#fail(new OpeningError('WS_ERR_INVALID_RESPONSE', 'Too many interim responses'));
      }
    });
    request.on('error', (error) => {
      if (this.#request === request) this.#fail(error);
    });
    request.on('response', (response) => this.#answered(url, request, response));
    request.on('upgrade', (response, stream, head) => this.#upgraded(asked, response, stream, head));
    if (this.#redirects > 0) this.#listener.redirected(url, request);
    if (this.#isOver) return;
    if (finish === undefined) request.end();
    else finish(request);
  }

  #requestOptions(url: URL, asked: Request, addresses: Resolved | undefined): https.RequestOptions {
    const { options, origin, proxy } = this.#plan;
    const isSecure = url.protocol === 'wss:';
    const { finishRequest: _, proxy: __, ...passed } = options;
    return {
      maxHeaderSize: MAX_HEAD_BYTES,
      ...(passed as https.RequestOptions),
      ...pathOf(url),
      ...(addresses === undefined ? {} : { lookup: fixedLookup(addresses) }),
      ...(this.#credentials === undefined ? {} : { auth: this.#credentials }),
      createConnection:
        proxy === undefined
          ? (options.createConnection ?? (isSecure ? connectSecurely : connect))
          : this.#connectThrough(proxy, url),
      defaultPort: options.defaultPort ?? (isSecure ? 443 : 80),
      headers: {
        ...this.#headers,
        ...(origin === undefined
          ? {}
          : { [options.protocolVersion === 8 ? 'Sec-WebSocket-Origin' : 'Origin']: origin }),
        ...requestFields(asked),
      },
      host: hostOf(url),
      hostname: undefined,
      method: 'GET',
      port: url.port === '' ? portOf(url) : url.port,
      protocol: undefined,
      timeout: undefined,
    } as https.RequestOptions;
  }

  /** A way to make the request's connection that asks the proxy for a tunnel and puts TLS into it. */
  #connectThrough(proxy: URL, url: URL) {
    const { options } = this.#plan;
    return (options_: tls.ConnectionOptions, done: (error: Error | null, socket?: net.Socket) => void) => {
      this.#tunnel = openTunnel(proxy, url, options, (error, socket) => {
        this.#tunnel = undefined;
        if (error || socket === undefined || url.protocol === 'ws:') done(error, socket);
        else done(null, connectSecurely({ ...options_, socket }));
      });
    };
  }

  #answered(url: URL, request: http.ClientRequest, response: http.IncomingMessage): void {
    if (this.#isOver || this.#request !== request) return;
    const status = response.statusCode ?? 0;
    const { location } = response.headers;
    if (location !== undefined && status >= 300 && status < 400 && this.#plan.options.followRedirects) {
      this.#redirect(url, location);
    } else if (this.#listener.answered(request, response)) {
      this.#finish();
    } else {
      const message = `Unexpected server response: ${status}`;
      this.#fail(new OpeningError('WS_ERR_UNEXPECTED_RESPONSE', message, response));
    }
  }

  #redirect(from: URL, location: string): void {
    this.#redirects += 1;
    if (this.#redirects > (this.#plan.options.maxRedirects ?? 10)) {
      this.#fail(new OpeningError('WS_ERR_TOO_MANY_REDIRECTS', 'Maximum redirects exceeded'));
      return;
    }
    discard(this.#request);
    try {
      const next = parseLooseURL(location, from);
      const isTold = this.#listener.hearsRedirects || isTrusted(this.#plan.url, next);
      const kept = headersBehind(this.#headers, this.#plan.url, next, isTold);
      if (this.#credentials !== undefined && isTold) {
        kept.authorization ??= `Basic ${Buffer.from(this.#credentials).toString('base64')}`;
      }
      this.#headers = kept;
      this.#credentials = isTold ? credentialsOf(next) : undefined;
      this.#send(next, undefined);
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #upgraded(asked: Request, response: http.IncomingMessage, stream: Duplex, head: Buffer): void {
    if (this.#isOver) {
      stream.destroy();
      return;
    }
    this.#listener.upgraded(response);
    // The listener may have had enough of the connection when it saw the answer.
    if (this.#isOver) return;
    try {
      const agreed = agree(asked, response);
      this.#finish();
      this.#listener.opened({ stream, head, agreed });
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #fail(error: Error): void {
    if (this.#isOver) return;
    this.abort();
    this.#listener.failed(error);
  }

  #finish(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#endTurn?.();
  }
}

/** Destroys a request whose end interests nobody any more, its error the least. */
function discard(request: Tunnel | undefined): void {
  if (request === undefined) return;
  request.on('error', () => {});
  request.destroy();
  if ('socket' in request) request.socket?.destroy();
}

async function resolve(host: string, options: ClientOptions): Promise<Resolved> {
  const family = net.isIP(host);
  if (family !== 0) return [{ address: host, family }];
  const lookup = (options.lookup ?? dns.lookup) as typeof dns.lookup;
  const wanted = { family: options.family ?? 0, hints: options.hints ?? 0, all: true } as const;
  return new Promise((found, failed) => {
    lookup(host, wanted, (error, addresses) => (error ? failed(error) : found(addresses)));
  });
}

/** A lookup that gives what was found before. */
function fixedLookup(addresses: Resolved): net.LookupFunction {
  return (_host, { all }, done) => {
    const [first] = addresses;
    if (all) done(null, [...addresses]);
    else if (first !== undefined) done(null, first.address, first.family);
    else done(Object.assign(new Error('the name has no address'), { code: 'ENOTFOUND' }), '');
  };
}

/** Where the request goes: for a socket in the file system, `ws+unix:/path/of/socket:/path?query`. */
function pathOf(url: URL): { path: string; socketPath?: string | undefined } {
  const path = url.pathname + url.search;
  if (url.protocol !== 'ws+unix:') return { path, socketPath: undefined };
  const colon = path.indexOf(':');
  return colon < 0
    ? { path: '/', socketPath: path }
    : { path: path.slice(colon + 1), socketPath: path.slice(0, colon) };
}

// Connections of our own, without an agent: an upgraded connection goes back into no pool.
function connect(options: net.NetConnectOpts & { socketPath?: string; path?: string }): net.Socket {
  return net.connect({ ...options, path: options.socketPath } as net.NetConnectOpts);
}

function connectSecurely(options: tls.ConnectionOptions): tls.TLSSocket {
  const { host = '', servername } = options;
  return tls.connect({
    ALPNProtocols: ['http/1.1'],
    ...options,
    path: undefined,
    // An address is no server name (RFC 6066 section 3).
    servername: servername ?? (net.isIP(host) === 0 ? host : ''),
  } as tls.ConnectionOptions);
}
