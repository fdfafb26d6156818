// How connections come about and end: authentication, namespaces, disconnection by either side, and coming back.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Socket as Engine } from 'engine.io-client';
import {
  CLIENTS, Line, Server, TRANSPORTS, ask, collect, connected, eventually, matrix, next, open, sleep,
} from './support.js';

let server;
before(async () => { server = await Server.start('suite'); });
after(() => server.end());

/** A line to the server that ends with the test. */
async function lineTo(t, target = server) {
  const line = await Line.to(target);
  t.after(() => line.end());
  return line;
}

/** Somebody who is told who left, and why. */
async function watcher(t) {
  const socket = await connected(t, CLIENTS.latest, server.url, TRANSPORTS.websocket);
  await ask(socket, 'join', 'watchers');
  return collect(socket, 'left');
}

const leftBy = (left, id) => eventually(`${id} to leave`, () => left.find(([other]) => other === id));

matrix((name, io, transports) => describe(name, () => {
  test('a client has an id of its own, which is not that of its connection', async (t) => {
    const socket = await connected(t, io, server.url, transports);
    const [{ id, namespace, rooms }] = await ask(socket, 'whoami');
    assert.equal(id, socket.id);
    assert.notEqual(socket.id, socket.io.engine.id);
    assert.equal(namespace, '/');
    // Whether its own id counts as a room of its own is the server's business.
    assert.deepEqual(rooms.filter((room) => room !== id), []);
  });

  test('the server learns the payload and the query', async (t) => {
    const auth = { token: 'día', list: [1, { deep: null }] };
    const query = { 'a b': 'c&d=e', ключ: 'значение', plus: '1+1' };
    const socket = await connected(t, io, server.url, { ...transports, auth, query });
    const [handshake] = await ask(socket, 'whoami');
    assert.deepEqual(handshake.auth, auth);
    for (const [key, value] of Object.entries(query)) assert.equal(handshake.query[key], value);
    assert.equal(handshake.query.EIO, '4');
  });

  test('the payload may come from a function, and none is an empty one', async (t) => {
    const socket = await connected(t, io, server.url, { ...transports, auth: (give) => give({ token: 'made' }) });
    assert.deepEqual((await ask(socket, 'whoami'))[0].auth, { token: 'made' });
    const other = await connected(t, io, server.url, transports);
    assert.deepEqual((await ask(other, 'whoami'))[0].auth, {});
  });

  test('who is refused learns why, and may try again', async (t) => {
    const socket = open(t, io, `${server.url}/guarded`, { ...transports, auth: { token: 'wrong' } });
    const [error] = await next(socket, 'connect_error');
    assert.equal(error.message, 'not allowed');
    assert.deepEqual(error.data, { code: 'wrong-token', token: 'wrong' });
    assert.equal(socket.connected, false);
    socket.auth = { token: 'sesame' };
    const connects = next(socket, 'connect');
    socket.connect();
    await connects;
    assert.deepEqual(await ask(socket, 'echo', 'in'), ['in']);
  });

  test('who has to wait to be let in makes nobody else wait', async (t) => {
    const manager = open(t, io, `${server.url}/guarded`, { ...transports, auth: { token: 'slow' } });
    const order = [];
    manager.on('connect', () => order.push('guarded'));
    const other = manager.io.socket('/other');
    other.on('connect', () => order.push('other'));
    // What is emitted meanwhile waits with it.
    const echoed = ask(manager, 'echo', 'patience');
    assert.deepEqual(await echoed, ['patience']);
    assert.deepEqual(order, ['other', 'guarded']);
  });

  test('an unknown namespace is refused, and the others go on', async (t) => {
    const socket = await connected(t, io, server.url, transports);
    const unknown = socket.io.socket('/unknown');
    const [error] = await next(unknown, 'connect_error');
    assert.equal(error.message, 'Invalid namespace');
    assert.deepEqual(await ask(socket, 'echo', 1), [1]);
  });

  test('namespaces share a connection and nothing else', async (t) => {
    const socket = await connected(t, io, server.url, transports);
    const names = ['/other', '/dynamic-7', '/dynamic-12345'];
    const others = names.map((namespace) => socket.io.socket(namespace, {}));
    await Promise.all(others.map((other) => next(other, 'connect')));
    const all = [socket, ...others];
    assert.equal(new Set(all.map((one) => one.id)).size, 4);
    const who = await Promise.all(all.map((one) => ask(one, 'whoami')));
    assert.deepEqual(who.map(([{ namespace }]) => namespace), ['/', ...names]);
    const seen = all.map((one) => collect(one, 'told'));
    others[1].emit('all', 'told', 'here alone');
    await seen[1 + 1].reach(1);
    for (const one of all) await ask(one, 'echo');
    assert.deepEqual(seen.map((list) => list.length), [0, 0, 1, 0]);

    others[0].disconnect();
    assert.deepEqual(await ask(others[1], 'echo', 'still here'), ['still here']);
    const again = next(others[0], 'connect');
    others[0].connect();
    await again;
    assert.deepEqual(await ask(others[0], 'echo', 'back'), ['back']);
  });

  test('a client that leaves a namespace is told of as such', async (t) => {
    const left = await watcher(t);
    const socket = await connected(t, io, server.url, transports);
    const { id } = socket;
    const gone = next(socket, 'disconnect');
    const { engine } = socket.io;
    socket.io.socket('/other');
    socket.disconnect();
    assert.equal((await gone)[0], 'io client disconnect');
    assert.equal((await leftBy(left, id))[1], 'client namespace disconnect');
    assert.equal(engine.readyState, 'open');
  });

  test('the server may send a client away from a namespace, and take it again', async (t) => {
    const left = await watcher(t);
    const socket = await connected(t, io, server.url, transports);
    const other = socket.io.socket('/other');
    await next(other, 'connect');
    const { id } = socket;
    const gone = next(socket, 'disconnect');
    socket.emit('leave-me', false);
    assert.equal((await gone)[0], 'io server disconnect');
    assert.equal((await leftBy(left, id))[1], 'server namespace disconnect');
    await sleep(100);
    assert.equal(socket.connected, false, 'it does not come back by itself');
    assert.deepEqual(await ask(other, 'echo', 'untouched'), ['untouched']);
    const again = next(socket, 'connect');
    socket.connect();
    await again;
    assert.notEqual(socket.id, id);
  });

  test('the server may end the connection with all its namespaces', async (t) => {
    const left = await watcher(t);
    const socket = await connected(t, io, server.url, { ...transports, reconnection: false });
    const other = socket.io.socket('/other');
    await next(other, 'connect');
    const { id } = socket;
    const gone = [next(socket, 'disconnect'), next(other, 'disconnect')];
    socket.emit('leave-me', true);
    for (const [reason] of await Promise.all(gone)) assert.match(reason, /^(io server disconnect|transport close)$/);
    assert.equal((await leftBy(left, id))[1], 'server namespace disconnect');
  });

  test('a client that is cut off comes back as another one', async (t) => {
    const line = await lineTo(t);
    const left = await watcher(t);
    const socket = await connected(t, io, line.url, transports);
    const { id } = socket;
    const attempts = collect(socket.io, 'reconnect_attempt');
    const gone = next(socket, 'disconnect');
    line.cut();
    assert.match((await gone)[0], /^transport (close|error)$/);
    assert.match((await leftBy(left, id))[1], /^(transport (close|error)|ping timeout)$/);
    await attempts.reach(2);
    const again = next(socket, 'connect');
    line.mend();
    await again;
    assert.notEqual(socket.id, id);
    assert.deepEqual(await ask(socket, 'echo', 'back'), ['back']);
  });

  test('what is emitted while away is sent when it is back, in order, and answered', async (t) => {
    const line = await lineTo(t);
    const socket = await connected(t, io, line.url, transports);
    const seen = collect(socket, 'told');
    const gone = next(socket, 'disconnect');
    line.cut();
    await gone;
    for (let number = 0; number < 50; number += 1) socket.emit('say', 'told', number);
    const answer = ask(socket, 'echo', Buffer.from('kept'));
    line.mend();
    assert.equal(Buffer.from((await answer)[0]).toString(), 'kept');
    await seen.reach(50);
    assert.deepEqual(seen, Array.from({ length: 50 }, (_, number) => number));
  });

  test('a silent line is noticed by both sides', async (t) => {
    const line = await lineTo(t);
    const left = await watcher(t);
    const socket = await connected(t, io, line.url, transports);
    const { id } = socket;
    const gone = next(socket, 'disconnect');
    line.stall();
    assert.equal((await gone)[0], 'ping timeout');
    assert.match((await leftBy(left, id))[1], /^(ping timeout|transport (close|error))$/);
    const again = next(socket, 'connect');
    line.mend();
    await again;
  });

  test('a message above the limit ends the connection, and the client comes back', async (t) => {
    const left = await watcher(t);
    const socket = await connected(t, io, server.url, transports);
    const { id } = socket;
    const gone = next(socket, 'disconnect');
    const again = gone.then(() => next(socket, 'connect'));
    socket.emit('say', 'told', 'x'.repeat(100_001));
    assert.match((await gone)[0], /^transport (close|error)$/);
    await leftBy(left, id);
    await again;
    assert.deepEqual(await ask(socket, 'echo', 'back'), ['back']);
  });
}));

test('clients of both ages and all transports meet', async (t) => {
  const sockets = [];
  for (const io of Object.values(CLIENTS)) {
    for (const transports of Object.values(TRANSPORTS)) sockets.push(await connected(t, io, server.url, transports));
  }
  const seen = sockets.map((socket) => collect(socket, 'told'));
  for (const [number, socket] of sockets.entries()) socket.emit('all', 'told', number);
  await Promise.all(seen.map((list) => list.reach(sockets.length)));
  for (const list of seen) assert.deepEqual(list.toSorted(), [0, 1, 2, 3, 4, 5]);
});

test('thirty clients that come and go at once are kept apart', async (t) => {
  const round = async (number) => {
    const transports = Object.values(TRANSPORTS)[number % 3];
    const socket = await connected(t, CLIENTS.latest, server.url, transports);
    assert.deepEqual(await ask(socket, 'echo', number), [number]);
    socket.disconnect();
  };
  await Promise.all(Array.from({ length: 30 }, (_, number) => round(number)));
});

describe('a server whose clients have a second to connect', () => {
  let sio;
  before(async () => { sio = await Server.start('sio'); });
  after(() => sio.end());

  test('one that opens a connection and joins no namespace is sent away', async () => {
    const engine = new Engine(sio.url, { path: '/socket.io/', transports: ['websocket'] });
    const closed = next(engine, 'close', 4_000);
    await next(engine, 'open');
    const begun = Date.now();
    assert.match((await closed)[0], /^transport close$/);
    assert.ok(Date.now() - begun > 800, `after ${Date.now() - begun} ms`);
  });

  matrix((name, io, transports) => test(`${name}: one that joins stays, and hears its own payload`, async (t) => {
    const socket = open(t, io, `${sio.url}/custom`, { ...transports, auth: { who: 'ana' } });
    assert.deepEqual(await next(socket, 'auth'), [{ who: 'ana' }]);
    await sleep(1_300);
    assert.ok(socket.connected);
    const back = next(socket, 'message-back');
    socket.emit('message', 1, 'two', { three: Buffer.from('3') });
    assert.equal((await back).length, 3);
    assert.deepEqual(await ask(socket, 'message-with-ack', 1, 'two'), [1, 'two']);
  }), { transports: ['websocket', 'polling'] });
});
