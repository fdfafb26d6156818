// What a process and its threads live through: each test is a program of its own, over both ways to carry bytes.
//
// VAIVEN_LONG=1 opens 10^6 connections instead of 10^5.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** Runs a program for at most `timeout` milliseconds; gives its status and what it wrote. */
function run(name, transport, args = [], timeout = 60_000) {
  return new Promise((resolve) => {
    const program = fileURLToPath(new URL(`programs/${name}.mjs`, import.meta.url));
    // Newer releases of V8 keep more of the memory for young objects than a leak of ours would take.
    const flags = ['--expose-gc', '--max-semi-space-size=2'];
    const child = spawn(process.execPath, [...flags, program, ...args], {
      env: { ...process.env, VAIVEN_TRANSPORT: transport },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout,
    });
    let [out, err] = ['', ''];
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    child.on('close', (status, signal) => resolve({ status: status ?? signal, out, err }));
  });
}

const CONNECTIONS = process.env.VAIVEN_LONG === undefined ? 100_000 : 1_000_000;

for (const transport of ['', 'stream']) {
  describe(transport === '' ? 'on the event loop' : 'over streams', { concurrency: 2 }, () => {
    test('a link keeps the process alive until it ends', async () => {
      const { status, out, err } = await run('stays-alive', transport);
      assert.equal(err, '');
      assert.deepEqual(
        [status, out.split('\n').sort().join()],
        [0, ',client closed,client ended,exit,server ended'],
      );
    });

    test('a link that is unreferenced does not', async () => {
      const { status, out, err } = await run('unref', transport);
      assert.deepEqual([status, out, err], [0, 'exit\n', '']);
    });

    test('what was sent before process.exit() leaves', async () => {
      const { status, out, err } = await run('exits', transport);
      assert.deepEqual([status, out, err], [0, 'last words\n', '']);
    });

    test('an exception of a handler is uncaught, and says where it was thrown', async () => {
      const { status, err } = await run('throws', transport);
      assert.equal(status, 1);
      assert.match(err, /Error: thrown by a handler\n +at .*message .*throws\.mjs/);
    });

    test('threads come and go', async () => {
      const { status, out, err } = await run('workers', transport);
      assert.deepEqual([status, out, err], [0, 'done\n', '']);
    });

    test('garbage is collected in the middle of messages', async () => {
      const { status, out, err } = await run('collects', transport);
      assert.deepEqual([status, out, err], [0, 'done\n', '']);
    });

    test(`${CONNECTIONS} connections leave nothing behind`, async () => {
      const { status, out, err } = await run('churn', transport, [String(CONNECTIONS)], CONNECTIONS * 5);
      assert.deepEqual([status, err], [0, '']);
      const { opened, before, after } = JSON.parse(out);
      assert.equal(opened, CONNECTIONS);
      // Less than 100 bytes for each connection: one forgotten object would be more.
      assert.ok(
        after - before < Math.max(8 << 20, CONNECTIONS * 0.8 * 100),
        `${before} bytes became ${after}`,
      );
    });
  });
}
