// The server: which requests become a socket, and how it ends.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { describe, test } from 'node:test';
import vaiven, { createWebSocketStream, Server, WebSocket, WebSocketServer } from '../dist/index.mjs';
import { connect, converse, openRaw, request, serve } from './servers.mjs';

const status = (answer) => Number(answer.split(' ')[1]);

describe('the constructor of a server', () => {
  test('wants exactly one source of requests', () => {
    const server = http.createServer();
    for (const options of [undefined, {}, { port: 0, server }, { port: 0, noServer: true }]) {
      assert.throws(
        () => new WebSocketServer(options),
        /One and only one of the "port", "server", or "noServer"/,
      );
    }
  });

  test('refuses options that cannot be', () => {
    for (const options of [
      { maxPayload: -1 },
      { maxFragments: 1.5 },
      { closeTimeout: 0 },
      { keepalive: { interval: 0 } },
      { keepalive: { timeout: 2 ** 31 } },
      { maxBufferedAmount: 0 },
      { bufferPolicy: 'forget' },
      { origins: 'https://app.example' },
      { origins: ['https://app.example/path'] },
      { perMessageDeflate: { serverMaxWindowBits: 7 } },
    ]) {
      assert.throws(() => new WebSocketServer({ noServer: true, ...options }), JSON.stringify(options));
    }
  });

  test('hangs on the package by the names of ws', () => {
    assert.equal(vaiven.WebSocketServer, WebSocketServer);
    assert.equal(vaiven.Server, Server);
    assert.equal(vaiven.createWebSocketStream, createWebSocketStream);
    assert.equal(Server, WebSocketServer);
  });
});

describe('a request', () => {
  test('that is right becomes a socket', async (t) => {
    const { server, url } = await serve(t);
    const client = new vaiven(`${url}sala?a=b`);
    const [socket, { url: target }] = await once(server, 'connection');
    assert.equal(target, '/sala?a=b');
    assert.ok(socket instanceof vaiven && server.clients.has(socket));
    assert.deepEqual([socket.readyState, socket.url, socket.binaryType], [1, '', 'nodebuffer']);
    await once(client, 'open');
  });

  test('that is wrong is refused with what is wrong', async (t) => {
    const { port } = await serve(t, { path: '/', perMessageDeflate: true });
    for (const [expected, ...change] of [
      [405, {}, 'POST / HTTP/1.1'],
      [400, {}, 'GET / HTTP/1.0'],
      [405, {}, 'CONNECT / HTTP/1.1'],
      [405, {}, 'get / HTTP/1.1'],
      [505, {}, 'GET / HTTP/9.9'],
      [505, {}, 'GET / HTTP/2.0'],
      [404, {}, 'GET /other HTTP/1.1'],
      [414, {}, `GET /${'a'.repeat(8192)} HTTP/1.1`],
      [400, { Host: null }],
      [426, { Upgrade: null }],
      [426, { Upgrade: 'h2c' }],
      [400, { Connection: 'close' }],
      [426, { 'Sec-WebSocket-Version': '8' }],
      [400, { 'Sec-WebSocket-Key': null }],
      [400, { 'Sec-WebSocket-Protocol': 'a,,b' }],
      [400, { 'Sec-WebSocket-Extensions': ';' }],
      [431, { A: 'a'.repeat(16 * 1024) }],
      [431, Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`A${index}`, '']))],
    ]) {
      const answer = await converse(port, request(...change));
      assert.equal(status(answer), expected, JSON.stringify(change).slice(0, 100));
      assert.match(answer, /\r\nConnection: close\b/i);
      assert.ok(answer.split('\r\n\r\n')[1].length > 20, 'there is a sentence');
    }
  });

  test('without an upgrade is told what is served here', async (t) => {
    const { port } = await serve(t);
    const answer = await converse(port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    assert.match(answer, /^HTTP\/1.1 426 .*\r\nUpgrade: websocket\r\n/s);
  });

  test('that is refused is wsClientError’s, where somebody listens', async (t) => {
    const { server, port } = await serve(t);
    server.on('wsClientError', (error, socket, { method }) => {
      socket.end(`HTTP/1.1 418 ${error.code} ${error.status} ${method}\r\n\r\n`);
    });
    assert.match(await converse(port, request({}, 'POST / HTTP/1.1')), /^HTTP\/1.1 418 method 405 POST/);
  });

  test('brings frames along that are read after the answer', async (t) => {
    const { port, server } = await serve(t);
    const frame = Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x61]);
    const answered = converse(port, Buffer.concat([Buffer.from(request()), frame]));
    const [socket] = await once(server, 'connection');
    const [data, isBinary] = await once(socket, 'message');
    assert.deepEqual([data, isBinary], [Buffer.from('a'), false]);
    socket.terminate();
    assert.match(await answered, /^HTTP\/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n/);
  });

  test('chooses the first subprotocol, or the one of handleProtocols', async (t) => {
    const plain = await serve(t);
    assert.equal((await connect(plain.url, ['a', 'b'])).protocol, 'a');
    const handleProtocols = (names, { url }) => url === '/last' && [...names].pop();
    const choosing = await serve(t, { handleProtocols });
    assert.equal((await connect(`${choosing.url}last`, ['a', 'b'])).protocol, 'b');
    const { head } = await openRaw(choosing.port, { 'Sec-WebSocket-Protocol': 'a' });
    assert.doesNotMatch(head, /Sec-WebSocket-Protocol/);
  });

  test('agrees on compression where both sides want it', async (t) => {
    const offer = { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' };
    const answerOf = async (perMessageDeflate) => {
      const { port } = await serve(t, { perMessageDeflate });
      const { head } = await openRaw(port, offer);
      return /Sec-WebSocket-Extensions: (.*)\r/.exec(head)?.[1];
    };
    assert.equal(await answerOf(false), undefined);
    assert.equal(await answerOf({}), 'permessage-deflate');
    assert.equal(await answerOf({ clientMaxWindowBits: 8 }), 'permessage-deflate; client_max_window_bits=8');
    assert.equal(
      await answerOf(true),
      'permessage-deflate; server_no_context_takeover; client_no_context_takeover; ' +
        'server_max_window_bits=12; client_max_window_bits=12',
    );
  });

  test('may get further fields by the event headers', async (t) => {
    const { server, port } = await serve(t);
    server.on('headers', (headers, { url }) => headers.push(`X-Path: ${url}`));
    assert.match((await openRaw(port, {}, 'GET /sala HTTP/1.1')).head, /\r\nX-Path: \/sala\r\n\r\n$/);
  });

  test('is judged by verifyClient in both forms', async (t) => {
    const infos = [];
    const simple = await serve(t, {
      verifyClient: (info) => {
        infos.push([info.origin, info.secure, info.req.url]);
        return info.req.url === '/yes';
      },
    });
    assert.equal(status(await converse(simple.port, request({ Origin: 'http://a' }))), 401);
    await connect(`${simple.url}yes`);
    assert.deepEqual(infos, [
      ['http://a', false, '/'],
      [undefined, false, '/yes'],
    ]);
    const asking = await serve(t, {
      verifyClient: ({ req }, answer) =>
        setImmediate(answer, req.url === '/yes', 503, 'later', { 'Retry-After': 120 }),
    });
    await connect(`${asking.url}yes`);
    const answer = await converse(asking.port, request());
    assert.match(answer, /^HTTP\/1.1 503 Service Unavailable\r\n.*Retry-After: 120\r\n.*later$/s);
  });

  test('of a foreign page is refused, and the refusal says how to allow it', async (t) => {
    const check = async (origins, origin, changes = {}) => {
      const { port } = await serve(t, { origins });
      const socket = await openRaw(port, { Origin: origin, ...changes });
      socket.destroy();
      return socket.head;
    };
    const foreign = await check('same-origin', 'https://evil.example');
    assert.equal(status(foreign), 403);
    assert.match(foreign, /origins = \["https:\/\/evil\.example"\]/);
    assert.equal(status(await check('same-origin', 'http://127.0.0.1')), 101);
    assert.equal(status(await check('same-origin', null)), 403);
    assert.equal(status(await check(['same-origin', 'absent'], null)), 101);
    assert.equal(status(await check(['https://app.example'], 'https://app.example')), 101);
    assert.equal(status(await check(['https://app.example'], 'http://127.0.0.1')), 403);
    assert.equal(status(await check('*', 'https://evil.example')), 101);
    assert.equal(status(await check(undefined, 'https://evil.example')), 101);
  });

  test('cannot be upgraded twice', async (t) => {
    const server = http.createServer().listen(0, '127.0.0.1');
    const sockets = new WebSocketServer({ noServer: true });
    t.after(() => {
      for (const socket of sockets.clients) socket.terminate();
      server.close();
    });
    let error;
    server.on('upgrade', (...upgrade) => {
      sockets.handleUpgrade(...upgrade, () => {});
      try {
        sockets.handleUpgrade(...upgrade, () => {});
      } catch (caught) {
        error = caught;
      }
    });
    await once(server, 'listening');
    await connect(`ws://127.0.0.1:${server.address().port}`);
    assert.match(error.message, /called more than once with the same socket/);
  });

  test('makes a socket of the class that the options name', async (t) => {
    class Own extends vaiven {}
    class OwnStandard extends WebSocket {}
    for (const Class of [Own, OwnStandard]) {
      const { server, url } = await serve(t, { WebSocket: Class });
      connect(url).then((client) => client.send('hola'));
      const [socket] = await once(server, 'connection');
      assert.ok(socket instanceof Class);
      assert.deepEqual(await once(socket, 'message'), [Buffer.from('hola'), false]);
    }
  });
});

describe('a server', () => {
  test('shares an HTTP server, and leaves it open', async (t) => {
    const server = http.createServer((_, response) => response.end('page')).listen(0, '127.0.0.1');
    t.after(() => server.close());
    const before = server.listenerCount('upgrade');
    const sockets = new WebSocketServer({ server, path: '/socket' });
    await once(sockets, 'listening');
    const { port } = sockets.address();
    const client = await connect(`ws://127.0.0.1:${port}/socket`);
    assert.match(await (await fetch(`http://127.0.0.1:${port}`)).text(), /page/);
    sockets.close();
    client.close();
    await once(sockets, 'close');
    assert.equal(server.listenerCount('upgrade'), before);
    assert.ok(server.listening);
  });

  test('emits the error of a port that is taken', async (t) => {
    const { port } = await serve(t);
    const second = new WebSocketServer({ port, host: '127.0.0.1' });
    const [error] = await once(second, 'error');
    assert.equal(error.code, 'EADDRINUSE');
  });

  test('closes when its connections have ended, and not before', async (t) => {
    const { server, url, port } = await serve(t);
    const client = await connect(url);
    const count = () => new Promise((resolve) => server._server.getConnections((_, n) => resolve(n)));
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(await count(), 1);
    let isClosed = false;
    const closed = new Promise((resolve) => server.close(resolve)).then(() => {
      isClosed = true;
    });
    await assert.rejects(converse(port, request()), { code: 'ECONNREFUSED' });
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual([isClosed, server.address()], [false, null]);
    client.close();
    await closed;
    assert.equal(server.clients.size, 0);
    const again = await new Promise((resolve) => server.close(resolve));
    assert.equal(again.message, 'The server is not running');
  });

  test('closes in the next tick without clients to wait for', async () => {
    for (const clientTracking of [true, false]) {
      const server = new WebSocketServer({ noServer: true, clientTracking });
      assert.equal(server.clients === undefined, !clientTracking);
      await new Promise((resolve) => server.close(resolve));
    }
    assert.throws(() => new WebSocketServer({ noServer: true }).address(), /"noServer" mode/);
  });

  test('drains: says goodbye, refuses newcomers and ends who stays', async () => {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    await once(server, 'listening');
    const { port } = server.address();
    const polite = await connect(`ws://127.0.0.1:${port}`);
    const deaf = await openRaw(port);
    const dropped = once(deaf, 'close');
    const drained = server.drain({ timeout: 100, code: 1012, reason: 'back soon' });
    const refused = converse(port, request());
    assert.deepEqual(await once(polite, 'close'), [1012, Buffer.from('back soon')]);
    assert.match(await refused, /^HTTP\/1.1 503 .*Retry-After: 5\r\n/s);
    assert.equal(await drained, 1);
    await dropped;
    assert.equal(server.address(), null);
  });

  test('drains: who is in the middle of a request is told to come back', async () => {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    await once(server, 'listening');
    const bytes = request();
    const socket = net.connect(server.address().port, '127.0.0.1', () => socket.write(bytes.slice(0, 40)));
    await once(server._server, 'connection');
    await new Promise((resolve) => setTimeout(resolve, 20));
    const drained = server.drain();
    socket.write(bytes.slice(40));
    assert.match(String((await once(socket, 'data'))[0]), /^HTTP\/1.1 503 .*Retry-After: 5\r\n/s);
    await drained;
  });

  test('drains at once without connections', async () => {
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
    await once(server, 'listening');
    assert.equal(await server.drain(), 0);
    await assert.rejects(
      new WebSocketServer({ noServer: true, clientTracking: false }).drain(),
      /clientTracking/,
    );
  });
});
