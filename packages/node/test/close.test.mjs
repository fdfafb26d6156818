// WebSockets Standard, close(code, reason).

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { WebSocket } from 'vaiven';
import { acceptance, next, recordEvents, startRaw, startServer } from './peers.mjs';

/** A server that tells what Close frame it got. */
async function closing(t) {
  let tell;
  const told = new Promise((resolve) => {
    tell = resolve;
  });
  const { url } = await startServer(t, (peer) =>
    peer.on('close', (code, reason) => tell([code, reason.toString()])),
  );
  return { url, told };
}

describe('the arguments of close()', () => {
  const CODES = [
    0,
    1,
    999,
    1001,
    1005,
    1006,
    1011,
    1015,
    2999,
    5000,
    65_535,
    65_536,
    -1,
    Number.NaN,
    Infinity,
    null,
    'x',
    '',
    {},
  ];
  for (const code of CODES) {
    test(`${String(code)} is an InvalidAccessError`, () => {
      const socket = new WebSocket('ws://127.0.0.1:6/');
      assert.throws(
        () => socket.close(code),
        (error) => error instanceof DOMException && error.name === 'InvalidAccessError' && error.code === 15,
      );
      assert.equal(socket.readyState, WebSocket.CONNECTING);
      socket.close();
    });
  }

  const CONVERTED = [
    [1000, 1000],
    ['3000', 3000],
    [4999, 4999],
    [999.5, 1000],
    [1000.5, 1000],
    [2999.6, 3000],
    [4999.4, 4999],
    [{ valueOf: () => 4001 }, 4001],
    [[3001], 3001],
  ];
  for (const [given, code] of CONVERTED) {
    test(`${JSON.stringify(given)} is sent as ${code}`, async (t) => {
      const { url, told } = await closing(t);
      const socket = new WebSocket(url);
      await next(socket, 'open');
      socket.close(given);
      assert.deepEqual(await told, [code, '']);
    });
  }

  test('a BigInt or a symbol is a TypeError', () => {
    const socket = new WebSocket('ws://127.0.0.1:6/');
    for (const code of [1000n, Symbol('1000')]) assert.throws(() => socket.close(code), TypeError);
    assert.throws(() => socket.close(1000, Symbol('why')), TypeError);
    socket.close();
  });

  test('a reason of 123 bytes fits, and one of 124 is a SyntaxError', async (t) => {
    const { url, told } = await closing(t);
    const socket = new WebSocket(url);
    await next(socket, 'open');
    for (const long of ['a'.repeat(124), 'ñ'.repeat(62), '\ud800'.repeat(42)]) {
      assert.throws(
        () => socket.close(1000, long),
        (error) => error instanceof DOMException && error.name === 'SyntaxError',
      );
    }
    assert.equal(socket.readyState, WebSocket.OPEN);
    socket.close(1000, `${'ñ'.repeat(61)}a`);
    assert.deepEqual(await told, [1000, `${'ñ'.repeat(61)}a`]);
  });

  test('a wrong code is told before a reason that is too long', () => {
    const socket = new WebSocket('ws://127.0.0.1:6/');
    assert.throws(() => socket.close(1, 'a'.repeat(124)), { name: 'InvalidAccessError' });
    assert.throws(() => socket.close(undefined, 'a'.repeat(124)), { name: 'SyntaxError' });
    socket.close();
  });

  test('lone surrogates of the reason are replaced', async (t) => {
    const { url, told } = await closing(t);
    const socket = new WebSocket(url);
    await next(socket, 'open');
    socket.close(1000, 'a\ud800b\udc00');
    assert.deepEqual(await told, [1000, 'a\ufffdb\ufffd']);
  });

  test('without a code the Close frame has no body', async (t) => {
    const { url, told } = await closing(t);
    const socket = new WebSocket(url);
    await next(socket, 'open');
    socket.close(undefined);
    assert.deepEqual(await told, [1005, '']);
  });

  test('a reason without a code travels with 1000', async (t) => {
    const { url, told } = await closing(t);
    const socket = new WebSocket(url);
    await next(socket, 'open');
    socket.close(undefined, 'bye');
    assert.deepEqual(await told, [1000, 'bye']);
  });
});

describe('close() itself', () => {
  test('while connecting fails the connection: error and close come later', async (t) => {
    const { url } = await startRaw(t, () => {});
    const socket = new WebSocket(url);
    const lines = recordEvents(socket);
    const states = [];
    socket.onerror = () => states.push(`error ${socket.readyState}`);
    assert.equal(socket.close(4000, 'x'), undefined);
    states.push(`called ${socket.readyState}`);
    await Promise.resolve();
    states.push(`microtask ${socket.readyState}`);
    assert.deepEqual(await lines, ['error', 'close 1006  false']);
    assert.deepEqual(states, ['called 2', 'microtask 2', 'error 3']);
  });

  test('while connecting ends the attempt, so that the next may begin', async (t) => {
    let requests = 0;
    const { url } = await startRaw(t, (peer, head) => {
      requests += 1;
      if (requests === 2) peer.write(acceptance(head));
    });
    const first = new WebSocket(url);
    const second = new WebSocket(url);
    setTimeout(() => first.close(), 50);
    await next(second, 'open');
    assert.equal(first.readyState, WebSocket.CLOSED);
  });

  test('is clean when both sides said so, with the code that came', async (t) => {
    const { url } = await startServer(t);
    const socket = new WebSocket(url);
    const lines = recordEvents(socket);
    socket.onopen = () => socket.close(3000, 'done');
    assert.deepEqual(await lines, ['open', 'close 3000 done true']);
  });

  test('twice, and after the end, does nothing', async (t) => {
    const { url, told } = await closing(t);
    const socket = new WebSocket(url);
    const lines = recordEvents(socket);
    await next(socket, 'open');
    socket.close(3000);
    socket.close(3001);
    assert.deepEqual(await lines, ['open', 'close 3000  true']);
    socket.close(3002);
    assert.deepEqual(await told, [3000, '']);
    assert.equal(socket.readyState, WebSocket.CLOSED);
  });

  test('lets what was sent go first', async (t) => {
    const received = [];
    const { url } = await startServer(t, (peer) => peer.on('message', (data) => received.push(data.length)));
    const socket = new WebSocket(url);
    await next(socket, 'open');
    for (const size of [1, 100_000, 3_000_000, 2]) socket.send(new Uint8Array(size));
    socket.close();
    const { wasClean } = await next(socket, 'close');
    assert.equal(wasClean, true);
    assert.deepEqual(received, [1, 100_000, 3_000_000, 2]);
  });

  test('waits no longer than closeTimeout for the other side', async (t) => {
    const { url } = await startRaw(t, (peer, head) => peer.write(acceptance(head)));
    const socket = new WebSocket(url, { closeTimeout: 50 });
    await next(socket, 'open');
    socket.close();
    const { code, wasClean } = await next(socket, 'close');
    assert.deepEqual([code, wasClean], [1006, false]);
  });

  test('in the event close of another has no effect on that event', async (t) => {
    const { url } = await startServer(t, (peer) => peer.close(1001));
    const socket = new WebSocket(url);
    socket.onclose = () => socket.close();
    assert.deepEqual(await recordEvents(socket), ['open', 'close 1001  true']);
  });
});
