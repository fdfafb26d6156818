// What keeps a process alive, and what is collected: WebSockets Standard, "Garbage collection". Each test is a program.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { startServer } from './peers.mjs';

const PACKAGE = fileURLToPath(new URL('..', import.meta.url));
const path = (name) => pathToFileURL(join(PACKAGE, 'dist', name)).href;

/** Runs the text as a program with the package's own `WebSocket`, and gives what it wrote. */
function run(program, { URL: url = '', imports = [path('global-replace.js')], ...options } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'vaiven-'));
  const file = join(folder, 'program.js');
  writeFileSync(file, program);
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['--expose-gc', ...imports.flatMap((name) => ['--import', name]), file],
      { env: { ...process.env, TEST_URL: url }, timeout: 20_000, ...options },
      (error, stdout, stderr) => {
        rmSync(folder, { recursive: true });
        resolve({ status: error ? (error.signal ?? error.code) : 0, out: stdout.trim(), err: stderr.trim() });
      },
    );
  });
}

describe('a process', () => {
  test('stays while a socket is open, and ends with it', async (t) => {
    const { url } = await startServer(t, (peer) => setTimeout(() => peer.close(1000), 300));
    const { status, out, err } = await run(
      `const socket = new WebSocket(process.env.TEST_URL);
       socket.onclose = ({ code }) => console.log('closed', code);`,
      { URL: url },
    );
    assert.deepEqual([status, out, err], [0, 'closed 1000', '']);
  });

  test('ends when the connection failed', async () => {
    const { status, out } = await run(
      `const socket = new WebSocket('ws://127.0.0.1:6/');
       socket.onerror = () => console.log('error');
       socket.onclose = () => console.log('close');`,
    );
    assert.deepEqual([status, out], [0, 'error\nclose']);
  });

  test('does not wait for the timer of a closing handshake', async (t) => {
    const { url } = await startServer(t);
    const begin = Date.now();
    const { status } = await run(
      `const socket = new WebSocket(process.env.TEST_URL, { closeTimeout: 30_000 });
       socket.onopen = () => socket.close();`,
      { URL: url },
    );
    assert.equal(status, 0);
    assert.ok(Date.now() - begin < 15_000);
  });
});

describe('garbage collection', () => {
  const COLLECT = `
    const collect = async () => {
      for (let round = 0; round < 20; round++) { globalThis.gc(); await new Promise((next) => setTimeout(next, 10)); }
    };`;

  test('closes an open socket that nobody holds or listens to, without a code', async (t) => {
    let code;
    const { url } = await startServer(t, (peer) =>
      peer.on('close', (received) => {
        code = received;
      }),
    );
    const { status, out } = await run(
      `${COLLECT}
       const keep = setTimeout(() => {}, 10_000);
       (() => { new WebSocket(process.env.TEST_URL).onopen = () => console.log('open'); })();
       setTimeout(() => collect().then(() => clearTimeout(keep)), 200);`,
      { URL: url },
    );
    assert.deepEqual([status, out, code], [0, 'open', 1005]);
  });

  for (const name of ['onmessage', 'onerror', 'onclose']) {
    test(`leaves an open socket alone whose ${name} is set`, async (t) => {
      let answered = false;
      const { url } = await startServer(t, (peer) => {
        setTimeout(() => {
          answered = peer.readyState === 1;
          peer.close(1000);
        }, 800);
      });
      await run(
        `${COLLECT}
         (() => { new WebSocket(process.env.TEST_URL).${name} = () => {}; })();
         setTimeout(collect, 200);`,
        { URL: url },
      );
      assert.equal(answered, true);
    });
  }

  test('leaves a socket alone that has a listener on the emitter side', async (t) => {
    const { url } = await startServer(t, (peer) => setTimeout(() => peer.send('late'), 800));
    const { out } = await run(
      `${COLLECT}
       (() => {
         const socket = new WebSocket(process.env.TEST_URL);
         socket.on('message', (data) => { console.log(String(data)); process.exit(); });
       })();
       setTimeout(collect, 200);`,
      { URL: url },
    );
    assert.equal(out, 'late');
  });

  test('leaves a connecting socket alone whose onopen is set', async (t) => {
    const { url } = await startServer(t, undefined, {
      verifyClient: (_, answer) => setTimeout(() => answer(true), 500),
    });
    const { out } = await run(
      `${COLLECT}
       (() => { new WebSocket(process.env.TEST_URL).onopen = () => { console.log('open'); process.exit(); }; })();
       setTimeout(collect, 50);`,
      { URL: url },
    );
    assert.equal(out, 'open');
  });

  test('frees sockets that are closed', async (t) => {
    const { url } = await startServer(t, (peer) => peer.close());
    const { out } = await run(
      `${COLLECT}
       const freed = new FinalizationRegistry(() => { count += 1; });
       let count = 0;
       const connect = () => new Promise((done) => {
         const socket = new WebSocket(process.env.TEST_URL);
         freed.register(socket);
         socket.onmessage = () => {};
         socket.onclose = () => done();
       });
       (async () => {
         for (let index = 0; index < 20; index++) await connect();
         await collect();
         console.log(count >= 19);
       })();`,
      { URL: url },
    );
    assert.equal(out, 'true');
  });
});

describe('vaiven/global', () => {
  const names =
    "['WebSocket', 'CloseEvent', 'ErrorEvent', 'MessageEvent', 'WebSocketStream', 'WebSocketError']";

  test('installs WebSocket and what belongs to it where there is none', async () => {
    const { out } = await run(
      `const own = ${names}.map((name) => {
         const { enumerable, writable, configurable } = Object.getOwnPropertyDescriptor(globalThis, name);
         return [enumerable, writable, configurable].join();
       });
       console.log(new Set(own).size, own[0], 'on' in WebSocket.prototype, new CloseEvent('close').code);`,
      { imports: ['data:text/javascript,delete globalThis.WebSocket', path('global.js')] },
    );
    assert.equal(out, '1 false,true,true true 0');
  });

  const node = 'data:text/javascript,globalThis.WebSocket = globalThis.CloseEvent = class OfNode {}';
  const show = 'console.log(WebSocket.name, CloseEvent.name, WebSocketStream.name, WebSocketError.name)';

  test('leaves alone what Node has', async () => {
    const { out } = await run(show, { imports: [node, path('global.js')] });
    assert.equal(out, 'OfNode OfNode WebSocketStream WebSocketError');
  });

  test('replaces it where that is asked for', async () => {
    const { out } = await run(show, { imports: [node, path('global-replace.js')] });
    assert.equal(out, 'WebSocket CloseEvent WebSocketStream WebSocketError');
  });
});
