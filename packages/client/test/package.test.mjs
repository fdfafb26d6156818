// What is published: its size, its faces for import, require and script elements, and their types.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runInNewContext } from 'node:vm';
import { gzipSync } from 'node:zlib';
import * as imported from 'vaiven-client';

const FOLDER = fileURLToPath(new URL('..', import.meta.url));
const SCRIPT = readFileSync(join(FOLDER, 'dist/vaiven-client.min.js'));
const LARGEST = 10 * 1024;

test(`the file for browsers has less than ${LARGEST} bytes, compressed`, (t) => {
  const { length } = gzipSync(SCRIPT, { level: 9 });
  t.diagnostic(`${SCRIPT.length} bytes, ${length} compressed`);
  assert.ok(length < LARGEST, `${length}`);
});

test('import, require and the script give the same names', () => {
  const names = ['Channel', 'Client', 'VaivenError'];
  assert.deepEqual(Object.keys(imported).sort(), names);
  assert.deepEqual(Object.keys(createRequire(import.meta.url)('vaiven-client')).sort(), names);
  // A page has these, and nothing of Node's.
  const page = {
    WebSocket: class {},
    URL,
    crypto,
    performance,
    location: { href: 'https://example.org/page' },
  };
  runInNewContext(
    `${SCRIPT}; this.state = new Vaiven.Client('/v1').state; this.names = Object.keys(Vaiven)`,
    page,
  );
  assert.deepEqual([page.names.sort().join(), page.state], [names.join(), 'idle']);
});

test('the types fit an application, as a module and as CommonJS', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vaiven-types-'));
  const source = (load) => `${load}
    const client = new Client('wss://example.org/v1', { token: async () => 'secret', transports: ['sse'], WebSocket });
    client.on('state', ({ state, delay }) => console.log(state, delay ?? 0));
    const channel = client.channel('sala', { last: 20, presence: true });
    channel.on('gap', ({ since }) => console.log(since?.offset));
    const sent: Promise<{ position: { offset: number } | undefined }> = channel.publish({ a: 1 }, { key: 'k' });
    sent.catch((error: VaivenError) => console.log(error.code, error.retry));
    // @ts-expect-error: there is no such event.
    channel.on('mesage', () => {});`;
  try {
    mkdirSync(join(folder, 'node_modules'));
    symlinkSync(FOLDER, join(folder, 'node_modules/vaiven-client'), 'dir');
    writeFileSync(join(folder, 'package.json'), '{}');
    writeFileSync(join(folder, 'a.mts'), source("import { Client, VaivenError } from 'vaiven-client';"));
    writeFileSync(join(folder, 'b.cts'), source("import { Client, VaivenError } from 'vaiven-client';"));
    const tsc = join(FOLDER, 'node_modules/.bin/tsc');
    const options = ['--noEmit', '--strict', '--module', 'node16', '--lib', 'es2023,dom', 'a.mts', 'b.cts'];
    execFileSync(tsc, options, { cwd: folder, stdio: 'pipe', encoding: 'utf8' });
  } catch (error) {
    assert.fail(error.stdout ?? error);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
