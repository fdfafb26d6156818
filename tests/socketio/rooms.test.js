// The stand-alone server: unmodified clients in the rooms that plain WebSockets and clients of vaiven.v1.json are in.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  CLIENTS, IS_REFERENCE, Line, ROOT, TRANSPORTS, ask, bytes, collect, connected, eventually, freePort, matrix, next, open, sleep,
} from './support.js';

const PROGRAM = process.env.VAIVEN_BIN ?? join(ROOT, 'target/release/vaiven');
const SECRET = '0123456789abcdef0123456789abcdef';

/** `vaiven serve`, which may be killed and started again. */
class Rooms {
  static async start(t, ...flags) {
    const rooms = new Rooms();
    rooms.port = await freePort();
    rooms.flags = ['--listen', `127.0.0.1:${rooms.port}`, '--log-level', 'warn', ...flags];
    if (!flags.includes('--data-dir')) rooms.flags.push('--history', 'memory');
    t.after(() => rooms.kill());
    await rooms.run();
    return rooms;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  async run() {
    this.log = '';
    this.child = spawn(PROGRAM, ['serve', ...this.flags], { stdio: ['ignore', 'ignore', 'pipe'] });
    this.child.stderr.on('data', (data) => { this.log += data; });
    this.ended = once(this.child, 'exit');
    await eventually('the server to listen', async () => {
      assert.equal(this.child.exitCode, null, this.log);
      return (await fetch(`${this.url}/ready`).catch(() => null))?.ok;
    }, 20_000);
  }

  async kill(signal = 'SIGKILL') {
    this.child.kill(signal);
    await this.ended;
  }

  async metric(name) {
    const text = await fetch(`${this.url}/metrics`).then((answer) => answer.text());
    const line = text.split('\n').find((found) => found.startsWith(`${name} `));
    assert.ok(line, `${name} is among the metrics`);
    return Number(line.slice(name.length));
  }
}

/** A member over a WebSocket without any protocol. */
async function plain(t, rooms, room) {
  // Node 20 has no WebSocket of its own: that of the package under the clients is as bare.
  const { WebSocket } = await import('ws');
  const socket = new WebSocket(`ws://127.0.0.1:${rooms.port}/c/${room}`);
  t.after(() => socket.terminate());
  const heard = [];
  socket.on('message', (data, isBinary) => heard.push(isBinary ? data : data.toString()));
  await once(socket, 'open');
  return { socket, heard, reach: (count) => eventually(`${count} messages`, () => heard.length >= count) };
}

function token(claims) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`;
}

const inSeconds = (seconds) => Math.floor(Date.now() / 1000) + seconds;

describe('rooms', { skip: IS_REFERENCE && 'the official server has no channels' }, () => {
  matrix((name, io, transport) => {
    test(`clients of every kind hear each other: ${name}`, async (t) => {
      const rooms = await Rooms.start(t);
      const ana = await connected(t, io, `${rooms.url}/c/sala`, transport);
      const said = collect(ana, 'message');
      const typing = collect(ana, 'typing');
      const eva = await plain(t, rooms, 'sala');

      const [kept] = await ask(ana, 'message', 'hola');
      assert.equal(kept.offset, 1);
      eva.socket.send('buenas');
      eva.socket.send(Buffer.from([1, 2, 3]));
      await said.reach(3);
      assert.deepEqual(said.map(([value]) => (typeof value === 'string' ? value : [...bytes(value)])),
        ['hola', 'buenas', [1, 2, 3]]);
      assert.match(said[0][1], new RegExp(`^${kept.epoch}:1$`));

      await ask(ana, 'typing', true, { of: Buffer.from([4]) });
      await typing.reach(1);
      assert.deepEqual([typing[0][0], [...bytes(typing[0][1].of)]], [true, [4]]);
      await eva.reach(4);
      assert.deepEqual(eva.heard.slice(0, 2), ['hola', 'buenas']);
      assert.deepEqual(JSON.parse(eva.heard[3]),
        { event: 'typing', args: [true, { of: { base64: 'BA==' } }], binary: true });
    });

    test(`who comes back has missed nothing and keeps its name: ${name}`, async (t) => {
      const rooms = await Rooms.start(t);
      const line = await Line.to(rooms);
      t.after(() => line.end());
      const watcher = await connected(t, io, `${rooms.url}/c/sala`, { ...transport, auth: { presence: true } });
      const presence = collect(watcher, 'presence');
      const ana = await connected(t, io, `${line.url}/c/sala`, transport);
      await eventually('two to be told of', () => presence.flatMap(({ joined }) => joined).length >= 2);
      const said = collect(ana, 'message');
      // Without a single event: the session itself says where it began.
      line.cut();
      await next(ana, 'disconnect');
      await ask(watcher, 'message', 'one');
      await ask(watcher, 'message', 'two');
      line.mend();
      await next(ana, 'connect');
      await said.reach(2);
      assert.deepEqual(said.map(([value]) => value), ['one', 'two']);
      // The oldest client knows nothing of recovery, and is not told.
      if (io === CLIENTS.latest) assert.equal(ana.recovered, true);
      await ask(watcher, 'message', 'three');
      await said.reach(3);
      assert.equal(said.length, 3);
      // Longer than a change of who is there waits to be told.
      await sleep(600);
      assert.deepEqual([presence.flatMap(({ joined }) => joined).length, presence.flatMap(({ left }) => left).length],
        [2, 0], 'nobody else has come, and nobody gone');
    });
  }, { clients: ['latest'] });

  test('the oldest client talks in rooms too', async (t) => {
    const rooms = await Rooms.start(t);
    const ana = await connected(t, CLIENTS.oldest, `${rooms.url}/c/sala`, TRANSPORTS.upgrade);
    const said = collect(ana, 'message');
    const [{ offset }] = await ask(ana, 'message', { a: 1 });
    assert.equal(offset, 1);
    await said.reach(1);
    assert.deepEqual(said[0][0], { a: 1 });
  });

  test('a server that was killed has kept what it acknowledged, and clients go on', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'vaiven-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const rooms = await Rooms.start(t, '--data-dir', folder);
    const ana = await connected(t, CLIENTS.latest, `${rooms.url}/c/sala`, TRANSPORTS.websocket);
    const said = collect(ana, 'message');
    await ask(ana, 'message', 1);
    await said.reach(1);
    await rooms.kill();
    await rooms.run();
    await next(ana, 'connect', 10_000);
    assert.equal(ana.recovered, true);
    assert.equal((await ask(ana, 'message', 2))[0].offset, 2);
    await said.reach(2);
    assert.deepEqual(said.map(([value]) => value), [1, 2]);
  });

  test('who comes back to a history that forgot everything is told so', async (t) => {
    const rooms = await Rooms.start(t);
    const ana = await connected(t, CLIENTS.latest, `${rooms.url}/c/sala`, TRANSPORTS.websocket);
    await ask(ana, 'message', 1);
    // In memory it forgets everything.
    await rooms.kill();
    await rooms.run();
    await next(ana, 'connect', 10_000);
    assert.equal(ana.recovered, false);
  });

  test('who comes asks for what was said last', async (t) => {
    const rooms = await Rooms.start(t);
    const eva = await connected(t, CLIENTS.latest, `${rooms.url}/c/sala`);
    for (const value of [1, 2, 3]) await ask(eva, 'message', value);
    const ana = open(t, CLIENTS.latest, `${rooms.url}/c/sala`, { auth: { last: 2 } });
    const said = collect(ana, 'message');
    await said.reach(2);
    assert.deepEqual(said.map(([value]) => value), [2, 3]);
  });

  test('io() alone is in a room of its kind, and unknown namespaces are refused', async (t) => {
    const rooms = await Rooms.start(t);
    const [ana, eva] = [await connected(t, CLIENTS.latest, rooms.url), await connected(t, CLIENTS.oldest, rooms.url)];
    const heard = collect(eva, 'chat message');
    ana.emit('chat message', 'hola');
    await heard.reach(1);
    assert.equal(heard[0][0], 'hola');
    const lost = open(t, CLIENTS.latest, `${rooms.url}/nowhere`);
    const [error] = await next(lost, 'connect_error');
    assert.equal(error.message, 'Invalid namespace');
  });

  test('an event without an offset does not take the place of one', async (t) => {
    const rooms = await Rooms.start(t);
    const line = await Line.to(rooms);
    t.after(() => line.end());
    const ana = await connected(t, CLIENTS.latest, `${line.url}/c/sala`, TRANSPORTS.websocket);
    const [said, typing] = [collect(ana, 'message'), collect(ana, 'typing')];
    const eva = await connected(t, CLIENTS.latest, `${rooms.url}/c/sala`);
    const [{ epoch }] = await ask(eva, 'message', 1);
    const { WebSocket } = await import('ws');
    const v1 = new WebSocket(`ws://127.0.0.1:${rooms.port}/v1`, 'vaiven.v1.json');
    t.after(() => v1.terminate());
    await once(v1, 'open');
    const data = { event: 'typing', args: [`${epoch}:3`] };
    v1.send(JSON.stringify({ type: 'publish', channel: 'sala', ephemeral: true, data }));
    await typing.reach(1);
    line.cut();
    await next(ana, 'disconnect');
    for (const value of [2, 3]) await ask(eva, 'message', value);
    line.mend();
    await next(ana, 'connect');
    await said.reach(3);
    assert.deepEqual([ana.recovered, said.map(([value]) => value)], [true, [1, 2, 3]]);
  });

  test('who says more than it may is ended, however many namespaces it says it in', async (t) => {
    const rooms = await Rooms.start(t, '--message-rate', '1', '--message-burst', '10');
    const first = await connected(t, CLIENTS.latest, `${rooms.url}/c/one`, TRANSPORTS.websocket);
    const second = first.io.socket('/c/two');
    await next(second, 'connect');
    for (let count = 0; count < 6; count += 1) { first.emit('message', count); second.emit('message', count); }
    await next(first, 'disconnect');
    assert.equal(await rooms.metric('vaiven_rate_limited_total'), 1);
  });

  test('who is sent away by the operator leaves all of its rooms', async (t) => {
    const key = 'k'.repeat(32);
    const rooms = await Rooms.start(t, '--token-secret', SECRET, '--api-keys', key);
    const auth = { token: token({ sub: 'ana', exp: inSeconds(60) }) };
    const one = await connected(t, CLIENTS.latest, `${rooms.url}/c/one`, { auth });
    const two = one.io.socket('/c/two', { auth });
    await next(two, 'connect');
    const reasons = Promise.all([next(one, 'disconnect'), next(two, 'disconnect')]);
    const answer = await fetch(`${rooms.url}/api/v1/disconnect`, {
      method: 'POST',
      headers: { 'X-API-Key': key, 'Content-Type': 'application/json' },
      body: JSON.stringify({ user: 'ana' }),
    });
    assert.equal(answer.status, 200, await answer.text());
    assert.deepEqual((await reasons).map(([reason]) => reason), ['io server disconnect', 'io server disconnect']);
  });

  test('one address has so many sessions that poll, and the rest are told to wait', async (t) => {
    const rooms = await Rooms.start(t, '--max-connections-per-ip', '5');
    const open = () => fetch(`${rooms.url}/socket.io/?EIO=4&transport=polling`).then(async (answer) => {
      await answer.text();
      return answer.status;
    });
    const statuses = [];
    for (let count = 0; count < 7; count += 1) statuses.push(await open());
    assert.deepEqual(statuses, [200, 200, 200, 200, 200, 503, 503]);
  });

  test('only the server says who is there', async (t) => {
    const rooms = await Rooms.start(t);
    const ana = await connected(t, CLIENTS.latest, `${rooms.url}/c/sala`);
    const [refused] = await ask(ana, 'presence', { count: 99 });
    assert.equal(refused.error.code, 'bad_request');
  });

  test('tokens decide, and a client whose token ends comes back with a new one', async (t) => {
    const rooms = await Rooms.start(t, '--token-secret', SECRET);
    const nobody = open(t, CLIENTS.latest, `${rooms.url}/c/sala`);
    const [refusal] = await next(nobody, 'connect_error');
    assert.equal(refusal.data.code, 'unauthorized');
    let asked = 0;
    const auth = (give) => { asked += 1; give({ token: token({ sub: 'ana', exp: inSeconds(asked === 1 ? 2 : 60) }) }); };
    const ana = await connected(t, CLIENTS.latest, `${rooms.url}/c/sala`, { auth });
    await ask(ana, 'message', 1);
    await next(ana, 'disconnect', 40_000);
    await next(ana, 'connect');
    assert.deepEqual([ana.recovered, asked], [true, 2]);
    const mallory = open(t, CLIENTS.latest, `${rooms.url}/c/sala`, { auth: { token: 'a.b.c' } });
    assert.equal((await next(mallory, 'connect_error'))[0].data.code, 'unauthorized');
  });

  test('pages of other origins need to be named, for polls too', async (t) => {
    const rooms = await Rooms.start(t, '--origins', 'https://app.example');
    const poll = (origin) => fetch(`${rooms.url}/socket.io/?EIO=4&transport=polling`, { headers: { origin } });
    const foreign = await poll('https://evil.example');
    assert.equal(foreign.status, 403);
    assert.match(await foreign.text(), /https:\/\/evil\.example/);
    const known = await poll('https://app.example');
    assert.deepEqual([known.status, known.headers.get('access-control-allow-origin')], [200, 'https://app.example']);
  });

  test('a backend is told what is said in /, and says what comes of it', async (t) => {
    const told = [];
    const backend = createServer(async (request, answer) => {
      let body = '';
      for await (const chunk of request) body += chunk;
      told.push(JSON.parse(body));
      answer.end(told.length > 1 ? '' : JSON.stringify({
        ack: ['ok', 1],
        emit: [['cart', { items: 3 }]],
        publish: [{ channel: 'sala', data: 'sold' }, { channel: 'socketio', event: 'sold', args: ['abc'] }],
      }));
    });
    backend.listen(0, '127.0.0.1');
    t.after(() => backend.close());
    await once(backend, 'listening');
    const rooms = await Rooms.start(t, '--socketio-url', `http://127.0.0.1:${backend.address().port}/events`);
    const eva = await plain(t, rooms, 'sala');
    const ana = await connected(t, CLIENTS.latest, rooms.url);
    const [cart, sold] = [collect(ana, 'cart'), collect(ana, 'sold')];
    assert.deepEqual(await ask(ana, 'add', 'abc', Buffer.from([1])), ['ok', 1]);
    await Promise.all([cart.reach(1), sold.reach(1), eva.reach(1)]);
    assert.deepEqual([cart[0], sold[0][0], eva.heard], [{ items: 3 }, 'abc', ['sold']]);
    assert.deepEqual(await ask(ana, 'add', 'def'), []);
    assert.deepEqual([told[0].type, told[0].event, told[0].args, told[0].ack, typeof told[0].client],
      ['event', 'add', ['abc', { base64: 'AQ==' }], true, 'string']);
    backend.close();
    backend.closeAllConnections();
    const [failed] = await ask(ana, 'add', 'ghi');
    assert.equal(failed.error.code, 'unavailable');
  });

  test('a server that stops lets its clients come back, and nothing of those who left stays', async (t) => {
    const rooms = await Rooms.start(t);
    const some = await Promise.all(Array.from({ length: 20 }, () =>
      connected(t, CLIENTS.latest, `${rooms.url}/c/sala`, TRANSPORTS.websocket)));
    assert.equal(await rooms.metric('vaiven_connections_open{route="/socket.io"}'), 20);
    for (const socket of some) socket.disconnect();
    await eventually('all to have left', async () =>
      (await rooms.metric('vaiven_connections_open{route="/socket.io"}')) === 0
      && (await rooms.metric('vaiven_members')) === 0);
    const ana = await connected(t, CLIENTS.latest, `${rooms.url}/c/sala`);
    await rooms.kill('SIGTERM');
    assert.equal(rooms.child.exitCode, 0, rooms.log);
    await rooms.run();
    await eventually('the client to come back', () => ana.connected, 10_000);
  });
});
