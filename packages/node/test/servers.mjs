// Servers of this package, and requests to them as bytes.

import { once } from 'node:events';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import vaiven, { WebSocketServer } from '../dist/index.mjs';
import { certificate } from './certificate.mjs';

export const KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

/** A server that does not outlive the test. */
export async function serve(t, options = {}, onConnection = () => {}) {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, ...options });
  server.on('connection', onConnection);
  await once(server, 'listening');
  t.after(() => server.drain({ timeout: 1 }).catch(() => server.close()));
  return { server, port: server.address().port, url: `ws://127.0.0.1:${server.address().port}/` };
}

/** The same over TLS. */
export async function serveSecurely(t, options = {}) {
  const below = https.createServer(certificate());
  const server = new WebSocketServer({ server: below, ...options });
  below.listen(0, '127.0.0.1');
  await once(below, 'listening');
  t.after(() => below.close());
  t.after(() => server.drain({ timeout: 1 }).catch(() => server.close()));
  return { server, port: below.address().port };
}

/** A client in the manner of `ws`, once it is open. */
export async function connect(url, ...rest) {
  const socket = new vaiven(url, ...rest);
  await once(socket, 'open');
  return socket;
}

/** The bytes of a request; `changes` replaces fields, and leaves out those that are null. */
export function request(changes = {}, line = 'GET / HTTP/1.1') {
  const fields = {
    Host: '127.0.0.1',
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Key': KEY,
    'Sec-WebSocket-Version': '13',
    ...changes,
  };
  const lines = Object.entries(fields).filter(([, value]) => value !== null);
  return `${line}\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

/** Sends bytes and gives everything that comes back until the server ends the connection. */
export function converse(port, bytes) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => socket.write(bytes));
    let answer = '';
    socket.setEncoding('latin1').on('data', (chunk) => {
      answer += chunk;
    });
    socket.on('end', () => resolve(answer));
    socket.on('error', reject);
  });
}

/** A frame as a client sends it, masked with a key of zeros, which leaves the payload as it is. */
export function frame(first, payload) {
  const bytes = Buffer.from(payload);
  return Buffer.concat([Buffer.from([first, 0x80 | bytes.length, 0, 0, 0, 0]), bytes]);
}

/** A connection behind its opening handshake, as a plain socket. */
export function openRaw(port, changes, line, options = {}) {
  return upgrade(net.connect({ port, host: '127.0.0.1', ...options }), request(changes, line));
}

/** The same over TLS. */
export function openSecurely(port) {
  return upgrade(tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }), request());
}

async function upgrade(socket, bytes) {
  socket.write(bytes);
  const [head] = await once(socket, 'data');
  return Object.assign(socket, { head: head.toString('latin1') });
}

/** The next events of this name, once there are so many. */
export function collect(emitter, event, count) {
  const found = [];
  return new Promise((resolve) => {
    emitter.on(event, (...details) => {
      if (found.push(details) === count) resolve(found);
    });
  });
}
