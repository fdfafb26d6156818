// Links whose net.Socket was released: nobody must miss it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { dial, Recorder, rawClient, serve } from './support.mjs';

async function pair() {
  const accepted = new Recorder();
  const { server, port } = await serve(() => accepted, { socket: 'released' });
  const client = new Recorder();
  await dial(port, client, { socket: 'released' });
  return { accepted, client, server, port };
}

test('messages and the closing handshake go on without the sockets', async () => {
  const { accepted, client, server } = await pair();
  assert.ok(accepted.socket.destroyed && client.socket.destroyed);
  client.link.sendText('hola');
  client.link.sendBinary(Buffer.alloc(1 << 20, 7));
  assert.deepEqual(await accepted.first(2), [
    ['message', 'hola'],
    ['message', Buffer.alloc(1 << 20, 7)],
  ]);
  accepted.link.close(4000, 'enough');
  assert.deepEqual(await client.first(2), [
    ['close', 4000, 'enough'],
    ['ended', null],
  ]);
  assert.deepEqual(await accepted.named('ended'), ['ended', null]);
  server.close();
});

test('the server counts the connection until it has ended', async () => {
  const { accepted, client, server } = await pair();
  const count = () =>
    new Promise((resolve) => server.getConnections((_, connections) => resolve(connections)));
  assert.equal(await count(), 1);
  let isClosed = false;
  server.close(() => {
    isClosed = true;
  });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(isClosed, false);
  const closed = once(server, 'close');
  client.link.abort();
  await accepted.named('ended');
  await closed;
  assert.equal(isClosed, true);
});

test('addresses are known from the link and from the socket', async () => {
  const { accepted, client, server, port } = await pair();
  const { remoteAddress, remotePort, localAddress, localPort } = client.link.addresses;
  assert.deepEqual([remoteAddress, remotePort, localAddress], ['127.0.0.1', port, '127.0.0.1']);
  assert.deepEqual(accepted.link.addresses, {
    remoteAddress: '127.0.0.1',
    remotePort: localPort,
    remoteFamily: 'IPv4',
    localAddress: '127.0.0.1',
    localPort: port,
  });
  assert.deepEqual([accepted.socket.remoteAddress, accepted.socket.remotePort], ['127.0.0.1', localPort]);
  client.link.abort();
  await accepted.named('ended');
  assert.equal(accepted.link.addresses, null);
  server.close();
});

test('a peer that resets the connection ends the link with the error of the system', async () => {
  const accepted = new Recorder();
  const { server, port } = await serve(() => accepted, { socket: 'released' });
  const socket = await rawClient(port);
  socket.resetAndDestroy();
  assert.deepEqual(await accepted.named('ended'), ['ended', 'ECONNRESET']);
  server.close();
});
