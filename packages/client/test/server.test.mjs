// The package as applications use it, against the real server, over the WebSocket of `vaiven`, of `ws`, and the global
// one where there is one.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client, VaivenError } from 'vaiven-client';
import ws from 'ws';
import { eventually, Server, TcpProxy } from './servers.mjs';

const require = createRequire(import.meta.url);
const VAIVEN = new URL('../../node/dist/index.js', import.meta.url);
const CLASSES = [['ws', ws]];
if (existsSync(VAIVEN)) CLASSES.push(['vaiven', require(VAIVEN.pathname).WebSocket]);
if (globalThis.WebSocket) CLASSES.push(['global', globalThis.WebSocket]);

test('the class of packages/node is there where everything must be checked', {
  skip: !process.env.CI,
}, () => {
  assert.ok(existsSync(VAIVEN));
});

/** A client that does not outlive the test. */
function connect(t, url, options) {
  const client = new Client(url, options);
  t.after(() => client.close());
  return client;
}

/** What a channel tells, collected. */
function collect(channel) {
  const heard = { messages: [], subscribed: [], gaps: [], presence: [] };
  channel.on('message', (message) => heard.messages.push(message));
  channel.on('subscribed', (subscribed) => heard.subscribed.push(subscribed));
  channel.on('gap', (gap) => heard.gaps.push(gap));
  channel.on('presence', (change) => heard.presence.push(change));
  return heard;
}

const dataOf = ({ messages }) => messages.map(({ data }) => data);
const numbers = (count) => Array.from({ length: count }, (_, index) => index);

for (const [name, WebSocket] of CLASSES) {
  describe(`over the WebSocket of ${name}`, () => {
    let server;
    let cleanUp = [];
    before(async () => {
      server = await Server.start({ after: (call) => cleanUp.push(call) });
    });
    after(async () => {
      for (const call of cleanUp.reverse()) await call();
      cleanUp = [];
    });

    test('JSON, bytes and Blobs arrive as what they are and in their order', async (t) => {
      const [ana, luis] = [connect(t, server.url, { WebSocket }), connect(t, server.url, { WebSocket })];
      const heard = collect(luis.channel('kinds'));
      const { contract, recovered } = await luis.channel('kinds').subscribe();
      assert.deepEqual([contract, recovered], ['reliable', undefined]);
      const bytes = new Uint8Array([0, 10, 255]);
      const data = ['ñandú', { a: [1, null] }, bytes, bytes.buffer, new Blob([bytes, 'abc']), null, 0.5];
      const published = await Promise.all(data.map((item) => ana.channel('kinds').publish(item)));
      assert.deepEqual(
        published.map(({ position }) => position.offset),
        [1, 2, 3, 4, 5, 6, 7],
      );
      await eventually('all of them', () => heard.messages.length === data.length);
      const arrived = dataOf(heard).map((item) =>
        item instanceof ArrayBuffer ? [...new Uint8Array(item)] : item,
      );
      assert.deepEqual(arrived, [
        'ñandú',
        { a: [1, null] },
        [0, 10, 255],
        [0, 10, 255],
        [0, 10, 255, 97, 98, 99],
        null,
        0.5,
      ]);
      assert.ok(heard.messages.every(({ client }) => client === ana.id));
    });

    test('nothing is lost or doubled while the connections of both sides are cut', async (t) => {
      const proxy = await TcpProxy.start(t, server.port);
      const options = { WebSocket, maxDelay: 50, baseDelay: 10 };
      const [ana, luis] = [connect(t, proxy.url, options), connect(t, proxy.url, options)];
      const heard = collect(luis.channel(`cuts-${name}`));
      await luis.channel(`cuts-${name}`).subscribe();
      const published = [];
      for (const number of numbers(600)) {
        published.push(ana.channel(`cuts-${name}`).publish(number));
        if (number % 40 === 20) proxy.cut();
        await sleep(2);
      }
      const positions = await Promise.all(published);
      await eventually('all of them', () => heard.messages.length >= 600);
      await sleep(100);
      assert.deepEqual(dataOf(heard), numbers(600));
      assert.deepEqual(
        positions.map(({ position }) => position.offset),
        numbers(600).map((number) => number + 1),
      );
      assert.ok(
        heard.subscribed.filter(({ recovered }) => recovered).length >= 5,
        'it was cut, and recovered',
      );
      assert.deepEqual(heard.gaps, []);
    });

    test('nothing that was published is lost when the server is killed', async (t) => {
      const options = { WebSocket, maxDelay: 200 };
      const [ana, luis] = [connect(t, server.url, options), connect(t, server.url, options)];
      const channel = `kill-${name}`;
      const heard = collect(luis.channel(channel));
      await luis.channel(channel).subscribe();
      const published = numbers(100).map((number) => ana.channel(channel).publish(number));
      await Promise.race(published);
      await server.kill();
      published.push(...numbers(100).map((number) => ana.channel(channel).publish(100 + number)));
      await server.start();
      await Promise.all(published);
      await eventually('all of them', () => heard.messages.length >= 200);
      await sleep(100);
      assert.deepEqual(dataOf(heard), numbers(200));
      assert.deepEqual(heard.gaps, []);
    });

    test('a silent connection is found when there is reason to look', async (t) => {
      const proxy = await TcpProxy.start(t, server.port);
      const client = connect(t, proxy.url, { WebSocket });
      await client.channel('silent').publish(1);
      // What a browser fires when its network comes back; in Node there is nobody who does.
      const states = [];
      client.on('state', (change) => states.push(change));
      proxy.silence();
      const published = client.channel('silent').publish(2);
      proxy.cut();
      assert.equal((await published).position.offset, 2);
      assert.deepEqual(
        states.map(({ state }) => state),
        ['reconnecting', 'connected'],
      );
      assert.equal(states[0].code, 1006);
    });

    test('presence and history are answered', async (t) => {
      const [ana, luis] = [connect(t, server.url, { WebSocket }), connect(t, server.url, { WebSocket })];
      const channel = luis.channel(`people-${name}`, { presence: true });
      const heard = collect(channel);
      await channel.subscribe();
      await ana.channel(`people-${name}`).subscribe();
      await eventually('ana', () =>
        heard.presence.some(({ joined }) => joined.some(({ client }) => client === ana.id)),
      );
      const { count, clients } = await channel.presence();
      assert.deepEqual([count, clients.map(({ client }) => client).sort()], [2, [ana.id, luis.id].sort()]);
      for (const item of [1, new Uint8Array([2]), 3]) await channel.publish(item);
      const { publications, position, more } = await channel.history({ limit: 2, reverse: true });
      assert.deepEqual([publications[0].data, position.offset, more], [3, 3, true]);
      assert.deepEqual(new Uint8Array(publications[1].data), new Uint8Array([2]));
    });

    test('a loop over a channel has its messages and ends with the subscription', async (t) => {
      const client = connect(t, server.url, { WebSocket });
      const channel = client.channel(`loop-${name}`);
      for (const number of numbers(3)) await channel.publish(number);
      const looping = client.channel(`loop-${name}`, {});
      const seen = [];
      let published;
      looping.once('subscribed', () => {
        published = looping.publish('end');
      });
      for await (const { data } of looping) {
        seen.push(data);
        if (data === 'end') looping.unsubscribe();
      }
      assert.deepEqual(seen, ['end']);
      assert.equal((await published).position.offset, 4);
    });

    test('what the server refuses has its code', async (t) => {
      const client = connect(t, server.url, { WebSocket });
      for (const [channel, code] of [
        ['no space', 'channel_name'],
        ['nowhere:x', 'unknown_namespace'],
      ]) {
        for (const call of ['subscribe', 'publish', 'presence', 'history']) {
          await assert.rejects(client.channel(channel)[call](call === 'publish' ? 1 : undefined), (error) => {
            return error instanceof VaivenError && error.code === code;
          });
        }
      }
      await assert.rejects(client.channel('a').publish(undefined), { code: 'bad_data' });
      await assert.rejects(client.channel('a').publish(1n), { code: 'bad_data' });
      await assert.rejects(client.channel('a').publish('x'.repeat(70_000)), { code: 'too_large' });
      const nest = (depth) => JSON.parse('['.repeat(depth) + ']'.repeat(depth));
      await client.channel('a').publish(nest(63));
      await assert.rejects(client.channel('a').publish(nest(64)), { code: 'bad_data' });
      assert.equal(client.state, 'connected');
    });
  });
}

test('what a server forgot is told: as an event, or by a loop that throws', async (t) => {
  const server = await Server.start(t, ['--history', 'memory']);
  const [ana, luis] = [connect(t, server.url, { WebSocket: ws }), connect(t, server.url, { WebSocket: ws })];
  const heard = collect(ana.channel('sala'));
  const { position: since } = await ana.channel('sala').subscribe();
  const looping = (async () => {
    for await (const { data } of luis.channel('sala')) if (data === 2) return 'not told';
    return 'ended';
  })();
  const isThere = () => luis.channel('sala').position?.epoch === since.epoch;
  await eventually('the loop to listen', isThere);
  await server.kill();
  await server.start();
  await assert.rejects(looping, { name: 'VaivenError', code: 'gap' });
  await eventually('the gap', () => heard.gaps.length === 1);
  assert.deepEqual(heard.gaps[0].since, since);
  assert.notEqual(heard.gaps[0].position.epoch, since.epoch);
  await ana.channel('sala').publish(2);
  await eventually('the message', () => heard.messages.length === 1);
});

test('a full queue keeps to the limits that the server has by default', async (t) => {
  const server = await Server.start(t, []);
  const client = connect(t, server.url, { WebSocket: ws });
  const states = [];
  client.on('state', ({ state, code }) => states.push(code ?? state));
  const published = await Promise.all(numbers(400).map((number) => client.channel('sala').publish(number)));
  assert.equal(published.at(-1).position.offset, 400);
  assert.deepEqual(states, ['connecting', 'connected'], 'it was not closed with 1008');
});

describe('a server that demands tokens', () => {
  const SECRET = 'a secret of thirty-two bytes, at least';

  /** A token (JWT) that ends in so many seconds. */
  function token(seconds, secret = SECRET) {
    const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const exp = Math.floor(Date.now() / 1000) + seconds;
    const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ sub: 'ana', exp })}`;
    return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
  }

  test('gets a new one before the old one ends, on the same connection', async (t) => {
    const server = await Server.start(t, ['--token-secret', SECRET]);
    const lives = [22, 3600];
    let calls = 0;
    const states = [];
    const client = connect(t, server.url, { WebSocket: ws, token: async () => token(lives[calls++]) });
    client.on('state', ({ state }) => states.push(state));
    const channel = client.channel('sala');
    channel.on('message', ({ user }) => states.push(user));
    await channel.subscribe();
    await eventually('a second token', () => calls === 2);
    await channel.publish(1);
    await eventually('the message', () => states.length === 3);
    assert.deepEqual(states, ['connecting', 'connected', 'ana']);
  });

  for (const transports of [['websocket'], ['sse']]) {
    test(`does not see a bad one twice, over ${transports}`, async (t) => {
      const server = await Server.start(t, ['--token-secret', SECRET]);
      const bad = token(3600, `${SECRET}, but another`);
      const client = connect(t, server.url, { WebSocket: ws, transports, token: () => bad });
      await assert.rejects(client.channel('sala').subscribe(), { code: 'closed' });
      assert.equal(client.state, 'closed');
    });
  }
});

test('a program ends when its client is closed, and a listener that throws does no harm but to itself', async (t) => {
  const server = await Server.start(t);
  const program = `
    import { Client } from 'vaiven-client';
    import WebSocket from 'ws';
    const errors = [];
    process.on('uncaughtException', (error) => errors.push(error.message));
    const client = new Client('${server.url}', { WebSocket });
    const channel = client.channel('sala');
    channel.on('message', () => { throw new Error('mine'); });
    channel.on('message', ({ data }) => console.log(data, errors.length));
    await channel.subscribe();
    await channel.publish('one');
    await channel.publish('two');
    await new Promise((resolve) => setTimeout(resolve, 100));
    console.log(errors.join(), client.state);
    client.close();
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    console.log(client.state, process.getActiveResourcesInfo().includes('Timeout'));`;
  const options = { cwd: new URL('..', import.meta.url), timeout: 20_000 };
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', program],
    options,
  );
  assert.match(stdout, /^one 0\ntwo \d\nmine,mine connected\nclosed false\n$/);
});
