// What the tests stand on: the server under test as a process, a network that fails, and unmodified clients.
//
// SOCKETIO_SERVER   a program that takes MODE PORT, or `reference` for the official server
//                   (default: target/release/examples/conformance)

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { connect as connectTcp, createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { io as latest } from 'socket.io-client';
import { io as oldest } from 'socket.io-client-oldest';

export const ROOT = resolve(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '../..');
const PROGRAM = process.env.SOCKETIO_SERVER ?? join(ROOT, 'target/release/examples/conformance');
export const IS_REFERENCE = PROGRAM === 'reference';

/** How long anything may take that happens at once. */
const PATIENCE_MS = 5_000;

/** The newest client, and the oldest one that speaks the same protocol. */
export const CLIENTS = { latest, oldest };

/** How a client begins, and whether it changes to a WebSocket. */
export const TRANSPORTS = {
  polling: { transports: ['polling'] },
  websocket: { transports: ['websocket'] },
  upgrade: { transports: ['polling', 'websocket'] },
};

export const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** Waits until `probe` gives something other than undefined, null or false. */
export async function eventually(what, probe, milliseconds = PATIENCE_MS) {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== null && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`timed out waiting for ${what}`);
    await sleep(10);
  }
}

/** A promise that does not wait for ever. */
export function within(what, promise, milliseconds = PATIENCE_MS) {
  let timer;
  const late = new Promise((_, failed) => {
    timer = setTimeout(() => failed(new Error(`timed out waiting for ${what}`)), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The next event of that name, as the list of its arguments. */
export function next(emitter, event, milliseconds = PATIENCE_MS) {
  return within(`the event ${event}`, new Promise((done) => {
    emitter.once(event, (...values) => done(values));
  }), milliseconds);
}

/** Emits, and gives what is acknowledged. */
export function ask(socket, event, ...values) {
  return within(`the acknowledgement of ${event}`, new Promise((done) => {
    socket.emit(event, ...values, (...answers) => done(answers));
  }));
}

/** Collects what arrives under a name, from now on. */
export function collect(emitter, event) {
  const seen = [];
  emitter.on(event, (...values) => seen.push(values.length === 1 ? values[0] : values));
  // Hidden, so that a list equals another one with the same values.
  const reach = (count) => eventually(`${count} times ${event}`, () => seen.length >= count);
  return Object.defineProperty(seen, 'reach', { value: reach });
}

export function freePort() {
  return new Promise((done, failed) => {
    const probe = createServer();
    probe.once('error', failed);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}

/** Whether somebody listens there. */
function listens(port) {
  return new Promise((done) => {
    const socket = connectTcp(port, '127.0.0.1');
    socket.once('connect', () => { socket.destroy(); done(true); });
    socket.once('error', () => done(false));
  });
}

/** The server under test, in one of its modes. */
export class Server {
  static async start(mode) {
    const server = new Server();
    server.port = await freePort();
    server.log = '';
    const [program, ...args] = IS_REFERENCE
      ? [process.execPath, join(import.meta.dirname, 'reference/server.js'), mode, `${server.port}`]
      : [PROGRAM, mode, `${server.port}`];
    server.child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    let isOver = false;
    server.ended = new Promise((done) => {
      server.child.once('exit', done);
      server.child.once('error', (error) => { server.log += error; done(error); });
    });
    server.ended.then(() => { isOver = true; });
    server.child.stderr.on('data', (data) => { server.log += data; });
    await eventually(`${program} ${mode} to listen`, () => {
      if (isOver) throw new Error(`${program} ended at once: ${server.log}`);
      return listens(server.port);
    }, 20_000);
    return server;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Ends it. One that has ended by itself before has crashed. */
  async end() {
    assert.equal(this.child.exitCode, null, `the server has ended by itself: ${this.log}`);
    this.child.kill('SIGKILL');
    await this.ended;
  }
}

/** A way to the server that can be cut, stalled and mended, as a network can. */
export class Line {
  #sockets = new Set();
  #isCut = false;
  #isStalled = false;

  static async to(server) {
    const line = new Line();
    line.listener = createServer((near) => line.#carry(near, connectTcp(server.port, '127.0.0.1')));
    await new Promise((done) => { line.listener.listen(0, '127.0.0.1', done); });
    line.url = `http://127.0.0.1:${line.listener.address().port}`;
    return line;
  }

  /** Nothing goes through any more, and both ends are told so. */
  cut() {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Nothing goes through any more, and nobody is told; once it is mended, who comes later gets through. */
  stall() {
    this.#isStalled = true;
    for (const socket of this.#sockets) {
      socket.unpipe();
      socket.pause();
    }
  }

  mend() {
    this.#isCut = false;
    this.#isStalled = false;
  }

  async end() {
    this.cut();
    await new Promise((done) => { this.listener.close(done); });
  }

  #carry(near, far) {
    for (const [socket, other] of [[near, far], [far, near]]) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => { this.#sockets.delete(socket); other.destroy(); });
      if (!this.#isStalled) socket.pipe(other);
    }
    if (this.#isCut) near.destroy();
  }
}

/** A client that is gone when the test is over; it comes back fast. */
export function open(t, io, url, options) {
  const socket = io(url, { forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 100, ...options });
  t.after(() => {
    socket.disconnect();
    // Other namespaces may hold it still.
    socket.io.reconnection(false);
    socket.io.engine?.close();
  });
  return socket;
}

/** The same, connected; where the transports ask for it, after the upgrade. */
export async function connected(t, io, url, options) {
  const socket = open(t, io, url, options);
  const arrived = within('the connection', new Promise((done, failed) => {
    socket.once('connect', done);
    socket.once('connect_error', failed);
  }));
  await arrived;
  if (options?.transports?.length === 2) {
    const { engine } = socket.io;
    await eventually('the upgrade', () => engine.transport.name === options.transports[1]);
  }
  return socket;
}

/** As many as that, for tests of rooms. */
export function several(t, io, url, count, options) {
  return Promise.all(Array.from({ length: count }, () => connected(t, io, url, options)));
}

/** Bytes as what they are, whether a client gives a Buffer, an ArrayBuffer or a view. */
export function bytes(value) {
  if (value instanceof ArrayBuffer) return Buffer.from(value);
  if (ArrayBuffer.isView(value)) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  throw new assert.AssertionError({ message: `no bytes: ${JSON.stringify(value)}` });
}

/** A value in which all bytes are Buffers, so that two can be compared. */
export function comparable(value) {
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return bytes(value);
  if (Array.isArray(value)) return value.map(comparable);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, comparable(inner)]));
}

/** Calls `body` for each client and each way of transport, or those named. */
export function matrix(body, { clients = Object.keys(CLIENTS), transports = Object.keys(TRANSPORTS) } = {}) {
  for (const client of clients) {
    for (const transport of transports) body(`${client}, ${transport}`, CLIENTS[client], TRANSPORTS[transport]);
  }
}
