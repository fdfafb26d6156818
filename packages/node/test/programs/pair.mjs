// Two links on one TCP connection, without an opening handshake: what the programs of the lifecycle tests talk through.

import { once } from 'node:events';
import net from 'node:net';
import { Link } from '../../dist/link.js';

export const OPTIONS = { maxPayload: 16 << 20, maxFragments: 16_384 };
export const NOTHING = Buffer.alloc(0);

/** A handler that does nothing but what it is given. */
export function handler(methods = {}) {
  return {
    message: () => false,
    ping: () => false,
    pong: () => false,
    closeFrame: () => false,
    violation: () => false,
    ended: () => false,
    drained() {},
    finished() {},
    ...methods,
  };
}

/** A listener, each connection of which becomes a link with `make(link)` as its handler. */
export async function listen(make) {
  const server = net.createServer((socket) => {
    const own = make();
    own.link = Link.attach(socket, NOTHING, { role: 'server', ...OPTIONS }, own);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

/** A client link to it. */
export async function dial(port, own) {
  const socket = net.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  own.link = Link.attach(socket, NOTHING, { role: 'client', ...OPTIONS }, own);
  return own.link;
}

/** Echoes every message as it came. */
export function echo() {
  const own = handler({
    message(bytes, start, end, kind) {
      if (kind === 0) {
        own.link.sendBinary(bytes.subarray(start, end));
      } else {
        own.link.sendText(bytes.utf8Slice(start, end));
      }
      return false;
    },
  });
  return own;
}
