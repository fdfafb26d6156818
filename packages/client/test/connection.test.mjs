// How connections of a session come about and end, on virtual time: backoff, tokens, close codes, silence, transports.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Liveness } from '../dist/liveness.js';
import { Reconnection } from '../dist/reconnection.js';
import { ModelClient } from './model-client.mjs';
import { ModelServer } from './model-server.mjs';
import { World } from './virtual-time.mjs';

function meet({ server: serverOptions, isUp = true, ...options } = {}) {
  const world = new World(1);
  const server = new ModelServer(world, serverOptions);
  server.isUp = isUp;
  const client = new ModelClient(world, server, { latency: () => 10, ...options });
  client.run((session, now) => session.connect(now));
  world.runUntil(1_000);
  return { world, server, client };
}

const connectionOf = (server) => [...server.connections][0];
const statesOf = (client) => client.states.map(({ state }) => state);
const pass = (world, time) => world.runUntil(world.now + time);

describe('the next try', () => {
  test('comes within a limit that doubles until twenty seconds', () => {
    const limits = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 20_000, 20_000];
    for (const random of [0, 0.5, 1]) {
      const reconnection = new Reconnection({ base: 250, max: 20_000, healthyAfter: 10_000 }, () => random);
      for (const limit of limits) {
        reconnection.ended(0, { code: 1006, reason: '' });
        assert.equal(reconnection.retryAt, limit * random);
      }
    }
  });

  test('counts as the first after a connection that lasted', () => {
    const reconnection = new Reconnection({ base: 250, max: 20_000, healthyAfter: 10_000 }, () => 1);
    for (const [lasted, attempt] of [
      [9_999, 1],
      [9_999, 2],
      [10_000, 1],
    ]) {
      reconnection.began();
      reconnection.welcomed(0);
      reconnection.ended(lasted, { code: 1006, reason: '' });
      assert.equal(reconnection.attempt, attempt);
    }
  });

  for (const [code, retry, expected] of [
    [1012, 3_000, 3_000],
    [1012, 0, 500],
    [1008, undefined, 5_500],
    [1008, 1_000, 5_000],
    [1013, 3_600_000, 600_000],
  ]) {
    test(`after ${code} with retry ${retry} comes after ${expected} ms at the latest draw`, () => {
      const reconnection = new Reconnection({ base: 250, max: 20_000, healthyAfter: 10_000 }, () => 1);
      reconnection.ended(0, { code, reason: '', retry });
      assert.equal(reconnection.retryAt, expected);
    });
  }

  test('is made at once when the network is back, but not before the server allows', () => {
    const { world, server, client } = meet({ isUp: false });
    pass(world, 60_000);
    server.isUp = true;
    client.run((session, now) => session.wake(now));
    pass(world, 100);
    assert.equal(statesOf(client).at(-1), 'connected');
    connectionOf(server).disconnect(1013, 'no room', 8_000);
    pass(world, 50);
    client.run((session, now) => session.wake(now));
    pass(world, 7_900);
    assert.equal(statesOf(client).at(-1), 'reconnecting');
    pass(world, 200);
    assert.equal(statesOf(client).at(-1), 'connected');
  });
});

describe('the close code', () => {
  for (const code of [1000, 1001, 1003, 1007, 1009, 3003]) {
    test(`${code} ends the client`, () => {
      const { world, server, client } = meet();
      const subscribed = client.subscribe('sala');
      const question = client.ask((session, now, ticket) => {
        session.request(now, ticket, { type: 'presence', channel: 'sala' });
      });
      connectionOf(server).disconnect(code, 'enough');
      const sent = client.publish('sala', 1);
      pass(world, 60_000);
      assert.equal(client.states.at(-1).state, 'closed');
      assert.equal(client.states.at(-1).code, code);
      assert.equal(client.opens.length, 1);
      assert.deepEqual(
        [subscribed, question].map(({ error }) => error.code),
        ['closed', 'closed'],
      );
      assert.equal(sent.error.code, 'uncertain');
      assert.equal(client.publish('sala', 2).error.code, 'closed');
    });
  }

  for (const code of [1006, 1008, 1011, 1012, 1013, 3008, 4321]) {
    test(`${code} does not`, () => {
      const { world, server, client } = meet();
      connectionOf(server).disconnect(code, 'come back');
      pass(world, 10_000);
      assert.deepEqual(statesOf(client), ['connecting', 'connected', 'reconnecting', 'connected']);
    });
  }
});

describe('a token', () => {
  const demandsToken = (token) => token === 'good';

  test('is asked for before each try', () => {
    const { world, client } = meet({ hasToken: true, token: (count) => `token ${count}` });
    client.hurt('cut');
    pass(world, 5_000);
    assert.deepEqual(
      client.opens.map(({ token }) => token),
      ['token 1', 'token 2'],
    );
  });

  test('that is refused is replaced', () => {
    const token = (count) => (count === 1 ? 'bad' : 'good');
    const { world, client } = meet({ server: { demandsToken }, hasToken: true, token });
    pass(world, 5_000);
    assert.deepEqual(statesOf(client), ['connecting', 'reconnecting', 'connected']);
  });

  test('that is refused and given again ends the client', () => {
    const { world, client } = meet({ server: { demandsToken }, hasToken: true, token: () => 'bad' });
    pass(world, 60_000);
    assert.equal(client.opens.length, 1);
    assert.deepEqual([client.states.at(-1).state, client.states.at(-1).code], ['closed', 3000]);
  });

  test('that nobody has ends the client', () => {
    const { world, client } = meet({ server: { demandsToken } });
    pass(world, 60_000);
    assert.deepEqual([client.opens.length, client.states.at(-1).code], [1, 3000]);
  });

  test('that cannot be had is asked for again later', () => {
    const failure = new Error('no network');
    const { world, client } = meet({ hasToken: true, token: (count) => (count === 1 ? failure : 'good') });
    assert.equal(client.states[1].error, failure);
    pass(world, 5_000);
    assert.equal(statesOf(client).at(-1), 'connected');
  });

  test('that has not changed is not sent again', () => {
    const refreshed = [];
    const demands = (token) => refreshed.push(token) > 0;
    const { world, server } = meet({
      server: { demandsToken: demands },
      hasToken: true,
      token: 'the only one',
    });
    connectionOf(server).askForToken();
    pass(world, 1_000);
    assert.deepEqual(refreshed, ['the only one']);
  });

  test('is replaced on the live connection when the server asks', () => {
    const refreshed = [];
    const demands = (token) => refreshed.push(token) > 0;
    const { world, server, client } = meet({
      server: { demandsToken: demands },
      hasToken: true,
      token: (count) => (count === 2 ? new Error('not now') : `token ${count}`),
    });
    connectionOf(server).askForToken();
    pass(world, 1_000);
    assert.deepEqual(refreshed, ['token 1']);
    pass(world, 2_000);
    assert.deepEqual(refreshed, ['token 1', 'token 3'], 'after a failure it is asked for again');
    assert.deepEqual(statesOf(client), ['connecting', 'connected']);
  });
});

describe('silence', () => {
  test('ends the connection ten seconds after the server should have spoken', () => {
    const { world, client } = meet({ server: { ping: 25_000 } });
    client.hurt('silence');
    world.runUntil(35_000);
    assert.equal(statesOf(client).at(-1), 'connected');
    world.runUntil(35_100);
    assert.match(client.states[2].reason, /silent/);
  });

  test('is no silence while the server pings', () => {
    const { world, client } = meet();
    pass(world, 600_000);
    assert.deepEqual(statesOf(client), ['connecting', 'connected']);
  });

  test('is found in five seconds when there is reason to look', () => {
    const { world, client } = meet();
    client.hurt('silence');
    client.run((session, now) => session.wake(now));
    pass(world, 4_999);
    assert.equal(statesOf(client).at(-1), 'connected');
    pass(world, 1);
    assert.equal(statesOf(client).at(-1), 'reconnecting');
  });

  test('proves nothing when the timer itself was late, but not for ever', () => {
    const liveness = new Liveness();
    liveness.reset(0, 25_000);
    assert.equal(liveness.check(34_999), 'alive');
    assert.equal(liveness.check(60_000), 'ask');
    liveness.heard(60_010);
    assert.equal(liveness.check(120_000), 'ask');
    assert.equal(liveness.check(180_000), 'ask');
    assert.equal(liveness.check(240_000), 'dead');
  });

  test('before the welcome ends the try', () => {
    const world = new World(1);
    const client = new ModelClient(world, new ModelServer(world), { latency: () => 10 });
    client.run((session, now) => session.connect(now));
    world.runUntil(25);
    client.hurt('silence');
    world.runUntil(20 + 9_999);
    assert.deepEqual(statesOf(client), ['connecting']);
    world.runUntil(20 + 10_000);
    assert.match(client.states.at(-1).reason, /too long/);
    pass(world, 1_000);
    assert.equal(statesOf(client).at(-1), 'connected');
  });
});

test('what waits is rejected when the client is closed, and it can connect again', () => {
  const { world, server, client } = meet();
  server.isUp = false;
  server.restart(false);
  pass(world, 50);
  const outcome = client.publish('sala', 1);
  client.run((session) => session.close());
  assert.equal(outcome.error.code, 'closed');
  server.isUp = true;
  client.run((session, now) => session.connect(now));
  pass(world, 100);
  assert.equal(client.states.at(-1).state, 'connected');
});

describe('Server-Sent Events', () => {
  const welcome = '{"type":"welcome","client":"c","session":"s","ping":25000,"window":60000,"limits":{}}';

  /** A session whose connections are this test's own. */
  function start(transports) {
    const world = new World(1);
    const client = new ModelClient(world, { isUp: false }, { transports, latency: () => 1e9 });
    client.run((session, now) => session.connect(now));
    return { world, client };
  }

  const last = (client) => client.opens.length;
  const fail = (client) =>
    client.run((session, now) => session.ended(now, last(client), { code: 1006, reason: '' }));
  const succeed = (client, connection = last(client)) => {
    client.run((session, now) => session.opened(now, connection));
    client.run((session, now) => session.received(now, connection, welcome));
  };
  /** Lets time pass until there is another try. */
  const wait = (world, client) => {
    for (const count = last(client); last(client) === count; ) pass(world, 1);
  };
  const tried = (client) => client.opens.map(({ transport }) => transport);

  test('are tried at once when a WebSocket does not open, and in turns after that', () => {
    const { world, client } = start(['websocket', 'sse']);
    fail(client);
    pass(world, 0);
    assert.deepEqual(tried(client), ['websocket', 'sse']);
    fail(client);
    pass(world, 0);
    assert.equal(last(client), 2, 'not at once');
    wait(world, client);
    fail(client);
    pass(world, 0);
    assert.deepEqual(tried(client), ['websocket', 'sse', 'websocket', 'sse']);
  });

  test('stay what is tried first when they worked', () => {
    const { world, client } = start(['websocket', 'sse']);
    fail(client);
    pass(world, 0);
    succeed(client);
    assert.equal(client.states.at(-1).transport, 'sse');
    pass(world, 20_000);
    fail(client);
    wait(world, client);
    assert.deepEqual(tried(client), ['websocket', 'sse', 'sse']);
  });

  test('give way to a WebSocket that opens beside them after a minute', () => {
    const { world, client } = start(['websocket', 'sse']);
    fail(client);
    pass(world, 0);
    succeed(client);
    for (let count = 0; count < 3; count += 1) {
      pass(world, 20_000);
      client.run((session, now) => session.received(now, 2, '{"type":"ping"}'));
    }
    assert.deepEqual(tried(client), ['websocket', 'sse', 'websocket']);
    assert.equal(client.states.at(-1).state, 'connected');
    client.run((session, now) => session.opened(now, 3));
    client.run((session, now) => session.received(now, 3, welcome.replace('{', '{"id":1,')));
    assert.equal(client.states.at(-1).transport, 'websocket');
  });

  test('are not tried where a WebSocket worked, unless it fails three times', () => {
    const { world, client } = start(['websocket', 'sse']);
    client.run((session, now) => session.opened(now, 1));
    client.run((session, now) => session.received(now, 1, welcome.replace('{', '{"id":1,')));
    fail(client);
    for (let count = 0; count < 3; count += 1) {
      wait(world, client);
      fail(client);
    }
    pass(world, 0);
    assert.deepEqual(tried(client), ['websocket', 'websocket', 'websocket', 'websocket', 'sse']);
  });

  test('are not tried where only WebSocket is wanted', () => {
    const { world, client } = start(['websocket']);
    for (let count = 0; count < 5; count += 1) {
      fail(client);
      wait(world, client);
    }
    assert.ok(tried(client).every((transport) => transport === 'websocket'));
  });
});
