// The state machine on virtual time, one behaviour at a time; the simulation mixes them.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Subscription } from '../dist/subscription.js';
import { ModelClient } from './model-client.mjs';
import { ModelServer } from './model-server.mjs';
import { World } from './virtual-time.mjs';

/** A world without chance in its links, with one client that is connected unless told otherwise. */
function meet({ server: serverOptions, faults = {}, ...options } = {}) {
  const world = new World(1);
  const server = new ModelServer(world, serverOptions);
  Object.assign(server.faults, faults);
  const client = new ModelClient(world, server, { latency: () => 10, ...options });
  client.run((session, now) => session.connect(now));
  world.runUntil(1_000);
  return { world, server, client };
}

const connectionOf = (server) => [...server.connections][0];
const statesOf = (client) => client.states.map(({ state }) => state);
const pass = (world, time) => world.runUntil(world.now + time);

describe('a publication', () => {
  test('resolves with the position at which it was kept', () => {
    const { world, server, client } = meet();
    const outcome = client.publish('sala', 'hola');
    pass(world, 200);
    assert.deepEqual(outcome.value, { position: { epoch: server.head('sala').epoch, offset: 1 } });
  });

  test('waits for the connection, and is sent once though its acknowledgement was lost', () => {
    const { world, server, client } = meet();
    const outcome = client.publish('sala', 1);
    pass(world, 10);
    assert.equal(server.head('sala').offset, 1, 'the server has it');
    client.hurt('cut');
    const second = client.publish('sala', 2);
    pass(world, 5_000);
    assert.deepEqual([outcome.value.position.offset, second.value.position.offset], [1, 2]);
    assert.equal(server.head('sala').offset, 2);
  });

  test('is uncertain as soon as the server may have forgotten it, also without a connection', () => {
    const { world, server, client } = meet({ server: { window: 100_000, ping: 25_000 } });
    const outcome = client.publish('sala', 1);
    pass(world, 10);
    const sentAt = world.now - 10;
    server.restart(false);
    server.isUp = false;
    pass(world, 50);
    const later = client.publish('sala', 2);
    // What would be sent now could arrive until the connection is taken for dead: 25 s and 10 s later.
    world.runUntil(sentAt + 64_999);
    assert.equal(outcome.error, undefined);
    world.runUntil(sentAt + 65_000);
    assert.equal(outcome.error.code, 'uncertain');
    server.isUp = true;
    pass(world, 30_000);
    assert.equal(later.value.position.offset, 2, 'what was never sent is not uncertain');
    assert.equal(server.head('sala').offset, 2);
  });

  test('is uncertain when its repetition is refused for a reason that passes', () => {
    const { world, server, client } = meet();
    const outcome = client.publish('sala', 1);
    client.hurt('cut');
    server.faults.unavailable = 1;
    pass(world, 5_000);
    assert.equal(outcome.error.code, 'uncertain');
    assert.equal(outcome.error.cause.code, 'unavailable');
  });

  test('is rejected with what the server says, and when to try again', () => {
    const { world, client } = meet({ faults: { unavailable: 1 } });
    const outcome = client.publish('sala', 1);
    pass(world, 200);
    assert.deepEqual([outcome.error.code, outcome.error.retry], ['unavailable', 100]);
  });

  for (const [what, queue, size] of [
    ['count', { count: 3, bytes: 1_000 }, 1],
    ['bytes', { count: 1_000, bytes: 30 }, 10],
  ]) {
    test(`is rejected at once when the queue is full by its ${what}`, () => {
      const { server, client, world } = meet({ queue });
      server.isUp = false;
      server.restart(false);
      pass(world, 50);
      const publish = () => client.publish('sala', 'x'.repeat(Math.max(0, size - 2)));
      const outcomes = [publish(), publish(), publish(), publish()];
      assert.deepEqual(
        outcomes.map(({ error }) => error?.code),
        [undefined, undefined, undefined, 'queue_full'],
      );
      server.isUp = true;
      pass(world, 30_000);
      assert.equal(publish().error, undefined, 'there is room again');
    });
  }

  test('that is longer than the server takes is rejected and never sent', () => {
    const { world, client } = meet();
    const outcomes = [65_400, 65_500].map((length) => client.publish('sala', new Uint8Array(length)));
    pass(world, 200);
    assert.equal(outcomes[0].error, undefined);
    assert.equal(outcomes[1].error.code, 'too_large');
    const text = client.publish('sala', 'ñ'.repeat(32_760));
    pass(world, 200);
    assert.equal(text.error.code, 'too_large', 'bytes are counted, and not characters');
  });

  test('behind a Blob waits for it, and goes on if it cannot be read', () => {
    const { world, server, client } = meet();
    const blob = client.ask((session, now, ticket) => session.publish(now, ticket, 'sala', {}, undefined));
    const broken = client.ask((session, now, ticket) => session.publish(now, ticket, 'sala', {}, undefined));
    const behind = client.publish('sala', 'behind');
    pass(world, 1_000);
    assert.equal(server.head('sala').offset, 0);
    client.run((session, now) => session.provide(now, blob.ticket, new Uint8Array([7])));
    client.run((session, now) => session.withdraw(now, broken.ticket, new Error('gone')));
    pass(world, 1_000);
    assert.deepEqual([blob.value.position.offset, behind.value.position.offset], [1, 2]);
    assert.equal(broken.error.message, 'gone');
  });

  test('that is ephemeral does not wait, and is not sent again', () => {
    const { world, server, client } = meet();
    const sent = client.publish('sala', 'writing', { ephemeral: true });
    client.hurt('cut');
    pass(world, 200);
    assert.equal(sent.error.code, 'uncertain');
    server.isUp = false;
    server.restart(false);
    pass(world, 10);
    assert.equal(client.publish('sala', 'writing', { ephemeral: true }).error.code, 'disconnected');
  });

  test('that is ephemeral and waits its turn is not kept for another connection', () => {
    const { world, server, client } = meet({ server: { publishing: 1 } });
    const outcomes = [{}, { ephemeral: true }, {}].map((options) => client.publish('sala', 1, options));
    client.hurt('cut');
    pass(world, 5_000);
    assert.equal(outcomes[1].error.code, 'disconnected');
    assert.deepEqual([outcomes[0].value.position.offset, outcomes[2].value.position.offset], [1, 2]);
    assert.equal(server.head('sala').offset, 2);
  });

  test('to a volatile channel is not sent again', () => {
    const { world, client } = meet();
    client.subscribe('live:dots');
    pass(world, 200);
    const outcome = client.publish('live:dots', 1);
    client.hurt('cut');
    pass(world, 5_000);
    assert.equal(outcome.error.code, 'uncertain');
  });
});

describe('messages', () => {
  test('leave no faster than half of the burst, and then nine tenths of the rate', () => {
    const { world, server, client } = meet({ server: { rate: 100, burst: 200, publishing: 1_000 } });
    const before = world.now;
    const outcomes = Array.from({ length: 290 }, (_, index) => client.publish('sala', index));
    world.runUntil(before + 10);
    assert.equal(server.head('sala').offset, 100);
    world.runUntil(before + 1_010);
    // A tenth of a message is a whole number of milliseconds only now and then.
    assert.ok([189, 190].includes(server.head('sala').offset));
    world.runUntil(before + 3_000);
    assert.ok(outcomes.every(({ value }) => value !== undefined));
  });

  test('that are none of the protocol end the connection, and it comes back', () => {
    const { world, client } = meet();
    client.run((session, now) => session.received(now, 1, 'no JSON'));
    assert.equal(statesOf(client).at(-1), 'reconnecting');
    pass(world, 5_000);
    assert.equal(statesOf(client).at(-1), 'connected');
  });

  test('of an earlier connection are not heard', () => {
    const { world, client } = meet();
    client.subscribe('sala');
    client.hurt('cut');
    pass(world, 5_000);
    const late = '{"type":"message","channel":"sala","data":1,"offset":1,"time":1}';
    client.run((session, now) => session.received(now, 1, late));
    assert.deepEqual(client.messages('sala'), []);
    client.run((session, now) => session.received(now, 2, late));
    assert.equal(client.messages('sala').length, 1);
  });
});

describe('a subscription', () => {
  test('goes on where it stopped, with what was missed', () => {
    const { world, server, client } = meet();
    const subscribed = client.subscribe('sala');
    pass(world, 100);
    assert.equal(subscribed.value.recovered, undefined);
    const other = new ModelClient(world, server, { name: 'other' });
    client.hurt('cut');
    other.publish('sala', 1);
    other.publish('sala', 2);
    pass(world, 5_000);
    assert.deepEqual(
      client.messages('sala').map(({ data }) => data),
      [1, 2],
    );
    const again = client.news.filter(({ event }) => event === 'subscribed').at(-1).detail;
    assert.equal(again.recovered, true);
  });

  test('tells what it cannot have any more', () => {
    const { world, server, client } = meet();
    client.subscribe('sala', { last: 1 });
    pass(world, 100);
    server.loseStore();
    pass(world, 5_000);
    const { detail } = client.news.find(({ event }) => event === 'gap');
    assert.deepEqual([detail.since.epoch, detail.position.epoch], ['e1', 'e2']);
  });

  test('that is recovered from elsewhere loses and doubles nothing', () => {
    for (const [offset, next] of [
      [1, 4],
      [9, 10],
    ]) {
      const said = [];
      const subscription = new Subscription(
        'sala',
        { base: 1, max: 1 },
        () => 0,
        (event, detail) => {
          if (event === 'message') said.push(detail.offset);
        },
      );
      subscription.want({ since: { epoch: 'e', offset: 3 } });
      subscription.command();
      const answer = { type: 'subscribed', contract: 'reliable', epoch: 'e', recovered: true };
      subscription.subscribed({ ...answer, offset });
      for (const message of [2, 3, next]) {
        subscription.received(0, { type: 'message', channel: 'sala', offset: message, data: 0, time: 0 });
      }
      assert.deepEqual(said, next === 4 ? [4] : []);
      assert.equal(subscription.commandAt, next === 4 ? Number.POSITIVE_INFINITY : 0, 'a gap begins it anew');
    }
  });

  test('begins anew at a gap, and gives out nothing before the gap is closed', () => {
    const { world, server, client } = meet();
    client.subscribe('sala');
    pass(world, 100);
    server.faults.skip = 1;
    client.publish('sala', 1);
    pass(world, 100);
    server.faults.skip = 0;
    client.publish('sala', 2);
    pass(world, 1_000);
    assert.deepEqual(
      client.messages('sala').map(({ offset }) => offset),
      [1, 2],
    );
    assert.equal(client.news.filter(({ event }) => event === 'gap').length, 0, 'nothing is lost');
  });

  test('ends at once for the application, and begins anew with its options', () => {
    const { world, server, client } = meet();
    client.subscribe('sala');
    pass(world, 100);
    client.publish('sala', 1);
    client.run((session, now) => session.unsubscribe(now, 'sala'));
    const again = client.subscribe('sala', { last: 5 });
    pass(world, 1_000);
    assert.equal(again.value.recovered, undefined, 'it does not go on where the old one stopped');
    assert.deepEqual(
      client.messages('sala').map(({ data }) => data),
      [1],
    );
    client.run((session, now) => session.unsubscribe(now, 'sala'));
    client.publish('sala', 2);
    pass(world, 1_000);
    assert.equal(client.messages('sala').length, 1);
    assert.equal(server.head('sala').offset, 2);
    assert.deepEqual(
      client.news.filter(({ event }) => event === 'unsubscribed').map(({ detail }) => detail.code),
      ['unsubscribed', 'unsubscribed'],
    );
  });

  test('ends for the application though the server cannot be told yet, and begins anew', () => {
    const { world, server, client } = meet({ server: { rate: 1, burst: 10 } });
    client.subscribe('sala');
    for (let count = 1; count <= 4; count += 1) client.publish('sala', count);
    pass(world, 200);
    assert.equal(client.messages('sala').length, 4, 'now the client may say nothing for a second');
    client.run((session, now) => session.unsubscribe(now, 'sala'));
    new ModelClient(world, server, { name: 'other', latency: () => 10 }).publish('sala', 5);
    pass(world, 200);
    assert.equal(client.messages('sala').length, 4);
    const again = client.subscribe('sala', { last: 2 });
    assert.equal(again.value, undefined, 'the old subscription is not taken for the new one');
    pass(world, 10_000);
    assert.equal(again.value.position.offset, 3);
    assert.deepEqual(
      client.messages('sala').map(({ data }) => data),
      [1, 2, 3, 4, 4, 5],
    );
  });

  test('changed while its answer is under way holds as it was wanted last', () => {
    const { world, client } = meet();
    for (let count = 0; count < 3; count += 1) client.publish('sala', count);
    pass(world, 200);
    client.subscribe('sala', { last: 3 });
    client.run((session, now) => session.unsubscribe(now, 'sala'));
    const last = client.subscribe('sala', { last: 1 });
    pass(world, 1_000);
    assert.equal(last.value.position.offset, 2);
    assert.deepEqual(
      client.messages('sala').map(({ data }) => data),
      [2],
    );
  });

  test('that the server ends for good is not asked for again', () => {
    const { world, server, client } = meet();
    const waiting = client.subscribe('sala');
    pass(world, 100);
    connectionOf(server).evict('sala', 'forbidden');
    pass(world, 30_000);
    assert.equal(client.news.at(-1).detail.code, 'forbidden');
    assert.equal(waiting.value.contract, 'reliable');
    client.publish('sala', 1);
    pass(world, 100);
    assert.deepEqual(client.messages('sala'), []);
  });

  test('is asked for again after a fault of the server that passes', () => {
    const { world, server, client } = meet({ faults: { unavailable: 1 } });
    const outcome = client.subscribe('sala');
    pass(world, 10_000);
    assert.equal(outcome.value, undefined);
    server.faults.unavailable = 0;
    pass(world, 30_000);
    assert.equal(outcome.value.contract, 'reliable');
  });

  test('goes on from a position that an earlier client left', () => {
    const { world, client, server } = meet();
    for (let count = 1; count <= 3; count += 1) client.publish('sala', count);
    pass(world, 200);
    client.subscribe('sala', { since: { epoch: server.head('sala').epoch, offset: 1 } });
    pass(world, 200);
    assert.deepEqual(
      client.messages('sala').map(({ data }) => data),
      [2, 3],
    );
  });
});

test('a question is asked again after a lost connection', () => {
  const { world, client } = meet();
  client.publish('sala', new Uint8Array([1, 2]));
  pass(world, 200);
  const question = { type: 'history', channel: 'sala' };
  const outcome = client.ask((session, now, ticket) => session.request(now, ticket, question));
  client.hurt('cut');
  pass(world, 5_000);
  assert.deepEqual(new Uint8Array(outcome.value.publications[0].data), new Uint8Array([1, 2]));
});
