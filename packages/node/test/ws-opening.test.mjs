// The opening handshake of the socket as npm `ws` documents it: its events, its errors, redirects.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';
import { WebSocket as StandardWebSocket } from 'vaiven';
import { acceptance, startRaw, startServer } from './peers.mjs';

const WebSocket = createRequire(import.meta.url)('vaiven');

describe('the opening handshake', () => {
  test('tells the answer as upgrade', async (t) => {
    const { url } = await startServer(t, undefined);
    for (const Class of [WebSocket, StandardWebSocket]) {
      const [response] = await once(new Class(url), 'upgrade');
      assert.equal(response.statusCode, 101);
    }
  });

  test('gives another answer to who listens, else it is an error', async (t) => {
    const { url } = await startRaw(t, (peer) => peer.end('HTTP/1.1 401 no\r\nContent-Length: 4\r\n\r\nbody'));
    for (const Class of [WebSocket, StandardWebSocket]) {
      const socket = new Class(url);
      const [request, response] = await once(socket, 'unexpected-response');
      assert.equal(response.statusCode, 401);
      assert.equal(request.path, '/');
      const [body] = await once(response, 'data');
      assert.equal(String(body), 'body');
      socket.on('error', () => {});
      const closed = new Promise((resolve) => socket.on('close', resolve));
      socket.terminate();
      assert.equal(await closed, 1006);
    }
    const socket = new WebSocket(url);
    const [error] = await new Promise((resolve) => socket.on('error', (...details) => resolve(details)));
    assert.equal(error.message, 'Unexpected server response: 401');
  });

  test('is given up by close() and terminate(), with an error and the end', async (t) => {
    const { url } = await startRaw(t, () => {});
    for (const method of ['close', 'terminate']) {
      const socket = new WebSocket(url);
      const told = [];
      socket.on('error', ({ message }) => told.push(message));
      const closed = new Promise((resolve) => socket.on('close', (code) => resolve(code)));
      socket[method]();
      assert.equal(socket.readyState, WebSocket.CLOSING);
      assert.deepEqual(told, []);
      assert.equal(await closed, 1006);
      assert.deepEqual(told, ['WebSocket was closed before the connection was established']);
    }
  });

  test('is customised by finishRequest', async (t) => {
    const { url } = await startServer(t, (peer, { headers }) => peer.send(headers['x-late']));
    for (const Class of [WebSocket, StandardWebSocket]) {
      const socket = new Class(url, {
        finishRequest(request, self) {
          assert.ok(self instanceof Class);
          setImmediate(() => {
            request.setHeader('x-late', 'yes');
            request.end();
          });
        },
      });
      const [data] = await once(socket, 'message');
      assert.equal(String(data), 'yes');
    }
  });

  test('times out', async (t) => {
    const { url } = await startRaw(t, () => {});
    const socket = new WebSocket(url, { handshakeTimeout: 30 });
    const [error] = await new Promise((resolve) => socket.on('error', (...details) => resolve(details)));
    assert.equal(error.message, 'Opening handshake has timed out');
  });

  test('fails in the words of ws', async (t) => {
    for (const [changes, message] of [
      [{ Upgrade: 'x' }, 'Invalid Upgrade header'],
      [{ 'Sec-WebSocket-Accept': 'x' }, 'Invalid Sec-WebSocket-Accept header'],
      [{ 'Sec-WebSocket-Protocol': 'x' }, 'Server sent a subprotocol but none was requested'],
      [{ 'Sec-WebSocket-Extensions': 'x' }, 'Server indicated an extension that was not requested'],
      [{ 'Sec-WebSocket-Extensions': 'permessage-deflate; x' }, 'Invalid Sec-WebSocket-Extensions header'],
    ]) {
      const { url } = await startRaw(t, (peer, head) => peer.write(acceptance(head, changes)));
      const socket = new WebSocket(url);
      const [error] = await new Promise((resolve) => socket.on('error', (...details) => resolve(details)));
      assert.equal(error.message, message);
    }
  });
});

describe('redirects', () => {
  /** A server that sends `/from` to `location` and keeps the fields of what comes to `/to`. */
  async function startRedirecting(t, location) {
    const got = [];
    const { server, url } = await startRaw(t, (peer, head) => {
      if (head.startsWith('GET /to')) {
        got.push(head);
        peer.write(acceptance(head));
      } else peer.end(`HTTP/1.1 302 Found\r\nLocation: ${location(server)}\r\nContent-Length: 0\r\n\r\n`);
    });
    return { got, url: `${url}from` };
  }

  test('are followed when asked, and the fields go along to the same host', async (t) => {
    const { got, url } = await startRedirecting(t, () => '/to?x');
    const socket = new WebSocket(url.replace('://', '://ana:b@'), {
      followRedirects: true,
      headers: { Cookie: 'a=1', 'X-A': '1' },
    });
    await once(socket, 'open');
    assert.equal(socket.url, url.replace('://', '://ana:b@').replace('/from', '/to?x'));
    assert.match(got[0], /cookie: a=1/i);
    assert.match(got[0], /x-a: 1/i);
    assert.match(got[0], /authorization: Basic YW5hOmI=/i);
  });

  test('leave credentials behind on the way to another host', async (t) => {
    const { got, url } = await startRedirecting(
      t,
      (server) => `http://localhost:${server.address().port}/to`,
    );
    const options = {
      followRedirects: true,
      headers: { cookie: 'a=1', Authorization: 'x', 'X-A': '1' },
      family: 4,
    };
    await once(new WebSocket(url.replace('://', '://ana:b@'), options), 'open');
    assert.doesNotMatch(got[0], /cookie|authorization/i);
    assert.match(got[0], /x-a: 1/i);
    assert.match(got[0], /host: localhost/i);
    const seen = new WebSocket(url, options);
    const [next, request] = await once(seen, 'redirect');
    assert.match(next, /^ws:\/\/localhost/);
    assert.equal(request.getHeader('cookie'), 'a=1');
    await once(seen, 'open');
  });

  test('are an error beyond the most, to a wrong URL, and when nobody asked', async (t) => {
    const cases = [
      [{ followRedirects: true, maxRedirects: 2 }, '/again', 'Maximum redirects exceeded'],
      [{ followRedirects: true }, 'ws://', 'Invalid URL: ws://'],
      [{ followRedirects: true }, 'ftp://a/', /^The URL's protocol must be one of/],
      [{}, '/to', 'Unexpected server response: 302'],
    ];
    for (const [options, location, message] of cases) {
      const { url } = await startRedirecting(t, () => location);
      const socket = new WebSocket(url, options);
      const [error] = await new Promise((resolve) => socket.on('error', (...details) => resolve(details)));
      if (typeof message === 'string') assert.equal(error.message, message);
      else assert.match(error.message, message);
    }
  });
});
