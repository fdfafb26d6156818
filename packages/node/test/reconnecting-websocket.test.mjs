// ReconnectingWebSocket with real servers: they refuse, close, die and come back.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { CloseEvent, ReconnectingWebSocket } from 'vaiven';
import { acceptance, startRaw, startServer } from './peers.mjs';
import { connect, freePort, MortalServer, next, record, startRefusing } from './reconnecting.mjs';

describe('a server that dies', () => {
  test('is waited for; what was sent meanwhile arrives in order, and nothing twice', async (t) => {
    const server = new MortalServer(t, await freePort());
    await server.start();
    const socket = connect(t, server.url);
    const types = record(socket);
    assert.equal((await next(socket, 'open')).reconnected, false);
    assert.equal(socket.send('before'), 'sent');
    assert.equal((await next(socket, 'message')).data, 'before');

    const lost = next(socket, 'reconnecting');
    await server.kill();
    const { attempt, cause, delay } = await lost;
    assert.equal(attempt, 1);
    assert.ok(delay >= 0 && delay <= 20, `${delay}`);
    assert.deepEqual([cause.code, cause.wasClean], [1006, false]);
    assert.equal(socket.readyState, ReconnectingWebSocket.CONNECTING);
    const messages = Array.from({ length: 100 }, (_, index) => `${index}`);
    for (const message of messages) assert.equal(socket.send(message), 'queued');
    assert.equal(socket.queuedMessages, 100);
    assert.equal(socket.bufferedAmount, messages.join('').length);

    const received = [];
    socket.addEventListener('message', ({ data }) => received.push(data));
    const back = next(socket, 'open');
    await server.start();
    assert.equal((await back).reconnected, true);
    while (received.length < 100) await next(socket, 'message');
    await sleep(50);
    assert.deepEqual(received, messages);
    assert.equal(socket.queuedMessages, 0);
    assert.ok(!types.includes('error') && !types.includes('close'), `${types}`);
  });

  test('is waited for although it was not there at first', async (t) => {
    const server = new MortalServer(t, await freePort());
    const socket = connect(t, server.url);
    assert.equal((await next(socket, 'reconnecting')).cause.error.code, 'ECONNREFUSED');
    await next(socket, 'reconnecting');
    await server.start();
    assert.equal((await next(socket, 'open')).reconnected, false);
  });

  test('without a word is given up, and found again when it wakes', async (t) => {
    const server = new MortalServer(t, await freePort());
    await server.start();
    const socket = connect(t, server.url, {
      keepalive: { interval: 1_000, timeout: 1_000 },
      connectTimeout: 500,
    });
    await next(socket, 'open');
    const lost = next(socket, 'reconnecting');
    server.child.kill('SIGSTOP');
    const { cause } = await lost;
    assert.equal(cause.code, 1006);
    assert.match(cause.error.message, /answers no ping/);
    // The system still accepts connections for the server, which answers none.
    assert.equal((await next(socket, 'reconnecting')).cause.error.code, 'ETIMEDOUT');
    const back = next(socket, 'open');
    server.child.kill('SIGCONT');
    assert.equal((await back).reconnected, true);
  });
});

describe('a server that closes', () => {
  for (const [code, reason] of [
    [1000, 'done'],
    [1008, ''],
    [3000, 'unauthorized'],
    [4404, 'no such room'],
  ]) {
    test(`with ${code} means it: close fires, and no error`, async (t) => {
      const { url } = await startServer(t, (peer) => peer.close(code, reason));
      const socket = connect(t, url);
      const types = record(socket);
      const event = await next(socket, 'close');
      assert.ok(event instanceof CloseEvent);
      assert.deepEqual([event.code, event.reason, event.wasClean], [code, reason, true]);
      assert.equal(socket.readyState, ReconnectingWebSocket.CLOSED);
      await sleep(100);
      assert.deepEqual(types, ['open', 'close']);
      assert.equal(socket.send('too late'), 'refused');
    });
  }

  for (const code of [1001, 1011, 1012, 4000, 4429]) {
    test(`with ${code} finds its client again`, async (t) => {
      let count = 0;
      const { url } = await startServer(t, (peer) => {
        count += 1;
        if (count === 1) peer.close(code);
      });
      const socket = connect(t, url);
      assert.equal((await next(socket, 'reconnecting')).cause.code, code);
      assert.equal((await next(socket, 'open')).reconnected, true);
    });
  }

  test('with a delay in the reason is left alone so long', async (t) => {
    const { url } = await startServer(t, (peer) => peer.close(1012, 'restarting, retry-after=300ms'));
    const { cause, delay } = await next(connect(t, url), 'reconnecting');
    assert.equal(cause.retryAfter, 300);
    assert.ok(delay >= 300 && delay <= 320, `${delay}`);
  });

  test('is judged by the application where that says how', async (t) => {
    const { url } = await startServer(t, (peer) => peer.close(1008));
    const isTerminal = (cause) => cause.code !== 1008 && ReconnectingWebSocket.isTerminal(cause);
    assert.equal((await next(connect(t, url, { isTerminal }), 'reconnecting')).cause.code, 1008);
  });

  test('gets what is sent behind its Close frame over the next connection', async (t) => {
    const frames = [];
    let count = 0;
    const { url } = await startRaw(t, (peer, head) => {
      count += 1;
      peer.write(acceptance(head));
      // The first connection hears a Close frame, and nothing more: not even its end.
      if (count === 1) peer.write(Buffer.from([0x88, 0x02, 0x03, 0xf4]));
      else peer.on('data', (frame) => frames.push(frame));
    });
    const socket = connect(t, url, { connection: { closeTimeout: 300, perMessageDeflate: false } });
    await next(socket, 'open');
    await sleep(100);
    assert.equal(socket.send('hello'), 'queued');
    await next(socket, 'open');
    while (frames.length === 0) await sleep(10);
    const [frame] = frames;
    const key = frame.subarray(2, 6);
    const text = frame.subarray(6).map((byte, index) => byte ^ key[index % 4]);
    assert.deepEqual([frame[0], frame[1], String(text)], [0x81, 0x85, 'hello']);
    assert.equal(count, 2);
  });
});

const VAIVEN =
  process.env.VAIVEN_BIN ?? fileURLToPath(new URL('../../../target/release/vaiven', import.meta.url));

test('the server of this project that restarts asks its clients to come back', {
  skip: existsSync(VAIVEN) ? false : `${VAIVEN} is not built`,
}, async (t) => {
  const port = await freePort();
  let child;
  t.after(() => child.kill('SIGKILL'));
  const start = () => {
    child = spawn(VAIVEN, ['serve', '--listen', `127.0.0.1:${port}`, '--history', 'memory'], {
      stdio: 'ignore',
    });
  };
  start();
  const socket = connect(t, `ws://127.0.0.1:${port}/c/restart`);
  await next(socket, 'open');
  const lost = next(socket, 'reconnecting');
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const { cause } = await lost;
  assert.deepEqual([cause.code, cause.wasClean], [1012, true]);
  socket.send('while it restarts');
  assert.deepEqual(await ended, [0, null]);
  start();
  assert.equal((await next(socket, 'open')).reconnected, true);
  assert.equal((await next(socket, 'message')).data, 'while it restarts');
});

describe('a server that refuses', () => {
  for (const status of ['401 Unauthorized', '403 Forbidden', '404 Not Found']) {
    test(`with ${status} is not asked again: error, then close`, async (t) => {
      const { url, visits } = await startRefusing(t, () => status);
      const socket = connect(t, url);
      const types = record(socket);
      const failed = next(socket, 'error');
      const event = await next(socket, 'close');
      assert.deepEqual([event.code, event.wasClean], [1006, false]);
      assert.equal((await failed).error.cause.status, Number.parseInt(status, 10));
      await sleep(100);
      assert.deepEqual(types, ['error', 'close']);
      assert.equal(visits.length, 1);
    });
  }

  test('with 503 and Retry-After is left alone so long', async (t) => {
    const { url, visits } = await startRefusing(t, () => '503 Service Unavailable\r\nRetry-After: 1');
    const socket = connect(t, url);
    const { cause, delay } = await next(socket, 'reconnecting');
    assert.deepEqual([cause.status, cause.retryAfter], [503, 1_000]);
    assert.ok(delay >= 1_000 && delay <= 1_020, `${delay}`);
    await sleep(500);
    assert.equal(visits.length, 1);
    await next(socket, 'reconnecting');
    assert.equal(visits.length, 2);
  });

  test('without end is asked so often as maxAttempts says', async (t) => {
    const { url, visits } = await startRefusing(t, () => '500 Internal Server Error');
    const socket = connect(t, url, { maxAttempts: 2 });
    const types = record(socket);
    await next(socket, 'close');
    assert.deepEqual(types, ['reconnecting', 'reconnecting', 'error', 'close']);
    assert.equal(visits.length, 3);
  });
});
