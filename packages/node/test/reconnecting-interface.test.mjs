// ReconnectingWebSocket as an object: what it asks for, sends, keeps and ends.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import vaiven, { MessageEvent, ReconnectingWebSocket } from 'vaiven';
import { echo, startServer } from './peers.mjs';
import {
  connect,
  freePort,
  MortalServer,
  next,
  program,
  QUICK,
  record,
  startRefusing,
} from './reconnecting.mjs';

describe('functions', () => {
  test('are asked before every try for URL, subprotocols and options', async (t) => {
    const requests = [];
    const { url } = await startServer(t, (peer, request) => {
      requests.push([request.url, peer.protocol, request.headers.authorization]);
      if (requests.length < 3) peer.close(1012);
    });
    const seen = [];
    const socket = connect(
      t,
      async ({ attempt, cause, signal }) => {
        seen.push([attempt, cause?.code, signal instanceof AbortSignal]);
        return `${url}?token=${seen.length}`;
      },
      {
        protocols: () => ['chat'],
        connection: async ({ attempt }) => ({ headers: { Authorization: `Bearer ${attempt}` } }),
      },
    );
    while (requests.length < 3) await next(socket, 'open');
    assert.deepEqual(seen, [
      [0, undefined, true],
      [1, 1012, true],
      [2, 1012, true],
    ]);
    assert.deepEqual(requests, [
      ['/?token=1', 'chat', 'Bearer 0'],
      ['/?token=2', 'chat', 'Bearer 1'],
      ['/?token=3', 'chat', 'Bearer 2'],
    ]);
    assert.equal(socket.url, `${url}?token=3`);
    assert.equal(socket.protocol, 'chat');
  });

  test('that fail are asked again', async (t) => {
    const { url } = await startServer(t);
    let count = 0;
    const socket = connect(t, () => {
      count += 1;
      if (count === 1) throw new Error('no token');
      if (count === 2) return Promise.reject('no token either');
      return url;
    });
    assert.equal((await next(socket, 'reconnecting')).cause.error.message, 'no token');
    assert.equal((await next(socket, 'reconnecting')).cause.error.message, 'no token either');
    await next(socket, 'open');
  });

  test('that never answer are given up', async (t) => {
    const signals = [];
    const socket = connect(
      t,
      ({ signal }) => {
        signals.push(signal);
        return new Promise(() => {});
      },
      { connectTimeout: 50 },
    );
    const { cause } = await next(socket, 'reconnecting');
    assert.equal(cause.error.code, 'ETIMEDOUT');
    assert.equal(signals[0].aborted, true);
  });

  test('that answer when it is too late make no connection', async (t) => {
    const { server, url } = await startServer(t);
    let answer;
    const socket = connect(t, ({ signal }) => {
      signal.addEventListener('abort', () => answer(url));
      return new Promise((resolve) => {
        answer = resolve;
      });
    });
    await sleep(10);
    socket.close();
    await next(socket, 'close');
    await sleep(100);
    assert.equal(server.clients.size, 0);
  });

  test('that give a URL which cannot be used end it', async (t) => {
    const socket = connect(t, () => 'ftp://host/');
    const failed = next(socket, 'error');
    await next(socket, 'close');
    assert.equal((await failed).error.name, 'SyntaxError');
  });
});

describe('send', () => {
  test('refuses what would have too many messages wait, and drops none in silence', async (t) => {
    const socket = connect(t, `ws://127.0.0.1:${await freePort()}/`, { maxQueuedMessages: 2 });
    assert.deepEqual([socket.send('a'), socket.send('b'), socket.send('c')], ['queued', 'queued', 'refused']);
    assert.deepEqual(socket.takeQueued(), ['a', 'b']);
    assert.equal(socket.send('d'), 'queued');
  });

  test('refuses what would have too many bytes wait, in the queue or in the connection', async (t) => {
    const { url } = await startServer(t, (peer) => peer._socket.pause());
    const options = { maxQueuedBytes: 1_000_000, connection: { perMessageDeflate: false } };
    const socket = connect(t, url, options);
    assert.equal(socket.send(new Uint8Array(1_000_001)), 'refused');
    assert.equal(socket.send(new Blob(['x'.repeat(1_000_000)])), 'queued');
    assert.equal(socket.send('x'), 'refused');
    await next(socket, 'open');
    const results = [];
    for (let index = 0; index < 100; index++) {
      results.push(socket.send(new Uint8Array(500_000)));
      assert.ok(socket.bufferedAmount <= 1_000_000, `${socket.bufferedAmount}`);
      await sleep(1);
    }
    assert.equal(results.at(-1), 'refused');
  });

  test('in a listener of open goes before what waited', async (t) => {
    const received = [];
    const { url } = await startServer(t, (peer) => peer.on('message', (data) => received.push(String(data))));
    const socket = connect(t, url);
    socket.onopen = () => socket.send('introduction');
    socket.send('one');
    socket.send(new Uint8Array([0x74, 0x77, 0x6f]));
    socket.send(new Blob(['three']));
    socket.send('four');
    while (received.length < 5) await sleep(10);
    assert.deepEqual(received, ['introduction', 'one', 'two', 'three', 'four']);
  });

  test('keeps what bytes were when they were given', async (t) => {
    const received = [];
    const { url } = await startServer(t, (peer) => peer.on('message', (data) => received.push([...data])));
    const socket = connect(t, url);
    const bytes = Buffer.from([1, 2, 3]);
    socket.send(bytes);
    bytes.fill(0);
    while (received.length < 1) await sleep(10);
    assert.deepEqual(received, [[1, 2, 3]]);
  });

  test('throws what the class WebSocket throws', async (t) => {
    const socket = connect(t, `ws://127.0.0.1:${await freePort()}/`);
    assert.throws(() => socket.send(), TypeError);
    assert.throws(() => socket.send(Symbol('message')), TypeError);
    assert.throws(() => socket.send(new Uint8Array(new SharedArrayBuffer(1))), TypeError);
  });
});

describe('the end', () => {
  test('while a try waits is close() with 1006, in a task of its own, and no further try', async (t) => {
    const { url, visits } = await startRefusing(t, () => '503 Service Unavailable');
    const socket = connect(t, url);
    await next(socket, 'reconnecting');
    const types = record(socket);
    socket.send('kept');
    socket.close();
    assert.equal(socket.readyState, ReconnectingWebSocket.CLOSING);
    assert.deepEqual(types, []);
    const { code, wasClean } = await next(socket, 'close');
    assert.deepEqual([code, wasClean, socket.readyState], [1006, false, ReconnectingWebSocket.CLOSED]);
    const { length } = visits;
    await sleep(150);
    assert.deepEqual(types, ['close']);
    assert.equal(visits.length, length);
    assert.deepEqual(socket.takeQueued(), ['kept']);
  });

  test('of an open connection is a closing handshake', async (t) => {
    const { url } = await startServer(t);
    const socket = connect(t, url);
    await next(socket, 'open');
    socket.close(4000, 'enough');
    const { code, reason, wasClean } = await next(socket, 'close');
    assert.deepEqual([code, reason, wasClean], [4000, 'enough', true]);
  });

  test('takes the codes and reasons that the class WebSocket takes', async (t) => {
    const { url } = await startServer(t);
    const socket = connect(t, url);
    await next(socket, 'open');
    assert.throws(() => socket.close(1001), { name: 'InvalidAccessError' });
    assert.throws(() => socket.close(1000, 'x'.repeat(124)), { name: 'SyntaxError' });
    assert.equal(socket.readyState, ReconnectingWebSocket.OPEN);
  });

  for (const [what, prepare] of [
    ['an open connection', (socket) => next(socket, 'open')],
    ['a connection that is being made', () => {}],
    [
      'an end',
      async (socket) => {
        await next(socket, 'open');
        socket.close();
        await next(socket, 'close');
      },
    ],
  ]) {
    test(`reconnect() behind ${what} connects at once`, async (t) => {
      const { server, url } = await startServer(t, echo);
      const socket = connect(t, url);
      await prepare(socket);
      const types = record(socket);
      const back = next(socket, 'open');
      socket.reconnect();
      assert.equal(socket.readyState, ReconnectingWebSocket.CONNECTING);
      await back;
      socket.send('there?');
      assert.equal((await next(socket, 'message')).data, 'there?');
      await sleep(50);
      assert.equal(server.clients.size, 1);
      assert.deepEqual(types, ['open', 'message']);
    });
  }

  test('reconnect() does not wait for the delay to pass', async (t) => {
    const server = new MortalServer(t, await freePort());
    const socket = connect(t, server.url, { baseDelay: 600_000, maxDelay: 600_000 });
    await next(socket, 'reconnecting');
    await server.start();
    socket.reconnect();
    await next(socket, 'open');
  });

  for (const [how, expected] of [
    ['unref', 'ended'],
    ['ref', 'alive'],
  ]) {
    test(`of the process: a socket with ${how} that waits for a server leaves it ${expected}`, async (t) => {
      const child = spawn(process.execPath, [program('reconnects.mjs'), await freePort(), how], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      t.after(() => child.kill('SIGKILL'));
      const ended = once(child, 'exit').then(([code]) => `ended${code === 0 ? '' : ` with ${code}`}`);
      await once(child.stdout, 'data');
      assert.equal(
        await Promise.race([ended, sleep(expected === 'alive' ? 500 : 20_000, 'alive', { ref: false })]),
        expected,
      );
    });
  }
});

describe('the class', () => {
  for (const [what, parameters, expected] of [
    ['no URL', [], TypeError],
    ['a URL that cannot be used', ['mailto:a@b'], { name: 'SyntaxError' }],
    ['a subprotocol twice', ['ws://host/', ['a', 'a']], { name: 'SyntaxError' }],
    ['a delay below nothing', ['ws://host/', [], { baseDelay: -1 }], RangeError],
    ['a delay that is longer than timers run', ['ws://host/', { maxDelay: 2 ** 31 }], RangeError],
    ['a queue of part of a message', ['ws://host/', { maxQueuedMessages: 1.5 }], RangeError],
    ['a keepalive of nothing', ['ws://host/', { keepalive: { interval: 0, timeout: 1 } }], RangeError],
  ]) {
    test(`throws for ${what}`, () => {
      assert.throws(() => new ReconnectingWebSocket(...parameters), expected);
    });
  }

  test('is an EventTarget with the constants, attributes and handlers of WebSocket', async (t) => {
    const { url } = await startServer(t, echo, { handleProtocols: () => 'b' });
    const socket = new ReconnectingWebSocket(url, ['a', 'b'], QUICK);
    t.after(() => socket.close());
    assert.ok(socket instanceof EventTarget);
    assert.deepEqual([socket.CONNECTING, ReconnectingWebSocket.CLOSED, socket.readyState], [0, 3, 0]);
    assert.deepEqual([socket.url, socket.onopen, socket.binaryType], [url, null, 'blob']);
    const opened = new Promise((resolve) => {
      socket.onopen = function (event) {
        resolve([this, event]);
      };
    });
    const [self, event] = await opened;
    assert.equal(self, socket);
    assert.ok(event instanceof Event && event.reconnected === false);
    assert.deepEqual([socket.protocol, socket.extensions], ['b', '']);
    socket.send('text');
    const message = await next(socket, 'message');
    assert.ok(message instanceof MessageEvent);
    assert.deepEqual([message.data, message.origin, message.target], ['text', new URL(url).origin, socket]);
    socket.send(new Uint8Array([1, 2]));
    assert.ok((await next(socket, 'message')).data instanceof Blob);
  });

  test('keeps the binaryType over a new connection', async (t) => {
    let count = 0;
    const { url } = await startServer(t, (peer) => {
      count += 1;
      if (count === 1) peer.close(1012);
      else peer.send(new Uint8Array([1, 2]));
    });
    const socket = connect(t, url);
    socket.binaryType = 'arraybuffer';
    socket.binaryType = 'nonsense';
    assert.deepEqual(new Uint8Array((await next(socket, 'message')).data), new Uint8Array([1, 2]));
  });

  test('is one class in both faces of the package', () => {
    assert.equal(vaiven.ReconnectingWebSocket, ReconnectingWebSocket);
  });
});
