// Topics: one message for many sockets.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import vaiven from '../dist/index.mjs';
import { collect, connect, openRaw, serve } from './servers.mjs';

/** Clients of a server, and their sockets on it in the same order. */
async function room(t, count, options, clientOptions) {
  const sockets = [];
  const { server, url, port } = await serve(t, options, (socket) => sockets.push(socket));
  const clients = [];
  for (let index = 0; index < count; index++) clients.push(await connect(url, clientOptions));
  return { server, sockets, clients, url, port };
}

describe('a message to a topic', () => {
  test('reaches those who have subscribed, and nobody else', async (t) => {
    const { server, sockets, clients } = await room(t, 4);
    for (const socket of sockets.slice(0, 3)) socket.subscribe('news');
    sockets[2].unsubscribe('news');
    assert.deepEqual([server.subscriberCount('news'), server.subscriberCount('__proto__')], [2, 0]);
    const received = clients.map((client, index) =>
      collect(client, 'message', index === 1 ? 3 : index === 0 ? 2 : 1),
    );
    assert.equal(server.publish('news', 'hola'), 2);
    assert.equal(server.publish('news', Buffer.from('bytes'), { except: sockets[0] }), 1);
    assert.equal(server.publish('nobody', 'hola'), 0);
    for (const socket of sockets) socket.send('end');
    const all = await Promise.all(received);
    const texts = all.map((messages) => messages.map(([data, isBinary]) => `${isBinary} ${data}`));
    assert.deepEqual(texts, [
      ['false hola', 'false end'],
      ['false hola', 'true bytes', 'false end'],
      ['false end'],
      ['false end'],
    ]);
  });

  test('keeps its place among other messages', async (t) => {
    const { server, sockets, clients } = await room(t, 1);
    const [socket] = sockets;
    socket.subscribe('news');
    const received = collect(clients[0], 'message', 6);
    socket.send('1');
    server.publish('news', '2');
    socket.send(new Blob(['3']), { binary: false });
    server.publish('news', '4');
    socket.send('5', { fin: false });
    server.publish('news', '6');
    socket.send('7');
    assert.deepEqual(
      (await received).map(([data]) => String(data)),
      ['1', '2', '3', '4', '56', '7'],
    );
  });

  test('is compressed once for all who agreed on it, and right for each', async (t) => {
    const perMessageDeflate = { serverMaxWindowBits: 10 };
    const { server, sockets, clients, url } = await room(t, 2, { perMessageDeflate });
    clients.push(await connect(url, { perMessageDeflate: false }));
    const text = 'news of the day. '.repeat(200);
    for (const socket of sockets) socket.subscribe('news');
    const received = clients.map((client) => collect(client, 'message', 4));
    sockets[0].send(text);
    sockets[1].send(text);
    sockets[2].send(text);
    for (const compress of [undefined, false, 'always']) server.publish('news', text, { compress });
    for (const messages of await Promise.all(received)) {
      assert.deepEqual(
        messages.map(([data]) => String(data)),
        [text, text, text, text],
      );
    }
  });

  test('is less on the wire where it is compressed', async (t) => {
    const { server, sockets, port } = await room(t, 0, { perMessageDeflate: true });
    const raw = await openRaw(port, { 'Sec-WebSocket-Extensions': 'permessage-deflate' });
    sockets[0].subscribe('news');
    const lengthOf = async (options) => {
      server.publish('news', 'a'.repeat(1000), options);
      const [chunk] = (await collect(raw, 'data', 1))[0];
      raw.removeAllListeners('data');
      return chunk.length;
    };
    assert.equal(await lengthOf({}), 1004);
    assert.ok((await lengthOf({ compress: 'always' })) < 50);
    raw.destroy();
  });

  test('is told of where it is refused', async (t) => {
    const options = { maxBufferedAmount: 1 << 20, bufferPolicy: 'drop' };
    const { server, sockets, port, clients } = await room(t, 1, options);
    const slow = await openRaw(port);
    slow.pause();
    for (const socket of sockets) socket.subscribe('news');
    const chunk = Buffer.alloc(1 << 18);
    const refused = new Set();
    let received = 0;
    clients[0].on('message', () => received++);
    let published = 0;
    while (refused.size === 0 && published < 200) {
      published++;
      server.publish('news', chunk, { refused: (socket) => refused.add(socket) });
      await new Promise(setImmediate);
    }
    assert.deepEqual([...refused], [sockets[1]]);
    assert.equal(server.publish('news', 'the rest', { except: sockets[1] }), 1);
    while (received < published + 1) await new Promise(setImmediate);
    slow.destroy();
  });

  test('cannot be a Blob, nor text that is not UTF-8', async (t) => {
    const { server, sockets } = await room(t, 1);
    sockets[0].subscribe('news');
    assert.throws(() => server.publish('news', new Blob(['a'])), TypeError);
    assert.throws(() => server.publish('news', Buffer.of(0xff), { binary: false }), /not UTF-8/);
  });
});

test('the end of a connection ends its subscriptions', async (t) => {
  const { server, sockets, clients } = await room(t, 2);
  sockets[0].subscribe('a');
  sockets[0].subscribe('b');
  sockets[1].subscribe('b');
  clients[0].close();
  await collect(sockets[0], 'close', 1);
  assert.deepEqual([server.subscriberCount('a'), server.subscriberCount('b')], [0, 1]);
  sockets[0].subscribe('a');
  assert.equal(server.subscriberCount('a'), 0);
});

test('a client has no topics', async (t) => {
  const { url } = await room(t, 0);
  const client = await connect(url);
  assert.throws(() => client.subscribe('news'), /sockets of a server/);
  assert.ok(client instanceof vaiven);
});
