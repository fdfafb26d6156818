// The real server as a process that can end and come back, and a TCP proxy before it that does what networks do.
//
// VAIVEN_BIN is the server; without it the release build of this repository, which is made if it is not there.

import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

function program() {
  if (process.env.VAIVEN_BIN) return process.env.VAIVEN_BIN;
  const target = process.env.CARGO_TARGET_DIR ?? join(ROOT, 'target');
  const binary = join(target, 'release', 'vaiven');
  if (!existsSync(binary)) {
    execFileSync('cargo', ['build', '--release', '--package', 'vaiven-cli'], { cwd: ROOT, stdio: 'inherit' });
  }
  return binary;
}

/** Waits until a function gives something. */
export async function eventually(what, probe, milliseconds = 30_000) {
  for (const deadline = Date.now() + milliseconds; Date.now() < deadline; ) {
    const value = await probe();
    if (value) return value;
    await sleep(10);
  }
  throw new Error(`timed out waiting for ${what}`);
}

async function freePort() {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Many clients of one address that come back at once are what these tests are about, and not an attack. */
const FAST = ['--message-rate', '5000', '--message-burst', '10000', '--handshake-rate-per-ip', '1000'];

/** A server with a folder of its own for what it keeps. */
export class Server {
  log = '';
  #child;

  static async start(t, options = FAST) {
    const server = new Server();
    server.port = await freePort();
    server.options = options;
    server.folder = mkdtempSync(join(tmpdir(), 'vaiven-client-'));
    t.after(async () => {
      await server.kill();
      rmSync(server.folder, { recursive: true });
    });
    await server.start();
    return server;
  }

  get url() {
    return `ws://127.0.0.1:${this.port}/v1`;
  }

  async start() {
    const listen = `127.0.0.1:${this.port}`;
    const options = ['serve', '--listen', listen, '--data-dir', this.folder, ...this.options];
    this.#child = spawn(program(), options, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#child.stderr.on('data', (data) => {
      this.log += data;
    });
    const child = this.#child;
    await eventually('the server to listen', () => {
      if (child.exitCode !== null) throw new Error(`the server ended at once: ${this.log}`);
      return fetch(`http://${listen}/health`).then(
        ({ ok }) => ok,
        () => false,
      );
    });
  }

  /** Ends it as a power cut would. */
  async kill() {
    await this.#end('SIGKILL');
  }

  /** Asks it to end. */
  async stop() {
    await this.#end('SIGTERM');
  }

  async #end(signal) {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
  }
}

/** A proxy before a server, whose connections can be cut at any byte. */
export class TcpProxy {
  #listener;
  #pairs = new Set();
  /** Whether it answers an upgrade to WebSocket with an error, as some networks do. */
  refusesWebSocket = false;
  accepted = 0;

  static async start(t, target) {
    const proxy = new TcpProxy();
    proxy.#listener = net.createServer((near) => proxy.#accept(near, target)).listen(0, '127.0.0.1');
    await once(proxy.#listener, 'listening');
    t.after(() => {
      proxy.cut();
      proxy.#listener.close();
    });
    return proxy;
  }

  get url() {
    return `ws://127.0.0.1:${this.#listener.address().port}/v1`;
  }

  /** Cuts every connection. */
  cut() {
    for (const [near, far] of this.#pairs) {
      // A reset of a socket that has begun to end would leave its descriptor behind, and the process with it.
      if (near.writable) near.resetAndDestroy();
      far.destroy();
    }
  }

  /** Lets nothing through any more on the connections that are there, without a word. */
  silence() {
    for (const [near, far] of this.#pairs) {
      near.unpipe(far);
      far.unpipe(near);
    }
  }

  #accept(near, port) {
    this.accepted += 1;
    near.once('data', (head) => {
      if (this.refusesWebSocket && /^upgrade: websocket/im.test(head.toString('latin1'))) {
        near.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
        return;
      }
      const far = net.connect(port, '127.0.0.1');
      const pair = [near, far];
      this.#pairs.add(pair);
      far.write(head);
      near.pipe(far);
      far.pipe(near);
      for (const socket of pair) {
        socket.on('close', () => {
          this.#pairs.delete(pair);
          near.destroy();
          far.destroy();
        });
      }
      far.on('error', () => {});
    });
    near.on('error', () => {});
  }
}
