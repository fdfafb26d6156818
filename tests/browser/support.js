// What the browser tests stand on: the real server as a process, a real browser, and files in the repository.
//
// VAIVEN_BIN    the server (default: target/release/vaiven)
// CHROMIUM      the browser (default: the first of its usual names in PATH)
// SCREENSHOTS   where pictures are kept (default: target/screenshots)

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { chromium } from 'playwright-core';

export const ROOT = resolve(import.meta.dirname ?? new URL('.', import.meta.url).pathname, '../..');
const SCREENSHOTS = process.env.SCREENSHOTS ?? join(ROOT, 'target/screenshots');

const STOP_MS = 40_000; // a drain may take 30 s

/** Waits until `probe` gives something other than undefined, null or false. */
export async function eventually(what, probe, milliseconds = 20_000) {
  const deadline = Date.now() + milliseconds;
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== null && value !== false) return value;
    if (Date.now() > deadline) throw new Error(`timed out waiting for ${what}`);
    await new Promise((done) => setTimeout(done, 25));
  }
}

function freePort() {
  return new Promise((done, failed) => {
    const probe = createServer();
    probe.once('error', failed);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}

/** The server under test, as a process of its own that can end and come back on the same port. */
export class Server {
  /** Starts one with more arguments than it needs, if there are any. */
  static async start(...args) {
    const server = new Server();
    server.port = await freePort();
    server.log = '';
    server.folder = mkdtempSync(join(tmpdir(), 'vaiven-'));
    server.args = ['serve', '--listen', `127.0.0.1:${server.port}`, '--data-dir', join(server.folder, 'data'), ...args];
    await server.start();
    return server;
  }

  get origin() {
    return `http://127.0.0.1:${this.port}`;
  }

  room(name) {
    return `ws://127.0.0.1:${this.port}/c/${name}`;
  }

  async start() {
    const program = process.env.VAIVEN_BIN ?? join(ROOT, 'target/release/vaiven');
    const child = spawn(program, this.args, { cwd: this.folder, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    this.ended = new Promise((done) => {
      child.once('exit', done);
      child.once('error', (error) => { this.log += `${error}\n`; done(error); });
    });
    let over = false;
    this.ended.then(() => { over = true; });
    child.stdout.resume();
    child.stderr.on('data', (data) => { this.log += data; });
    try {
      await eventually('the server to listen', async () => {
        if (over) throw new Error(`${program} ended at once: ${this.log}`);
        return fetch(`${this.origin}/health`).then((response) => response.ok, () => false);
      });
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  /** Ends the server as a service manager would, waits until it is gone, and gives its exit status. */
  async stop() {
    let patience = true;
    this.child.kill('SIGTERM');
    const force = setTimeout(() => { patience = false; this.child.kill('SIGKILL'); }, STOP_MS);
    const status = await this.ended;
    clearTimeout(force);
    if (!patience) throw new Error(`the server did not end within ${STOP_MS} ms of SIGTERM`);
    return status;
  }

  /** Ends the server for good: what it kept goes too. */
  async end() {
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A way to the server that can be cut, as a network can. */
export class Line {
  #sockets = new Set();
  #isCut = false;

  static async to(server) {
    const line = new Line();
    line.listener = createServer((near) => line.#carry(near, connect(server.port, '127.0.0.1')));
    await new Promise((done) => { line.listener.listen(0, '127.0.0.1', done); });
    line.origin = `http://127.0.0.1:${line.listener.address().port}`;
    return line;
  }

  /** Nothing goes through any more, and both ends are told so. */
  cut() {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend() {
    this.#isCut = false;
  }

  async end() {
    this.cut();
    await new Promise((done) => { this.listener.close(done); });
  }

  #carry(near, far) {
    for (const [socket, other] of [[near, far], [far, near]]) {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => { this.#sockets.delete(socket); other.destroy(); });
      socket.pipe(other);
    }
    if (this.#isCut) near.destroy();
  }
}

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

function findChromium() {
  const places = (process.env.PATH ?? '').split(delimiter).flatMap((dir) => NAMES.map((name) => join(dir, name)));
  const found = process.env.CHROMIUM ?? places.find((path) => existsSync(path));
  if (!found) throw new Error('no Chromium: install it (Debian, Ubuntu: apt-get install chromium) or set CHROMIUM');
  return found;
}

export function launchBrowser() {
  // A page of a test needs nothing from outside, and a sandbox cannot be had as root.
  const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'];
  return chromium.launch({ executablePath: findChromium(), args });
}

export async function keepScreenshot(page, name) {
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
}

/** The text of a file of the repository or beside it, or null where it is not present. */
export function readIfPresent(path) {
  const file = resolve(ROOT, path);
  return existsSync(file) ? readFileSync(file, 'utf8') : null;
}
