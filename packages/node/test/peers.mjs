// The other sides of the tests' sockets: npm `ws`, and servers that answer with whatever bytes a test wants.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import net from 'node:net';

const { WebSocketServer } = createRequire(import.meta.url)('ws');

/** A server of npm `ws` that does not outlive the test, and its URL. */
export async function startServer(t, onConnection = () => {}, options = {}) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, ...options });
  server.on('connection', onConnection);
  await once(server, 'listening');
  t.after(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  return { server, url: `ws://127.0.0.1:${server.address().port}/` };
}

/** Sends every message back as what it came. */
export function echo(socket) {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
}

/** A TCP server that gives each connection, with the head of the request, to `answer`. */
export async function startRaw(t, answer) {
  const sockets = new Set();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    let head = '';
    socket.on('data', function read(chunk) {
      head += chunk.toString('latin1');
      if (!head.includes('\r\n\r\n')) return;
      socket.off('data', read);
      answer(socket, head);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { server, url: `ws://127.0.0.1:${server.address().port}/` };
}

/** The fields of a right answer to the request; `changes` replaces some, and leaves out those that are null. */
export function acceptance(head, changes = {}) {
  const key = /sec-websocket-key: (\S+)/i.exec(head)[1];
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  const fields = { Upgrade: 'websocket', Connection: 'Upgrade', 'Sec-WebSocket-Accept': accept, ...changes };
  const lines = Object.entries(fields)
    .filter(([, value]) => value !== null)
    .flatMap(([name, value]) => [value].flat().map((one) => `${name}: ${one}\r\n`));
  return `HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`;
}

/** A frame of a server, with a length of at most 125 bytes. */
export function frame(opcode, payload = '') {
  const bytes = Buffer.from(payload);
  return Buffer.concat([Buffer.of(0x80 | opcode, bytes.length), bytes]);
}

/** Every event of the standard that the socket fires, as a line; the promise is done with the event `close`. */
export function recordEvents(socket) {
  const lines = [];
  for (const type of ['open', 'message', 'error', 'close']) {
    socket.addEventListener(type, (event) => {
      const detail = {
        message: () => event.data,
        close: () => `${event.code} ${event.reason} ${event.wasClean}`,
      };
      lines.push([type, detail[type]?.()].filter((part) => part !== undefined).join(' '));
    });
  }
  return new Promise((resolve) => {
    socket.addEventListener('close', () => resolve(lines));
  });
}

/** The next event of this type. */
export function next(target, type) {
  return new Promise((resolve) => {
    target.addEventListener(type, resolve, { once: true });
  });
}
