// The socket of a server: what `ws` documents of it, and what keeps it bounded.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import NpmWebSocket from 'ws';
import vaiven, { WebSocketServer } from '../dist/index.mjs';
import { collect, connect, frame, openRaw, openSecurely, serve, serveSecurely } from './servers.mjs';

/** A server, a client, and the socket of the client on the server. */
async function pair(t, options, clientOptions) {
  const { server, url, port } = await serve(t, options);
  const accepted = once(server, 'connection');
  const client = await connect(url, clientOptions);
  const [socket, request] = await accepted;
  return { server, socket, request, client, port };
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 10));

describe('a socket of a server', () => {
  test('talks in text, bytes and parts, and calls back', async (t) => {
    const { socket, client } = await pair(t);
    const received = collect(client, 'message', 6);
    socket.send('text');
    socket.send(Buffer.from('bytes'));
    socket.send(Buffer.from('text'), { binary: false });
    socket.send('par', { fin: false });
    socket.send('ts', { fin: true });
    socket.send(7);
    await new Promise((resolve) => socket.send('last', resolve));
    assert.deepEqual(
      (await received).map(([data, isBinary]) => [String(data), isBinary]),
      [
        ['text', false],
        ['bytes', true],
        ['text', false],
        ['parts', false],
        ['7', false],
        ['last', false],
      ],
    );
  });

  test('does not take the pongs that it asked for as a flood', async (t) => {
    const { server, url } = await serve(t);
    const accepted = once(server, 'connection');
    const client = new NpmWebSocket(url, { autoPong: false });
    const pings = collect(client, 'ping', 250);
    const [socket] = await accepted;
    const pongs = collect(socket, 'pong', 250);
    for (let count = 0; count < 250; count += 1) socket.ping(String(count));
    for (const [payload] of await pings) client.pong(payload);
    assert.equal((await pongs).length, 250);
    const received = once(client, 'message');
    socket.send('still here');
    assert.equal(String((await received)[0]), 'still here');
  });

  test('pings and is pinged', async (t) => {
    const { socket, client } = await pair(t);
    client.ping('from the client');
    assert.deepEqual(await once(socket, 'ping'), [Buffer.from('from the client')]);
    socket.ping('from the server');
    assert.deepEqual(await once(socket, 'pong'), [Buffer.from('from the server')]);
  });

  test('answers first what came first, pings and messages', async (t) => {
    const { server, port } = await serve(t);
    server.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
    const raw = await openRaw(port);
    raw.write(Buffer.concat([frame(0x82, 'a'), frame(0x89, 'b'), frame(0x82, 'c'), frame(0x88, '')]));
    raw.end();
    const answers = Buffer.concat(await raw.toArray());
    assert.equal(answers.toString('latin1'), '\x82\x01a\x8a\x01b\x82\x01c\x88\x00');
  });

  test('answers no ping without autoPong', async (t) => {
    const { socket, client } = await pair(t, { autoPong: false });
    client.ping('first');
    await once(socket, 'ping');
    socket.pong('answer');
    assert.deepEqual(await once(client, 'pong'), [Buffer.from('answer')]);
  });

  test('reads nothing while it is paused', async (t) => {
    const { socket, client } = await pair(t);
    let received = 0;
    socket.on('message', () => received++);
    socket.pause();
    assert.ok(socket.isPaused);
    client.send('a');
    await turn();
    assert.equal(received, 0);
    socket.resume();
    await once(socket, 'message');
    assert.deepEqual([received, socket.isPaused], [1, false]);
  });

  test('tells limits and their end', async (t) => {
    const { socket, client } = await pair(t, { maxPayload: 10 });
    socket.on('error', () => {});
    client.send('a'.repeat(10));
    await once(socket, 'message');
    client.send('a'.repeat(11));
    const [error] = await once(socket, 'error');
    assert.equal(error.code, 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH');
    assert.equal((await once(client, 'close'))[0], 1009);
  });

  test('closes, and terminates a peer that does not answer', async (t) => {
    const { server, port } = await serve(t, { closeTimeout: 50 });
    const accepted = once(server, 'connection');
    const deaf = await openRaw(port);
    const [socket] = await accepted;
    socket.close(4000, 'enough');
    assert.equal(socket.readyState, vaiven.CLOSING);
    assert.equal((await once(socket, 'close'))[0], 1006);
    deaf.destroy();
  });
});

describe('a server ends the connection first', () => {
  for (const [name, last, code] of [
    ['behind both Close frames', frame(0x88, [0x03, 0xe8]), 1000],
    ['behind a broken rule', frame(0x83, ''), 1006],
  ]) {
    test(`${name}, and waits for no peer that does not`, { timeout: 30_000 }, async (t) => {
      const { server, port } = await serve(t, { closeTimeout: 600_000 });
      const accepted = once(server, 'connection');
      const raw = await openRaw(port, {}, undefined, { allowHalfOpen: true });
      t.after(() => raw.destroy());
      const [socket] = await accepted;
      socket.on('error', () => {});
      const closed = new Promise((resolve) => socket.on('close', resolve));
      const answer = once(raw, 'data');
      const ended = once(raw, 'end');
      raw.write(last);
      assert.equal((await answer)[0][0], 0x88);
      await ended;
      assert.equal(await closed, code);
    });
  }
});

describe('messages that come too fast', () => {
  async function burst(t, options, count) {
    const { server, port } = await serve(t, options);
    const accepted = once(server, 'connection');
    const raw = await openRaw(port);
    const [socket] = await accepted;
    let received = 0;
    socket.on('message', () => {
      received += 1;
    });
    raw.write(Buffer.concat([...Array(count).fill(frame(0x82, 'a')), frame(0x88, [0x03, 0xe8])]));
    const answer = Buffer.concat(await raw.toArray());
    return [received, answer.readUInt16BE(2)];
  }

  test('end the connection with 1008', async (t) => {
    const options = { messageRate: 1, messageBurst: 5 };
    assert.deepEqual(await burst(t, options, 4), [4, 1000]);
    assert.deepEqual(await burst(t, options, 5), [5, 1000]);
    assert.deepEqual(await burst(t, options, 6), [5, 1008]);
  });

  test('may come in bursts of twice the rate unless told', async (t) => {
    assert.deepEqual(await burst(t, { messageRate: 10 }, 20), [20, 1000]);
    assert.deepEqual(await burst(t, { messageRate: 10 }, 21), [20, 1008]);
  });

  test('are no concern unless told', async (t) => {
    assert.deepEqual(await burst(t, {}, 10_000), [10_000, 1000]);
  });

  test('came while nothing was read, and are let be', async (t) => {
    const { socket, client } = await pair(t, { messageRate: 10, messageBurst: 1 });
    socket.pause();
    for (let count = 0; count < 10; count += 1) client.send('a');
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const received = collect(socket, 'message', 10);
    socket.resume();
    await received;
    assert.equal(socket.readyState, vaiven.OPEN);
  });

  test('have a limit that can be', () => {
    for (const options of [{ messageRate: 0 }, { messageRate: 1, messageBurst: 0 }, { messageBurst: 1 }]) {
      assert.throws(
        () => new WebSocketServer({ noServer: true, ...options }),
        /the option 'message(Rate|Burst)'/,
      );
    }
  });
});

describe('the stream below', () => {
  test('tells addresses, at any time', async (t) => {
    const { socket, client, request } = await pair(t);
    const { remotePort } = request.socket;
    assert.ok(remotePort > 0);
    await turn();
    assert.deepEqual(
      [socket._socket.remoteAddress, socket._socket.remotePort, socket._socket.localAddress],
      ['127.0.0.1', remotePort, '127.0.0.1'],
    );
    assert.deepEqual([request.socket.remotePort, request.socket.localAddress], [remotePort, '127.0.0.1']);
    client.close();
    await once(socket, 'close');
    assert.ok(socket._socket instanceof net.Socket && socket._socket.destroyed);
  });

  test('stays what it was for whoever listens to it', async (t) => {
    const { server, url } = await serve(t);
    const heard = [];
    server.on('connection', (socket) => {
      const stream = socket._socket;
      stream.on('close', () => heard.push(stream === socket._socket));
    });
    const client = await connect(url);
    await turn();
    client.close();
    await once(client, 'close');
    await turn();
    assert.deepEqual(heard, [true]);
  });

  test('tells its end to whoever listens later', async (t) => {
    const { client, request } = await pair(t);
    await turn();
    const ended = once(request.socket, 'close');
    client.terminate();
    await ended;
    assert.ok(request.socket.destroyed);
  });

  test('ends the connection where somebody destroys it, before and after it was let go', async (t) => {
    for (const wait of [() => {}, turn]) {
      for (const streamOf of [({ socket }) => socket._socket, ({ request }) => request.socket]) {
        const parts = await pair(t);
        await wait();
        streamOf(parts).destroy();
        assert.equal((await once(parts.client, 'close'))[0], 1006);
      }
    }
  });

  test('takes options and bytes after it was let go', async (t) => {
    const { socket, client } = await pair(t);
    await turn();
    const stream = socket._socket;
    stream.setNoDelay(true).setKeepAlive(true, 1000);
    stream.write(Buffer.from([0x81, 0x01, 0x61]));
    assert.deepEqual(await once(client, 'message'), [Buffer.from('a'), false]);
    client.send('b');
    assert.deepEqual(await once(socket, 'message'), [Buffer.from('b'), false]);
  });

  test('is the one of TLS where there is TLS', async (t) => {
    const { server, port } = await serveSecurely(t, { verifyClient: ({ secure }) => secure });
    const accepted = once(server, 'connection');
    const client = await connect(`wss://127.0.0.1:${port}`, { rejectUnauthorized: false });
    const [socket] = await accepted;
    assert.ok(socket._socket.encrypted);
    client.send('hola');
    assert.deepEqual(await once(socket, 'message'), [Buffer.from('hola'), false]);
    client.close();
    await once(socket, 'close');
  });
});

describe('what waits in a connection', () => {
  /** Sends to a peer that does not read until a message is refused. */
  async function overflow(t, bufferPolicy) {
    const { server, port } = await serve(t, { maxBufferedAmount: 1 << 20, bufferPolicy, closeTimeout: 2000 });
    const accepted = once(server, 'connection');
    const slow = await openRaw(port);
    slow.pause();
    const [socket] = await accepted;
    const chunk = Buffer.alloc(1 << 18);
    for (let sent = 0; sent < 200; sent++) {
      let error;
      const isSent = socket.send(chunk, (reason) => {
        error = reason;
      });
      assert.ok(socket.bufferedAmount <= 1 << 20, `${socket.bufferedAmount} bytes wait`);
      await new Promise(setImmediate);
      if (!isSent) return { socket, slow, error };
    }
    throw new Error('nothing was refused');
  }

  test('is bounded, and ends the connection with a code to come back', async (t) => {
    const { socket, slow, error } = await overflow(t, 'close');
    assert.equal(error.code, 'ERR_VAIVEN_BUFFER_FULL');
    assert.equal(socket.readyState, vaiven.CLOSING);
    let last = Buffer.alloc(0);
    slow.on('data', (chunk) => {
      last = Buffer.concat([last, chunk]).subarray(-64);
    });
    slow.resume();
    await once(slow, 'close');
    assert.ok(last.includes(Buffer.from([0x03, 0xf5])), 'the Close frame has the code 1013');
    assert.match(last.toString('latin1'), /slow consumer/);
  });

  test('is bounded, and the message is refused where the policy says so', async (t) => {
    const { socket, slow, error } = await overflow(t, 'drop');
    assert.equal(error.code, 'ERR_VAIVEN_BUFFER_FULL');
    assert.equal(socket.readyState, vaiven.OPEN);
    slow.destroy();
  });

  test('declines as a long message leaves', async (t) => {
    const { server, port } = await serve(t);
    const accepted = once(server, 'connection');
    const peer = await openRaw(port);
    const [socket] = await accepted;
    const bytes = 32 << 20;
    socket.send(Buffer.alloc(bytes));
    const amounts = new Set();
    let received = 0;
    peer.on('data', (chunk) => {
      received += chunk.length;
      // What the peer has counts no more, but for what a stream of Node's has not reported yet.
      assert.ok(socket.bufferedAmount <= bytes + (1 << 20) - received);
      amounts.add(socket.bufferedAmount);
      if (received === bytes + 10) peer.destroy();
    });
    await once(peer, 'close');
    assert.ok(amounts.has(0) && amounts.size > 4, `${amounts.size} amounts`);
  });

  test('may be just the limit, and not a byte more', async (t) => {
    const { socket } = await pair(t, { maxBufferedAmount: 1000, bufferPolicy: 'drop' });
    assert.equal(socket.send(Buffer.alloc(1001)), false);
    assert.equal(socket.send('é'.repeat(500)), true);
    assert.equal(socket.send('a'), false);
  });
});

describe('keepalive', () => {
  test('pings a peer that is silent, keeps one that answers and ends one that does not', async (t) => {
    const { server, url, port } = await serve(t, { keepalive: { interval: 200, timeout: 200 } });
    const alive = await connect(url);
    const accepted = once(server, 'connection');
    const dead = await openRaw(port);
    const [socket] = await accepted;
    assert.equal((await once(socket, 'close'))[0], 1006);
    dead.destroy();
    await once(alive, 'ping');
    assert.equal(alive.readyState, vaiven.OPEN);
  });

  test('lets a paused socket be', async (t) => {
    const { socket, client } = await pair(t, { keepalive: { interval: 200, timeout: 200 } });
    socket.pause();
    // Twice as long as it takes to give up a peer: time acts once a second.
    await new Promise((resolve) => setTimeout(resolve, 4500));
    assert.equal(socket.readyState, vaiven.OPEN);
    socket.resume();
    client.send('still here');
    assert.deepEqual(await once(socket, 'message'), [Buffer.from('still here'), false]);
  });

  test('lets a peer be whose answers came while this thread had no time to read them', async (t) => {
    const { server, port } = await serve(t, { keepalive: { interval: 1000, timeout: 1000 } });
    const accepted = once(server, 'connection');
    const program = `
      const { WebSocket } = require('ws');
      new WebSocket('ws://127.0.0.1:${port}').on('ping', () => {});
    `;
    const peer = new Worker(program, { eval: true });
    t.after(() => peer.terminate());
    const [socket] = await accepted;
    const block = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500);
    // The package's own timer, of the same second, is the elder one: each time a ping has just left, and is answered
    // while this thread is busy.
    const blocking = setInterval(() => setImmediate(block), 1000);
    await new Promise((resolve) => setTimeout(resolve, 9_000));
    clearInterval(blocking);
    await turn();
    assert.equal(socket.readyState, vaiven.OPEN);
  });
});

describe('keepalive lets a peer be that slowly takes', { concurrency: 4 }, () => {
  // The shorter message is wholly in the system's hands; of the longer one the most waits here.
  for (const [scheme, bytes] of [
    ['ws', 2 << 20],
    ['ws', 64 << 20],
    ['wss', 2 << 20],
    ['wss', 64 << 20],
  ]) {
    test(`${bytes >> 20} MiB over ${scheme}`, async (t) => {
      const keepalive = { interval: 1000, timeout: 4000 };
      const { server, port } = await (scheme === 'ws' ? serve : serveSecurely)(t, { keepalive });
      const accepted = once(server, 'connection');
      const slow = await (scheme === 'ws' ? openRaw : openSecurely)(port);
      t.after(() => slow.destroy());
      slow.pause();
      const [socket] = await accepted;
      socket.send(Buffer.alloc(bytes));
      // Pings stand behind the message, so that none is answered. The reader and the keepalive share one thread: what
      // delays one delays the other.
      const reading = setInterval(() => slow.read(8 << 10), 100);
      await new Promise((resolve) => setTimeout(resolve, 10_000));
      clearInterval(reading);
      assert.equal(socket.readyState, vaiven.OPEN);
      // One that takes nothing any more is given up.
      assert.equal((await once(socket, 'close'))[0], 1006);
    });
  }
});
