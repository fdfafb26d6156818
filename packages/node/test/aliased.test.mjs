// Well-known packages that depend on `ws`, running their own examples with `ws` aliased to this package.

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import vaiven from '../dist/index.mjs';
import ws, * as names from '../dist/ws-package.mjs';

const path = (name) => fileURLToPath(new URL(`programs/${name}.cjs`, import.meta.url));

/** Runs a program that gets this package for `ws`; gives the lines that it wrote. */
async function run(name, ...args) {
  const parameters = ['--require', path('alias-ws'), path(name), ...args];
  const { stdout } = await promisify(execFile)(process.execPath, parameters, { timeout: 60_000 });
  return stdout.trim().split('\n');
}

test('a program that is aliased gets this package', async () => {
  const script = `console.log(require('ws') === require(${JSON.stringify(fileURLToPath(new URL('../dist/ws-package.js', import.meta.url)))}))`;
  const parameters = ['--require', path('alias-ws'), '--eval', script];
  assert.equal(execFileSync(process.execPath, parameters, { encoding: 'utf8' }), 'true\n');
});

test('the face of ws has one class under each of its names, which is a socket of the package', () => {
  assert.deepEqual([ws.WebSocket, names.WebSocket, names.default], [ws, ws, ws]);
  assert.deepEqual([ws.Server, names.WebSocketServer], [ws.WebSocketServer, ws.WebSocketServer]);
  assert.ok(ws.prototype instanceof vaiven);
});

test('graphql-ws serves and receives subscriptions', async () => {
  const greetings = ['Hi', 'Bonjour', 'Hola', 'Ciao', 'Zdravo'].map((hi) => `{"greetings":"${hi}"}`);
  assert.deepEqual(await run('graphql'), ['{"hello":"world"}', ...greetings, 'closed']);
});

test('socket.io serves and receives events', async () => {
  assert.deepEqual(await run('socket-io'), ['bytes', 'hola,hola', 'closed']);
});

test('chrome-remote-interface drives a browser', async (t) => {
  const browsers = ['chromium', 'chromium-browser', 'google-chrome'];
  const browser = browsers.find((name) => {
    try {
      return execFileSync('which', [name]).length > 0;
    } catch {
      return false;
    }
  });
  if (browser === undefined) return t.skip('there is no Chromium here');
  assert.deepEqual(await run('devtools', browser), ['hola', 'PNG', 'closed']);
});
