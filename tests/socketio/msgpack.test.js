// The parser for MessagePack that npm has, on both sides: one binary message for each packet.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as parser from 'socket.io-msgpack-parser';
import { Server, ask, collect, comparable, connected, matrix, next, open, several } from './support.js';

let server;
before(async () => { server = await Server.start('suite-msgpack'); });
after(() => server.end());

const BYTES = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
const VALUES = [
  null, true, false, 0, 1, -1, 127, 128, -32, -33, 255, 256, 65_535, 65_536, 4_294_967_295, 4_294_967_296, -4_294_967_296,
  Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 1.5, -1.5e-300, '', 'día 往復 🚀', 'x'.repeat(31), 'x'.repeat(32),
  'x'.repeat(255), 'x'.repeat(256), 'x'.repeat(65_536), [], [[1], [[2]]], Array.from({ length: 16 }, (_, index) => index),
  {}, { a: { b: [null, { c: true }] } }, Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`key ${index}`, index])),
  BYTES, { deep: [BYTES, 'text'] }, Buffer.alloc(70_000 - 256, BYTES),
];

matrix((name, io, transports) => describe(name, () => {
  const options = { ...transports, parser };

  test('every type comes back as it was', async (t) => {
    const socket = await connected(t, io, server.url, options);
    for (const value of VALUES) assert.deepEqual(comparable(await ask(socket, 'echo', value)), [value]);
    assert.deepEqual(await ask(socket, 'echo'), []);
    assert.deepEqual(comparable(await ask(socket, 'echo', 1, BYTES, 'three')), [1, BYTES, 'three']);
  });

  test('the server asks, and the client answers', async (t) => {
    const socket = await connected(t, io, server.url, options);
    socket.on('question', (value, ack) => ack(value, 'answer'));
    const answered = next(socket, 'answered');
    socket.emit('ask', 'question', { bytes: BYTES });
    assert.deepEqual(comparable(await answered), [{ bytes: BYTES }, 'answer']);
  });

  test('namespaces, refusals and ends are the same', async (t) => {
    const socket = await connected(t, io, `${server.url}/dynamic-1`, { ...options, auth: { welcomes: 2 } });
    const [{ namespace, auth }] = await ask(socket, 'whoami');
    assert.deepEqual([namespace, auth], ['/dynamic-1', { welcomes: 2 }]);
    const [unknown] = await next(open(t, io, `${server.url}/unknown`, options), 'connect_error');
    assert.equal(unknown.message, 'Invalid namespace');
    const [refused] = await next(open(t, io, `${server.url}/guarded`, options), 'connect_error');
    assert.deepEqual([refused.message, refused.data], ['not allowed', { code: 'wrong-token', token: null }]);
    const gone = next(socket, 'disconnect');
    socket.emit('leave-me', false);
    assert.equal((await gone)[0], 'io server disconnect');
  });

  test('a room hears what is said, in order', async (t) => {
    const [ana, luis] = await several(t, io, server.url, 2, options);
    await ask(luis, 'join', `sala ${name}`);
    const seen = collect(luis, 'told');
    const sent = Array.from({ length: 100 }, (_, number) => (number % 2 ? number : Buffer.from(`${number}`)));
    for (const value of sent) ana.emit('to', `sala ${name}`, 'told', value);
    await seen.reach(sent.length);
    assert.deepEqual(comparable(seen), sent);
  });
}));
