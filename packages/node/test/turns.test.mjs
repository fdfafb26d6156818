// RFC 6455 section 4.1: one connection attempt at a time to one host.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import vaiven, { WebSocket } from 'vaiven';
import { acceptance, next, recordEvents, startRaw } from './peers.mjs';

/** A server that answers each attempt after a while, and counts how many wait at once. */
async function startSlow(t) {
  const counts = { now: 0, most: 0, all: 0 };
  const { url } = await startRaw(t, async (peer, head) => {
    counts.now += 1;
    counts.all += 1;
    counts.most = Math.max(counts.most, counts.now);
    await delay(20);
    counts.now -= 1;
    peer.write(/refuse/.test(head) ? 'HTTP/1.1 503 no\r\nContent-Length: 0\r\n\r\n' : acceptance(head));
  });
  return { url, counts };
}

describe('attempts', () => {
  test('to one address take turns, in their order', async (t) => {
    const { url, counts } = await startSlow(t);
    const order = [];
    const attempts = [0, 1, 2, 3].map((index) => {
      const socket = new WebSocket(index === 1 ? `${url}refuse` : url);
      socket.onopen = socket.onerror = ({ type }) => order.push(`${index} ${type}`);
      return Promise.race([next(socket, 'open'), next(socket, 'error')]);
    });
    await Promise.all(attempts);
    assert.deepEqual(order, ['0 open', '1 error', '2 open', '3 open']);
    assert.deepEqual(counts, { now: 0, most: 1, all: 4 });
  });

  test('to two names of one address take turns too', async (t) => {
    const { url, counts } = await startSlow(t);
    const other = url.replace('127.0.0.1', 'other.test');
    const lookup = (_, { all }, done) =>
      all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4);
    await Promise.all([url, other, url, other].map((one) => next(new WebSocket(one, { lookup }), 'open')));
    assert.deepEqual(counts, { now: 0, most: 1, all: 4 });
  });

  test('to different ports do not wait for each other', async (t) => {
    const { url: blocked } = await startRaw(t, () => {});
    const { url } = await startSlow(t);
    const stuck = new WebSocket(blocked);
    await next(new WebSocket(url), 'open');
    assert.equal(stuck.readyState, WebSocket.CONNECTING);
    stuck.close();
  });

  test('that are given up while they wait let the next go on', async (t) => {
    const { url, counts } = await startSlow(t);
    const sockets = [0, 1, 2].map(() => new WebSocket(url));
    sockets[1].close();
    await Promise.all([next(sockets[0], 'open'), next(sockets[2], 'open')]);
    assert.equal(counts.all, 2);
  });

  test('of the socket of ws go on at once', async (t) => {
    const { url, counts } = await startSlow(t);
    await Promise.all([0, 1, 2].map(() => new Promise((resolve) => new vaiven(url).on('open', resolve))));
    assert.deepEqual(counts, { now: 0, most: 3, all: 3 });
  });
});

describe('a name that does not resolve', () => {
  test('is a failure that names the host', async () => {
    const { error } = await next(new WebSocket('ws://nowhere.invalid:6/'), 'error');
    assert.match(error.message, /nowhere\.invalid.*check the name of the host/);
  });
});

describe('blocked ports', () => {
  for (const port of [0, 1, 22, 25, 6000, 6667, 10_080]) {
    test(`${port} fails the connection without an attempt`, async () => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/`, {
        createConnection: () => assert.fail('a connection was tried'),
      });
      assert.equal(socket.readyState, WebSocket.CONNECTING);
      const reason = next(socket, 'error');
      assert.deepEqual(await recordEvents(socket), ['error', 'close 1006  false']);
      assert.equal((await reason).error.code, 'WS_ERR_BLOCKED_PORT');
    });
  }
});
