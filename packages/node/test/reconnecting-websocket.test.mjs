// ReconnectingWebSocket with real servers: they refuse, close, die and come back.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import vaiven, { CloseEvent, MessageEvent, ReconnectingWebSocket } from 'vaiven';
import { acceptance, echo, startRaw, startServer } from './peers.mjs';

/** Delays that a test can wait for. */
const QUICK = { baseDelay: 20, maxDelay: 50 };

const program = (name) => fileURLToPath(new URL(`programs/${name}`, import.meta.url));

/** A socket that ends with the test, and what it fired, by type. */
function connect(t, url, options = {}) {
  const socket = new ReconnectingWebSocket(url, { ...QUICK, ...options });
  t.after(() => socket.close());
  return socket;
}

/** The next event of the type. */
const next = async (socket, type) => (await once(socket, type))[0];

/** The types of the events as they fire. */
function record(socket) {
  const types = [];
  for (const type of ['open', 'message', 'reconnecting', 'error', 'close']) {
    socket.addEventListener(type, () => types.push(type));
  }
  return types;
}

/**
 * A port that nothing listens on, below those that systems give to clients: a client that tries such a port of its own
 * machine again and again at last gets it as its own end, and is connected to itself.
 */
async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const server = net.createServer().listen(port, '127.0.0.1');
    try {
      await once(server, 'listening');
    } catch {
      continue;
    }
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** An echo server as a process of its own. */
class MortalServer {
  constructor(t, port) {
    this.port = port;
    this.url = `ws://127.0.0.1:${port}/`;
    t.after(() => this.child?.kill('SIGKILL'));
  }

  async start() {
    this.child = spawn(process.execPath, [program('mortal-server.mjs'), this.port], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    await once(this.child.stdout, 'data');
  }

  async kill() {
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }
}

/** An HTTP server that refuses every upgrade with what `answer` gives, and counts them. */
async function startRefusing(t, answer) {
  const server = http.createServer();
  const visits = [];
  server.on('upgrade', (request, peer) => {
    visits.push(request);
    peer.on('error', () => {});
    peer.end(`HTTP/1.1 ${answer(visits.length)}\r\nConnection: close\r\n\r\n`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { url: `ws://127.0.0.1:${server.address().port}/`, visits };
}

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
    child = spawn(VAIVEN, ['serve', '--listen', `127.0.0.1:${port}`], { stdio: 'ignore' });
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
        await Promise.race([ended, sleep(expected === 'alive' ? 500 : 20_000, 'alive')]),
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
