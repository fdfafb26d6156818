// What is said over a connection: events of every type both ways, bytes, acknowledgements, order, volatile, rooms.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { CLIENTS, Server, ask, bytes, collect, comparable, connected, matrix, next, several, sleep, within } from './support.js';

let server;
before(async () => { server = await Server.start('suite'); });
after(() => server.end());

const VALUES = [
  null, true, false, 0, -1, 1.5e-7, Number.MAX_SAFE_INTEGER, '', 'hola', 'día 往復 🚀 \u0000 \u2028 " \\ /', [], {}, [[[]]],
  { a: { b: { c: [1, 'two', null, { three: 3 }] } } }, ['x'.repeat(10_000)], { '': 1, 'a.b': 2, 'ключ': 3 },
  // What looks like bytes, a prototype or a packet is data all the same.
  { _placeholder: true, num: 0 }, { constructor: { prototype: 1 } }, '2["event"]', '51-["a"]', '[1]', '/other,1',
];

const ALL_BYTES = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));

matrix((name, io, transports) => describe(name, () => {
  test('every type of JSON comes back as it was', async (t) => {
    const socket = await connected(t, io, server.url, transports);
    assert.deepEqual(await ask(socket, 'echo', ...VALUES), VALUES);
    for (const value of VALUES) assert.deepEqual(await ask(socket, 'echo', value), [value]);
    assert.deepEqual(await ask(socket, 'echo'), []);
    assert.deepEqual(await ask(socket, 'echo', undefined, Number.NaN), [null, null]);
  });

  test('a key named __proto__ is data', async (t) => {
    const socket = await connected(t, io, server.url, transports);
    const [answer] = await ask(socket, 'echo', JSON.parse('{"__proto__":{"isAdmin":true},"own":1}'));
    assert.equal(JSON.stringify(answer), '{"__proto__":{"isAdmin":true},"own":1}');
    assert.equal(answer.isAdmin, undefined);
  });

  test('bytes come back as they were, whole, nested, several, none', async (t) => {
    const socket = await connected(t, io, server.url, transports);
    const sent = [
      [ALL_BYTES],
      [Buffer.alloc(1)],
      [Buffer.alloc(60_000, ALL_BYTES)],
      ['before', ALL_BYTES, { nested: { deep: [Buffer.from('a'), 1, Buffer.from('b')] } }, 'behind'],
      [Array.from({ length: 10 }, (_, index) => Buffer.from(`attachment ${index}`))],
    ];
    for (const values of sent) {
      const answers = await ask(socket, 'echo', ...values);
      assert.deepEqual(comparable(answers), values);
    }
  });

  test('bytes of any kind arrive', async (t) => {
    const socket = await connected(t, io, server.url, transports);
    const numbers = Uint16Array.of(1, 2, 65_535);
    const views = [numbers, numbers.buffer, new DataView(numbers.buffer, 2, 2)];
    const answers = await ask(socket, 'echo', ...views);
    assert.deepEqual(answers.map((answer) => [...bytes(answer)]), [[1, 0, 2, 0, 255, 255], [1, 0, 2, 0, 255, 255], [2, 0]]);
  });

  test('the server emits what it was told to, bytes too', async (t) => {
    const socket = await connected(t, io, server.url, transports);
    for (const values of [[], [1, 'a', null], [ALL_BYTES], [{ data: [ALL_BYTES] }, Buffer.from('z')]]) {
      const arrived = next(socket, 'told');
      socket.emit('say', 'told', ...values);
      assert.deepEqual(comparable(await arrived), values);
    }
  });

  test('events may have any name', async (t) => {
    const socket = await connected(t, io, server.url, transports);
    for (const event of ['', ' ', 'a,b', '/', '[]', '"', 'événement', '往復', 'message', '42', '__proto__']) {
      const arrived = next(socket, event);
      socket.emit('say', event, event);
      assert.deepEqual(await arrived, [event]);
    }
  });

  test('each acknowledgement finds its question', async (t) => {
    const socket = await connected(t, io, server.url, transports);
    const questions = Array.from({ length: 100 }, (_, number) => (number % 7 === 0 ? [Buffer.from(`${number}`)] : [number]));
    const answers = await Promise.all(questions.map((values) => ask(socket, 'echo', ...values)));
    assert.deepEqual(comparable(answers), questions);
  });

  test('the server asks, and the client answers', async (t) => {
    const socket = await connected(t, io, server.url, transports);
    socket.on('question', (...values) => {
      const ack = values.pop();
      ack(...values, 'answer');
    });
    for (const values of [[], [1, { two: 2 }], [ALL_BYTES, [Buffer.from('x')]]]) {
      const answered = next(socket, 'answered');
      socket.emit('ask', 'question', ...values);
      assert.deepEqual(comparable(await answered), [...values, 'answer']);
    }
  });

  test('the server waits for an answer only so long, and a late one harms nobody', async (t) => {
    const socket = await connected(t, io, server.url, transports);
    let late;
    socket.on('question', (ack) => { late = ack; });
    const unanswered = next(socket, 'unanswered');
    const answered = collect(socket, 'answered');
    socket.emit('ask', 'question');
    assert.deepEqual(await unanswered, ['question']);
    late('too late');
    assert.deepEqual(await ask(socket, 'echo', 1), [1]);
    assert.equal(answered.length, 0);
  });

  test('events arrive in the order in which they were emitted', async (t) => {
    const socket = await connected(t, io, server.url, transports);
    const seen = collect(socket, 'told');
    const count = 300;
    for (let number = 0; number < count; number += 1) {
      socket.emit('say', 'told', number % 5 === 0 ? Buffer.from(`${number}`) : number);
    }
    await seen.reach(count);
    const numbers = seen.map((value) => (typeof value === 'number' ? value : Number(bytes(value).toString())));
    assert.deepEqual(numbers, Array.from({ length: count }, (_, number) => number));
  });

  test('what the server emits right after the connection arrives', async (t) => {
    const socket = io(server.url, { forceNew: true, auth: { welcomes: 20 }, ...transports });
    t.after(() => socket.disconnect());
    const seen = collect(socket, 'welcome');
    await seen.reach(20);
    assert.deepEqual(seen, Array.from({ length: 20 }, (_, index) => index + 1));
  });

  test('what is volatile arrives where there is a connection', async (t) => {
    const socket = await connected(t, io, server.url, transports);
    // Over polling there is none between two requests.
    const arrived = collect(socket, 'told');
    for (let tries = 0; arrived.length === 0 && tries < 50; tries += 1) {
      socket.emit('say-volatile', 'told', 'soon gone');
      await sleep(20);
    }
    assert.equal(arrived[0], 'soon gone');
  });
}));

describe('rooms', () => {
  matrix((name, io, transports) => test(`${name}: whoever is meant hears it, and nobody else`, async (t) => {
    const [ana, luis, eva] = await several(t, io, server.url, 3, transports);
    const seen = [ana, luis, eva].map((socket) => collect(socket, 'told'));
    await ask(ana, 'join', 'sala');
    await ask(luis, 'join', 'sala');
    await ask(eva, 'join', 'other');
    const said = [
      [['to', 'sala', 'told', 'to the others in the room'], [0, 1, 0]],
      [['in', 'sala', 'told', 'to all in the room'], [1, 1, 0]],
      [['to', 'nobody', 'told', 'to an empty room'], [0, 0, 0]],
      [['except', 'sala', 'told', 'to all but the room'], [0, 0, 1]],
      [['broadcast', 'told', 'to all others'], [0, 1, 1]],
      [['all', 'told', Buffer.from('to all')], [1, 1, 1]],
      [['in', luis.id, 'told', 'to one by its id'], [0, 1, 0]],
    ];
    const expected = [[], [], []];
    for (const [words, heard] of said) {
      ana.emit(...words);
      heard.forEach((hears, index) => { if (hears) expected[index].push(words.at(-1)); });
    }
    await ask(ana, 'leave', 'sala');
    ana.emit('in', 'sala', 'told', 'to who is left');
    expected[1].push('to who is left');
    await Promise.all(seen.map((list, index) => list.reach(expected[index].length)));
    for (const socket of [ana, luis, eva]) await ask(socket, 'echo');
    assert.deepEqual(comparable(seen), expected);
  }));

  matrix((name, io, transports) => test(`${name}: all of a room can be asked`, async (t) => {
    const [ana, luis, eva] = await several(t, io, server.url, 3, transports);
    for (const socket of [ana, luis, eva]) await ask(socket, 'join', 'asked');
    ana.on('question', (ack) => ack('ana'));
    luis.on('question', (ack) => ack('luis'));
    eva.on('question', (ack) => ack('eva'));
    const [{ late, answers }] = await ask(ana, 'poll-room', 'asked', 'question');
    assert.equal(late, false);
    assert.deepEqual(answers.toSorted(), ['ana', 'eva', 'luis']);
    luis.off('question');
    const [second] = await ask(ana, 'poll-room', 'asked', 'question');
    assert.equal(second.late, true);
    assert.deepEqual(second.answers.toSorted(), ['ana', 'eva']);
  }), { transports: ['websocket', 'polling'] });

  test('all of a room can be sent away', async (t) => {
    const [ana, luis] = await several(t, CLIENTS.latest, server.url, 2);
    await ask(luis, 'join', 'crowd');
    const gone = next(luis, 'disconnect');
    ana.emit('kick-room', 'crowd');
    assert.equal((await gone)[0], 'io server disconnect');
    assert.ok(ana.connected);
  });
});

describe('what only newer clients have', () => {
  matrix((name, io, transports) => {
    test(`${name}: timeouts of acknowledgements`, async (t) => {
      const socket = await connected(t, io, server.url, transports);
      await assert.rejects(within('the timeout', socket.timeout(100).emitWithAck('silence')), /timed out/);
      assert.equal(await socket.timeout(2_000).emitWithAck('echo', 'in time'), 'in time');
    });

    test(`${name}: listeners of everything hear all that goes in and out`, async (t) => {
      const socket = await connected(t, io, server.url, transports);
      const [arrived, left] = [[], []];
      socket.onAny((event) => arrived.push(event));
      socket.onAnyOutgoing((event) => left.push(event));
      const told = next(socket, 'told');
      socket.emit('say', 'told');
      await told;
      assert.deepEqual([arrived, left], [['told'], ['say']]);
    });

    test(`${name}: an event is sent again until it is acknowledged`, async (t) => {
      const socket = await connected(t, io, server.url, { ...transports, ackTimeout: 100, retries: 2 });
      const told = collect(socket, 'told');
      // The server acknowledges no `say`, so it is sent three times and given up.
      const error = await within('the end of the tries', new Promise((done) => {
        socket.emit('say', 'told', 'again', (failed) => done(failed));
      }));
      assert.match(error.message, /timed out/);
      assert.equal(told.length, 3);
      assert.deepEqual(await ask(socket, 'echo', 1), [null, 1]);
    });
  }, { clients: ['latest'] });
});
