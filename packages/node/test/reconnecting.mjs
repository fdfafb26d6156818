// What the tests of ReconnectingWebSocket share: sockets in a hurry, and servers that die or refuse.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { fileURLToPath } from 'node:url';
import { ReconnectingWebSocket } from 'vaiven';

/** Delays that a test can wait for. */
export const QUICK = { baseDelay: 20, maxDelay: 50 };

export const program = (name) => fileURLToPath(new URL(`programs/${name}`, import.meta.url));

/** A socket that ends with the test, and what it fired, by type. */
export function connect(t, url, options = {}) {
  const socket = new ReconnectingWebSocket(url, { ...QUICK, ...options });
  t.after(() => socket.close());
  return socket;
}

/** The next event of the type. */
export const next = async (socket, type) => (await once(socket, type))[0];

/** The types of the events as they fire. */
export function record(socket) {
  const types = [];
  for (const type of ['open', 'message', 'reconnecting', 'error', 'close']) {
    socket.addEventListener(type, () => types.push(type));
  }
  return types;
}

/**
 * A port that nothing listens on, below those that systems give to clients: a client that tries such a port of its own
 * machine again and again at last gets it as its own end, and is connected to itself.
 */
export async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const server = net.createServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch {
      continue;
    }
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** An echo server as a process of its own. */
export class MortalServer {
  constructor(t, port) {
    this.port = port;
    this.url = `ws://127.0.0.1:${port}/`;
    t.after(() => this.child?.kill('SIGKILL'));
  }

  async start() {
    this.child = spawn(process.execPath, [program('mortal-server.mjs'), this.port], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    await once(this.child.stdout, 'data');
  }

  async kill() {
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }
}

/** An HTTP server that refuses every upgrade with what `answer` gives, and counts them. */
export async function startRefusing(t, answer) {
  const server = http.createServer();
  const visits = [];
  server.on('upgrade', (request, peer) => {
    visits.push(request);
    peer.on('error', () => {});
    peer.end(`HTTP/1.1 ${answer(visits.length)}\r\nConnection: close\r\n\r\n`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { url: `ws://127.0.0.1:${server.address().port}/`, visits };
}
