// Engine.IO by the official client alone: the handshake, messages, the upgrade, the heartbeat, ends.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Socket } from 'engine.io-client';
import { Line, Server, TRANSPORTS, bytes, collect, eventually, next, sleep } from './support.js';

/** What the mode `eio` is set to. */
const PING_INTERVAL_MS = 300;
const PING_TIMEOUT_MS = 200;
const MAX_PAYLOAD = 1_000_000;

let server;
before(async () => { server = await Server.start('eio'); });
after(() => server.end());

function open(t, options, url = server.url) {
  const socket = new Socket(url, options);
  socket.binaryType = 'arraybuffer';
  t.after(() => socket.close());
  return socket;
}

async function opened(t, options, url) {
  const socket = open(t, options, url);
  const handshake = next(socket, 'handshake');
  await next(socket, 'open');
  if (options.transports.length === 2) await eventually('the upgrade', () => socket.transport.name === 'websocket');
  [socket.told] = await handshake;
  return socket;
}

for (const [name, options] of Object.entries(TRANSPORTS)) {
  describe(name, () => {
    test('the handshake tells what the server is set to', async (t) => {
      const { told } = await opened(t, options);
      assert.match(told.sid, /^[\w-]{16,}$/);
      const { sid, ...settings } = told;
      const upgrades = name === 'websocket' ? [] : ['websocket'];
      const expected = { upgrades, pingInterval: PING_INTERVAL_MS, pingTimeout: PING_TIMEOUT_MS, maxPayload: MAX_PAYLOAD };
      assert.deepEqual(settings, expected);
    });

    test('text comes back as it was', async (t) => {
      const socket = await opened(t, options);
      const seen = collect(socket, 'message');
      const texts = ['', 'hola', 'día 往復 🚀', '\u0000\u0001\u001f', '\u2028\u2029', 'b64?', '4', 'b', '"\\', ' \r\n'];
      const long = 'día '.repeat(20_000);
      for (const text of [...texts, long]) socket.send(text);
      await seen.reach(texts.length + 1);
      // The client shows an empty text as undefined.
      assert.deepEqual(seen.slice(0, -1).map((text) => text ?? ''), texts);
      assert.ok(seen.at(-1) === long, 'the long text');
    });

    test('bytes come back as they were', async (t) => {
      const socket = await opened(t, options);
      const seen = collect(socket, 'message');
      const all = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
      const sent = [all, Buffer.alloc(1), Buffer.from('ab'), Buffer.from('abc'), Buffer.alloc(100_000, all)];
      for (const data of sent) socket.send(data);
      await seen.reach(sent.length);
      assert.deepEqual(seen.map(bytes), sent);
    });

    test('many messages keep their order, before the upgrade and after it', async (t) => {
      const socket = open(t, options);
      const seen = collect(socket, 'message');
      const sent = [];
      const send = (count) => {
        for (let left = count; left > 0; left -= 1) {
          const text = `message ${sent.length}`;
          const isBinary = sent.length % 3 === 0;
          sent.push(text);
          socket.send(isBinary ? Buffer.from(text) : text);
        }
      };
      await next(socket, 'open');
      for (let round = 0; round < 20; round += 1) {
        send(25);
        await sleep(round % 4);
      }
      await seen.reach(sent.length);
      assert.deepEqual(seen.map((data) => (typeof data === 'string' ? data : bytes(data).toString())), sent);
      if (options.transports.length === 2) await eventually('the upgrade', () => socket.transport.name === 'websocket');
    });

    test('the server asks for signs of life, the first time after the interval', async (t) => {
      const socket = await opened(t, options);
      const begun = Date.now();
      await next(socket, 'ping');
      // The upgrade is a part of the time since the handshake.
      if (name !== 'upgrade') assert.ok(Date.now() - begun > PING_INTERVAL_MS - 50, `after ${Date.now() - begun} ms`);
      const pings = collect(socket, 'ping');
      await pings.reach(4);
      assert.equal(socket.readyState, 'open');
    });

    test('a client that closes is forgotten', async (t) => {
      const socket = await opened(t, options);
      const closed = next(socket, 'close');
      socket.close();
      assert.equal((await closed)[0], 'forced close');
      await eventually('the session to be unknown', async () => {
        const answer = await fetch(`${server.url}/engine.io/?EIO=4&transport=polling&sid=${socket.told.sid}`);
        const text = await answer.text();
        return answer.status === 400 && JSON.parse(text).code === 1;
      });
    });

    test('a message above the limit ends the connection', async (t) => {
      const socket = await opened(t, options);
      const seen = collect(socket, 'message');
      const closed = next(socket, 'close');
      socket.send('x'.repeat(MAX_PAYLOAD + 1));
      const [reason] = await closed;
      assert.match(reason, /^transport (close|error)$/);
      assert.equal(seen.length, 0);
    });

    test('a connection that is cut is told of', async (t) => {
      const line = await Line.to(server);
      t.after(() => line.end());
      const socket = await opened(t, options, line.url);
      const closed = next(socket, 'close');
      line.cut();
      assert.match((await closed)[0], /^transport (close|error)$/);
    });

    test('a connection on which nothing moves is noticed by both sides', async (t) => {
      const line = await Line.to(server);
      t.after(() => line.end());
      const socket = await opened(t, options, line.url);
      const closed = next(socket, 'close');
      line.stall();
      assert.equal((await closed)[0], 'ping timeout');
      await eventually('the server to forget it', async () => {
        const answer = await fetch(`${server.url}/engine.io/?EIO=4&transport=polling&sid=${socket.told.sid}`);
        await answer.text();
        return answer.status === 400;
      });
    });
  });
}

test('text with the separator of payloads comes back over a WebSocket', async (t) => {
  const socket = await opened(t, TRANSPORTS.websocket);
  const seen = collect(socket, 'message');
  socket.send('a\u001eb');
  await seen.reach(1);
  assert.equal(seen[0], 'a\u001eb');
});

test('two hundred sessions at once are kept apart', async (t) => {
  const sockets = await Promise.all(Array.from({ length: 200 }, (_, number) => (
    opened(t, number % 2 === 0 ? TRANSPORTS.websocket : TRANSPORTS.polling)
  )));
  assert.equal(new Set(sockets.map((socket) => socket.id)).size, sockets.length);
  const answers = sockets.map((socket) => next(socket, 'message'));
  sockets.forEach((socket, number) => socket.send(`${number}`));
  assert.deepEqual((await Promise.all(answers)).flat(), sockets.map((_, number) => `${number}`));
});
