// Links of the engine on real sockets, with npm `ws` as the peer, and handlers that keep what they are told.

import { once } from 'node:events';
import http from 'node:http';
import { Link } from '../dist/link.js';
import { native } from '../dist/native.js';

export const LIMITS = { maxPayload: 1 << 20, maxFragments: 16_384 };

/** A handler that keeps every event and lets a test wait for them. */
export class Recorder {
  events = [];
  link = undefined;
  #waiting = [];

  constructor(overrides = {}) {
    Object.assign(this, overrides);
  }

  record(...event) {
    this.events.push(event);
    for (const wake of this.#waiting.splice(0)) {
      wake();
    }
    return false;
  }

  message(bytes, start, end, kind, _owned) {
    const data = kind === 0 ? Buffer.from(bytes.subarray(start, end)) : bytes.utf8Slice(start, end);
    if (kind === 2 && data !== bytes.latin1Slice(start, end)) {
      throw new Error('text that is called ASCII is not');
    }
    return this.record('message', data);
  }

  ping(payload) {
    return this.record('ping', payload.toString());
  }

  pong(payload) {
    return this.record('pong', payload.toString());
  }

  closeFrame(code, reason) {
    return this.record('close', code, reason);
  }

  violation(code, name, text) {
    return this.record('violation', code, name, text);
  }

  ended(error) {
    return this.record('ended', error?.code ?? null);
  }

  drained() {
    this.record('drained');
  }

  finished() {}

  /** The events but for `drained`, once there are so many. */
  async first(count) {
    for (;;) {
      const events = this.events.filter(([name]) => name !== 'drained');
      if (events.length >= count) {
        return events.slice(0, count);
      }
      await new Promise((resolve) => this.#waiting.push(resolve));
    }
  }

  /** The first event of this name. */
  async named(name) {
    for (;;) {
      const event = this.events.find((one) => one[0] === name);
      if (event !== undefined) {
        return event;
      }
      await new Promise((resolve) => this.#waiting.push(resolve));
    }
  }
}

/** An HTTP server whose upgrades become links; `handler()` makes the handler of each. */
export async function serve(handler, options = {}, extensions = undefined) {
  const server = http.createServer();
  server.on('upgrade', (request, socket, head) => {
    const fields = [
      'HTTP/1.1 101 Switching Protocols',
      'Upgrade: websocket',
      'Connection: Upgrade',
      `Sec-WebSocket-Accept: ${native.acceptKey(request.headers['sec-websocket-key'])}`,
      ...(extensions === undefined ? [] : [`Sec-WebSocket-Extensions: ${extensions}`]),
    ];
    socket.write(`${fields.join('\r\n')}\r\n\r\n`);
    const own = handler(request);
    own.socket = socket;
    own.link = Link.attach(socket, head, { role: 'server', ...LIMITS, ...options }, own);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, url: `ws://127.0.0.1:${server.address().port}`, port: server.address().port };
}

/** A client link to a server of any make. */
export async function dial(port, handler, options = {}, extensions = undefined) {
  const request = http.request({
    port,
    host: '127.0.0.1',
    headers: {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': 13,
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
      ...(extensions === undefined ? {} : { 'Sec-WebSocket-Extensions': extensions }),
    },
  });
  request.end();
  const [, socket, head] = await once(request, 'upgrade');
  handler.socket = socket;
  handler.link = Link.attach(socket, head, { role: 'client', ...LIMITS, ...options }, handler);
  return handler.link;
}

/** A frame as a client sends it, masked with a key of zeros, which leaves the payload as it is. */
export function clientFrame(first, payload = Buffer.alloc(0)) {
  const { length } = payload;
  const header =
    length < 126
      ? Buffer.from([first, 0x80 | length, 0, 0, 0, 0])
      : Buffer.from([first, 0x80 | 126, length >> 8, length & 0xff, 0, 0, 0, 0]);
  return Buffer.concat([header, payload]);
}

/** A socket whose opening handshake with a server of `serve` is done. */
export async function rawClient(port) {
  const request = http.request({
    port,
    host: '127.0.0.1',
    headers: {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': 13,
      'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    },
  });
  request.end();
  const [, socket] = await once(request, 'upgrade');
  return socket;
}
