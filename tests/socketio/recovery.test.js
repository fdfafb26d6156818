// Connection state recovery: what was missed while a connection was lost arrives when the client is back in time.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  CLIENTS, Line, Server, TRANSPORTS, ask, bytes, collect, connected, eventually, matrix, next, sleep,
} from './support.js';

/** For how long the mode `suite-recovery` keeps a session. */
const RECOVERABLE_MS = 1_500;

let server;
before(async () => { server = await Server.start('suite-recovery'); });
after(() => server.end());

/** A client on a line that can be cut, which has had its first event, and with it an offset; and another client. */
async function pair(t, io, transports, namespace = '/') {
  const line = await Line.to(server);
  t.after(() => line.end());
  const socket = await connected(t, io, `${line.url}${namespace}`, transports);
  const other = await connected(t, CLIENTS.latest, `${server.url}${namespace}`, TRANSPORTS.websocket);
  const seen = collect(socket, 'told');
  assert.equal(socket.recovered, false);
  other.emit('in', socket.id, 'told', 'first');
  await seen.reach(1);
  await ask(other, 'join', 'watchers');
  const left = collect(other, 'left');
  return { line, socket, left, other, seen: () => seen.map(withoutOffset) };
}

/** An event has its offset behind its arguments. */
const withoutOffset = ([value]) => (value instanceof Object ? bytes(value).toString() : value);

/** Gives way when both sides know that the connection is lost. */
async function loseLine({ line, socket, left }) {
  const gone = next(socket, 'disconnect');
  const { id } = socket;
  const times = () => left.filter(([other]) => other === id).length;
  const before = times();
  line.cut();
  assert.match((await gone)[0], /^transport (close|error)$/);
  await eventually('the server to notice', () => times() > before);
}

async function comeBack({ line, socket }) {
  const again = next(socket, 'connect');
  line.mend();
  await again;
}

matrix((name, io, transports) => describe(name, () => {
  test('what was missed arrives, once and in order; id, rooms and data are as they were', async (t) => {
    const both = await pair(t, io, transports);
    const { socket, other } = both;
    const { id } = socket;
    await ask(socket, 'join', 'sala');
    await ask(socket, 'join', 'left again');
    await ask(socket, 'leave', 'left again');
    await ask(socket, 'remember', { score: 7 });
    await loseLine(both);
    const said = [];
    for (let number = 0; number < 40; number += 1) {
      const words = [['all'], ['in', 'sala'], ['to', id], ['broadcast']][number % 4];
      other.emit(...words, 'told', number % 3 === 0 ? Buffer.from(`bytes ${number}`) : `text ${number}`);
      said.push(number % 3 === 0 ? `bytes ${number}` : `text ${number}`);
    }
    other.emit('in', 'left again', 'told', 'not for this one');
    other.emit('in', other.id, 'told', 'not for this one');
    other.emit('to-volatile', 'sala', 'told', 'not kept');
    await ask(other, 'echo');
    await comeBack(both);
    assert.equal(socket.recovered, true);
    assert.equal(socket.id, id);
    const [{ rooms, data }] = await ask(socket, 'whoami');
    assert.deepEqual(rooms.filter((room) => room !== id), ['sala']);
    assert.deepEqual(data, { remembered: { score: 7 } });
    assert.deepEqual(both.seen(), ['first', ...said]);
    other.emit('in', 'sala', 'told', 'live');
    await ask(other, 'echo');
    await ask(socket, 'echo');
    assert.deepEqual(both.seen(), ['first', ...said, 'live']);
  });

  test('it works again and again', async (t) => {
    const both = await pair(t, io, transports);
    const { id } = both.socket;
    const said = ['first'];
    for (let round = 0; round < 4; round += 1) {
      await loseLine(both);
      for (let number = 0; number < round; number += 1) {
        both.other.emit('in', id, 'told', `${round}.${number}`);
        said.push(`${round}.${number}`);
      }
      await ask(both.other, 'echo');
      await comeBack(both);
      assert.equal(both.socket.recovered, true, `round ${round}`);
      assert.equal(both.socket.id, id);
      await ask(both.socket, 'echo');
      assert.deepEqual(both.seen(), said);
    }
  });

  test('what the client emits meanwhile comes after its return, in order', async (t) => {
    const both = await pair(t, io, transports);
    await loseLine(both);
    const heard = collect(both.other, 'told');
    for (let number = 0; number < 10; number += 1) both.socket.emit('broadcast', 'told', number);
    await comeBack(both);
    await heard.reach(10);
    assert.deepEqual(heard.map(withoutOffset), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  test('who stays away too long is a new one', async (t) => {
    const both = await pair(t, io, transports);
    const { id } = both.socket;
    await ask(both.socket, 'join', 'sala');
    await loseLine(both);
    both.other.emit('in', 'sala', 'told', 'missed for ever');
    await sleep(RECOVERABLE_MS + 800);
    await comeBack(both);
    assert.equal(both.socket.recovered, false);
    assert.notEqual(both.socket.id, id);
    const [{ rooms, data }] = await ask(both.socket, 'whoami');
    assert.deepEqual([rooms.filter((room) => room !== both.socket.id), data], [[], {}]);
    assert.deepEqual(both.seen(), ['first']);
  });
}), { clients: ['latest'] });

const io = CLIENTS.latest;

test('a namespace has sessions of its own', async (t) => {
  const both = await pair(t, io, TRANSPORTS.websocket, '/dynamic-1');
  const root = both.socket.io.socket('/');
  await next(root, 'connect');
  const ids = [both.socket.id, root.id];
  await loseLine(both);
  both.other.emit('all', 'told', 'missed');
  await ask(both.other, 'echo');
  const rootAgain = next(root, 'connect');
  await comeBack(both);
  await rootAgain;
  assert.equal(both.socket.recovered, true);
  assert.equal(both.socket.id, ids[0]);
  // No event ever came, so it has no offset: a server may find the session by its private id alone, or begin a new one.
  assert.equal(root.recovered, root.id === ids[1]);
  await ask(both.socket, 'echo');
  assert.deepEqual(both.seen(), ['first', 'missed']);
});

test('who is cut off before its first event misses nothing, or is told that it is a new one', async (t) => {
  const line = await Line.to(server);
  t.after(() => line.end());
  const socket = await connected(t, io, line.url, TRANSPORTS.websocket);
  const other = await connected(t, io, server.url, TRANSPORTS.websocket);
  await ask(other, 'join', 'watchers');
  const left = collect(other, 'left');
  const seen = collect(socket, 'told');
  const { id } = socket;
  await loseLine({ line, socket, left });
  other.emit('in', id, 'told', 'missed');
  await ask(other, 'echo');
  await comeBack({ line, socket });
  await ask(socket, 'echo');
  assert.equal(socket.recovered, socket.id === id);
  assert.deepEqual(seen.map(withoutOffset), socket.recovered ? ['missed'] : []);
});

test('who has said goodbye, or was sent away, is not recovered', async (t) => {
  for (const leave of [(socket) => socket.disconnect(), (socket) => socket.emit('leave-me', false)]) {
    const both = await pair(t, io, TRANSPORTS.websocket);
    const { socket } = both;
    const { id } = socket;
    const gone = next(socket, 'disconnect');
    leave(socket);
    await gone;
    const again = next(socket, 'connect');
    socket.connect();
    await again;
    assert.equal(socket.recovered, false);
    assert.notEqual(socket.id, id);
  }
});

test('a session is given to nobody who only guesses', async (t) => {
  const both = await pair(t, io, TRANSPORTS.websocket);
  const { id } = both.socket;
  await loseLine(both);
  for (const auth of [
    { pid: 'guessed', offset: 'guessed' }, { pid: id, offset: '' }, { pid: '__proto__', offset: '__proto__' },
    { pid: null, offset: null }, { pid: {}, offset: [] }, { pid: 1, offset: 1 },
  ]) {
    const socket = await connected(t, io, server.url, { ...TRANSPORTS.websocket, auth });
    assert.equal(socket.recovered, false, JSON.stringify(auth));
    assert.notEqual(socket.id, id);
  }
  await comeBack(both);
  assert.equal(both.socket.recovered, true, 'and it is still there for its owner');
});

test('an offset that was never given recovers nothing', async (t) => {
  const both = await pair(t, io, TRANSPORTS.websocket);
  await loseLine(both);
  both.other.emit('in', both.socket.id, 'told', 'missed');
  await ask(both.other, 'echo');
  both.socket._lastOffset = 'never-given';
  await comeBack(both);
  assert.equal(both.socket.recovered, false);
  await ask(both.socket, 'echo');
  assert.deepEqual(both.seen(), ['first']);
});

test('a silent line is recovered too, and nothing is doubled', async (t) => {
  const both = await pair(t, io, TRANSPORTS.websocket);
  const { id } = both.socket;
  const gone = next(both.socket, 'disconnect');
  both.line.stall();
  both.other.emit('in', id, 'told', 'into the silence');
  assert.equal((await gone)[0], 'ping timeout');
  await comeBack(both);
  await ask(both.socket, 'echo');
  if (both.socket.recovered) assert.deepEqual(both.seen(), ['first', 'into the silence']);
  else assert.notEqual(both.socket.id, id);
});

test('the oldest client, which knows no recovery, comes back as a new one', async (t) => {
  const line = await Line.to(server);
  t.after(() => line.end());
  const socket = await connected(t, CLIENTS.oldest, line.url, TRANSPORTS.websocket);
  const { id } = socket;
  const told = next(socket, 'told');
  socket.emit('say', 'told', 'hola');
  assert.equal((await told)[0], 'hola');
  const gone = next(socket, 'disconnect');
  line.cut();
  await gone;
  await comeBack({ line, socket });
  assert.notEqual(socket.id, id);
});

test('two hundred clients are cut off at once and miss nothing', async (t) => {
  const line = await Line.to(server);
  t.after(() => line.end());
  const all = await Promise.all(Array.from({ length: 200 }, () => connected(t, io, line.url, TRANSPORTS.websocket)));
  const other = await connected(t, io, server.url, TRANSPORTS.websocket);
  const seen = all.map((socket) => collect(socket, 'told'));
  other.emit('broadcast', 'told', 0);
  await Promise.all(seen.map((list) => list.reach(1)));
  await ask(other, 'join', 'watchers');
  const left = collect(other, 'left');
  const ids = all.map((socket) => socket.id);
  const back = Promise.all(all.map((socket) => next(socket, 'connect')));
  line.cut();
  await eventually('the server to notice', () => ids.every((id) => left.some(([other]) => other === id)));
  for (let number = 1; number <= 20; number += 1) other.emit('broadcast', 'told', number);
  line.mend();
  await back;
  assert.ok(all.every((socket) => socket.recovered));
  await Promise.all(seen.map((list) => list.reach(21)));
  for (const list of seen) assert.deepEqual(list.map(withoutOffset), Array.from({ length: 21 }, (_, number) => number));
});
