// Server-Sent Events and POST against the real server, where a network lets no WebSocket through.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'vaiven-client';
import ws from 'ws';
import { eventually, Server, TcpProxy } from './servers.mjs';

function connect(t, url, options) {
  const client = new Client(url, options);
  t.after(() => client.close());
  return client;
}

const numbers = (count) => Array.from({ length: count }, (_, index) => index);

describe('without WebSocket', () => {
  test('a client falls back at once, and keeps the order of JSON, bytes and Blobs', async (t) => {
    const server = await Server.start(t);
    const proxy = await TcpProxy.start(t, server.port);
    proxy.refusesWebSocket = true;
    const client = connect(t, proxy.url, { WebSocket: ws });
    const channel = client.channel('kinds');
    const arrived = [];
    channel.on('message', ({ data }) =>
      arrived.push(data instanceof ArrayBuffer ? [...new Uint8Array(data)] : data),
    );
    await channel.subscribe();
    assert.equal(client.transport, 'sse');
    const data = [1, new Uint8Array([2]), new Blob(['3']), { four: 'ñ\n' }, new Uint8Array([5]), 6];
    const published = await Promise.all(data.map((item) => channel.publish(item)));
    assert.deepEqual(
      published.map(({ position }) => position.offset),
      [1, 2, 3, 4, 5, 6],
    );
    await eventually('all of them', () => arrived.length === 6);
    assert.deepEqual(arrived, [1, [2], [51], { four: 'ñ\n' }, [5], 6]);
    assert.deepEqual((await channel.history({ limit: 1, reverse: true })).publications[0].data, 6);
  });

  test('nothing is lost or doubled while the connections are cut', async (t) => {
    const server = await Server.start(t);
    const proxy = await TcpProxy.start(t, server.port);
    const client = connect(t, proxy.url, { transports: ['sse'], baseDelay: 10, maxDelay: 50 });
    const channel = client.channel('cuts');
    const arrived = [];
    const gaps = [];
    let recovered = 0;
    channel.on('message', ({ data }) => arrived.push(data));
    channel.on('gap', (gap) => gaps.push(gap));
    channel.on('subscribed', (subscribed) => {
      if (subscribed.recovered) recovered += 1;
    });
    await channel.subscribe();
    const published = [];
    for (const number of numbers(300)) {
      published.push(channel.publish(number));
      if (number % 60 === 30) proxy.cut();
      await sleep(3);
    }
    await Promise.all(published);
    await eventually('all of them', () => arrived.length >= 300);
    await sleep(100);
    assert.deepEqual(arrived, numbers(300));
    assert.deepEqual(gaps, []);
    assert.ok(recovered >= 3, 'it was cut, and recovered');
  });

  test('a client has the same name over both transports', async (t) => {
    const server = await Server.start(t);
    const proxy = await TcpProxy.start(t, server.port);
    const client = connect(t, proxy.url, { WebSocket: ws, maxDelay: 50 });
    await client.channel('sala').publish(1);
    const { id } = client;
    assert.equal(client.transport, 'websocket');
    proxy.refusesWebSocket = true;
    proxy.cut();
    await eventually('the other transport', () => client.transport === 'sse');
    assert.equal(client.id, id);
    assert.equal((await client.channel('sala').publish(2)).position.offset, 2);
  });
});
