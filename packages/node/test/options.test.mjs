// What servers and networks ask of a client: header fields, TLS, proxies, agents, limits.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { createRequire } from 'node:module';
import net from 'node:net';
import { after, describe, test } from 'node:test';
import vaiven, { WebSocket } from 'vaiven';
import { parseProxy, proxyFromEnvironment } from '../dist/proxy.js';
import { certificate } from './certificate.mjs';
import { echo, next, startServer } from './peers.mjs';

const { WebSocketServer } = createRequire(import.meta.url)('ws');

describe('header fields', () => {
  test('are sent, in both forms of the constructor', async (t) => {
    const got = [];
    const { url } = await startServer(t, (_, { headers }) => got.push(headers));
    await next(new WebSocket(url, { headers: { 'X-Token': 'a', Cookie: ['a=1', 'b=2'] } }), 'open');
    await next(new WebSocket(url, [], { headers: { 'X-Token': 'b' } }), 'open');
    assert.deepEqual(
      got.map((headers) => headers['x-token']),
      ['a', 'b'],
    );
    assert.equal(got[0].cookie, 'a=1; b=2');
  });

  test('those of the handshake cannot be replaced', async (t) => {
    const { url } = await startServer(t);
    await next(
      new WebSocket(url, { headers: { 'sec-websocket-key': 'x', upgrade: 'h2c', connection: 'close' } }),
      'open',
    );
  });

  test('with a line break are an error before anything is connected', () => {
    for (const headers of [{ 'X-A': 'a\r\nb: c' }, { 'X A': 'a' }, { 'X-A': ['a', 'b\n'] }]) {
      assert.throws(() => new WebSocket('ws://127.0.0.1:6/', { headers }), TypeError);
      assert.throws(() => new vaiven('ws://127.0.0.1:6/', { headers }), TypeError);
    }
    assert.throws(() => new WebSocket('ws://127.0.0.1:6/', { origin: 'a\r\nb' }), TypeError);
  });
});

describe('limits', () => {
  for (const name of ['handshakeTimeout', 'closeTimeout', 'maxPayload', 'maxFragments']) {
    test(`${name} is an integer from 1 to 2^31 - 1`, () => {
      for (const value of [0, -1, 1.5, Number.NaN, Infinity, 2 ** 31, '1', null]) {
        assert.throws(() => new WebSocket('ws://127.0.0.1:6/', { [name]: value }), RangeError);
      }
      for (const value of [undefined, 1, 2 ** 31 - 1])
        new WebSocket('ws://127.0.0.1:6/', { [name]: value }).close();
    });
  }

  test('a window of compression is from 8 to 15 bits', () => {
    for (const bits of [7, 16, 9.5, '10']) {
      for (const name of ['serverMaxWindowBits', 'clientMaxWindowBits']) {
        assert.throws(
          () => new WebSocket('ws://127.0.0.1:6/', { perMessageDeflate: { [name]: bits } }),
          TypeError,
        );
      }
    }
  });

  test('compression is offered as asked', async (t) => {
    const offers = [];
    const { url } = await startServer(t, (_, { headers }) =>
      offers.push(headers['sec-websocket-extensions']),
    );
    const windows = {
      serverMaxWindowBits: 10,
      clientMaxWindowBits: 9,
      serverNoContextTakeover: true,
      clientNoContextTakeover: true,
    };
    for (const perMessageDeflate of [undefined, true, false, windows, { clientMaxWindowBits: false }]) {
      await next(new WebSocket(url, { perMessageDeflate }), 'open');
    }
    const [first, second, third, fourth, fifth] = offers;
    assert.deepEqual(
      [first, second, third, fifth],
      [
        'permessage-deflate; client_max_window_bits',
        'permessage-deflate; client_max_window_bits',
        undefined,
        'permessage-deflate',
      ],
    );
    assert.deepEqual(fourth.split('; ').sort(), [
      'client_max_window_bits=9',
      'client_no_context_takeover',
      'permessage-deflate',
      'server_max_window_bits=10',
      'server_no_context_takeover',
    ]);
  });
});

/** A server over TLS, its URL, and whether a request ever reached it. */
async function startSecure(t, options) {
  const pair = certificate(options);
  const server = https.createServer(pair);
  const sockets = new WebSocketServer({ server });
  sockets.on('connection', echo);
  const seen = { requests: 0 };
  server.on('upgrade', () => {
    seen.requests += 1;
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const client of sockets.clients) client.terminate();
    server.close();
    server.closeAllConnections();
  });
  return { url: `wss://127.0.0.1:${server.address().port}/`, ca: pair.cert, seen, server };
}

describe('TLS', () => {
  test('text goes there and back under a certificate that is trusted', async (t) => {
    const { url, ca } = await startSecure(t);
    for (const one of [url, url.replace('127.0.0.1', 'localhost'), url.replace('wss', 'https')]) {
      const socket = new WebSocket(one, { ca });
      await next(socket, 'open');
      socket.send('x'.repeat(100_000));
      assert.equal((await next(socket, 'message')).data.length, 100_000);
      socket.close();
      assert.equal((await next(socket, 'close')).wasClean, true);
    }
  });

  for (const [what, certificateOptions, options, advice] of [
    ['that nobody signed', {}, () => ({}), /as the option 'ca'/],
    ['that has expired', { expired: true }, (ca) => ({ ca }), /expired/],
    ['for another name', {}, (ca) => ({ ca, servername: 'other.test' }), /for another name/],
  ]) {
    test(`a certificate ${what} fails before the request is sent`, async (t) => {
      const { url, ca, seen } = await startSecure(t, certificateOptions);
      const { message } = await next(new WebSocket(url, options(ca)), 'error');
      assert.match(message, advice);
      assert.equal(seen.requests, 0);
    });
  }

  test('rejectUnauthorized: false trusts anybody', async (t) => {
    const { url } = await startSecure(t);
    await next(new WebSocket(url, { rejectUnauthorized: false }), 'open');
  });

  test('ws: to a port that speaks TLS, and wss: to one that does not, say so', async (t) => {
    const { url } = await startSecure(t);
    const { message } = await next(new WebSocket(url.replace('wss', 'ws')), 'error');
    assert.match(message, /wss:/);
    const plain = await startServer(t);
    const other = await next(new WebSocket(plain.url.replace('ws', 'wss')), 'error');
    assert.match(other.message, /without TLS the scheme is ws:/);
  });
});

/** A proxy that opens tunnels, or answers with a status; it keeps what it was asked. */
async function startProxy(t, { status = 200, tls } = {}) {
  const asked = [];
  const sockets = new Set();
  const server = tls ? https.createServer(tls) : http.createServer();
  server.on('connection', (socket) => sockets.add(socket));
  server.on('connect', (request, socket) => {
    asked.push([request.url, request.headers['proxy-authorization']]);
    socket.on('error', () => {});
    if (status !== 200) {
      socket.end(`HTTP/1.1 ${status} No\r\n\r\n`);
      return;
    }
    const { hostname, port } = new URL(`http://${request.url}`);
    const target = net.connect(port, hostname === 'behind.test' ? '127.0.0.1' : hostname);
    sockets.add(target);
    target.on('error', () => socket.destroy());
    target.on('connect', () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      socket.pipe(target).pipe(socket);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { asked, address: `127.0.0.1:${server.address().port}` };
}

describe('a proxy', () => {
  const before = { ...process.env };
  after(() => {
    process.env = before;
  });

  test('opens a tunnel for ws: and for wss:, and resolves the name', async (t) => {
    const { asked, address } = await startProxy(t);
    const plain = await startServer(t, echo);
    const secure = await startSecure(t);
    for (const [url, options] of [
      [plain.url.replace('127.0.0.1', 'behind.test'), {}],
      [secure.url, { ca: secure.ca }],
    ]) {
      for (const Class of [WebSocket, vaiven]) {
        const socket = new Class(url, { ...options, proxy: `http://ana:se%20cret@${address}` });
        await next(socket, 'open');
        socket.send('through');
        assert.equal(String((await next(socket, 'message')).data), 'through');
        const { host } = new URL(url);
        assert.deepEqual(asked.pop(), [host, `Basic ${Buffer.from('ana:se cret').toString('base64')}`]);
        socket.close();
      }
    }
  });

  test('may itself be reached over TLS', async (t) => {
    const pair = certificate();
    const { address } = await startProxy(t, { tls: pair });
    const { url } = await startServer(t);
    await next(new WebSocket(url, { proxy: `https://${address}`, ca: pair.cert }), 'open');
  });

  test('that refuses is named, and its password is not', async (t) => {
    const { address } = await startProxy(t, { status: 407 });
    const { message } = await next(
      new WebSocket('ws://127.0.0.1:6/', { proxy: `http://ana:secret@${address}` }),
      'error',
    );
    assert.match(
      message,
      new RegExp(`the proxy ${address} opened no tunnel to 127.0.0.1:6: it answered 407`),
    );
    assert.ok(!message.includes('secret'));
  });

  test('of the environment is used, unless the option says no', async (t) => {
    const { asked, address } = await startProxy(t);
    const { url } = await startServer(t);
    process.env.http_proxy = address;
    await next(new WebSocket(url), 'open');
    await next(new WebSocket(url, { proxy: false }), 'open');
    await once(new vaiven(url), 'open');
    delete process.env.http_proxy;
    assert.equal(asked.length, 1);
  });

  const chosen = (url, environment) => proxyFromEnvironment(new URL(url), environment)?.host;

  test('is chosen by the variables of the scheme before those for all', () => {
    const all = { http_proxy: 'p', https_proxy: 's', all_proxy: 'a' };
    for (const [url, environment, host] of [
      ['ws://a.test', {}, undefined],
      ['ws://a.test', all, 'p'],
      ['wss://a.test', all, 's'],
      ['ws://a.test', { ws_proxy: 'w', ...all }, 'w'],
      ['wss://a.test', { WSS_PROXY: 'w', ...all }, 'w'],
      ['wss://a.test', { HTTPS_PROXY: 's' }, 's'],
      ['wss://a.test', { ALL_PROXY: 'b' }, 'b'],
      ['wss://a.test', { http_proxy: 'p' }, undefined],
      ['ws://a.test', { HTTP_PROXY: 'p' }, undefined],
      ['ws://a.test', { http_proxy: '', all_proxy: 'a' }, undefined],
    ]) {
      assert.equal(chosen(url, environment), host, `${url} ${JSON.stringify(environment)}`);
    }
  });

  test('is not used for what no_proxy names', () => {
    for (const [no_proxy, url, isExempt] of [
      ['example.com', 'ws://example.com', true],
      ['.example.com', 'ws://a.b.example.com', true],
      ['EXAMPLE.com.', 'ws://example.com./', true],
      ['x, example.com', 'ws://example.com', true],
      ['example.com', 'ws://badexample.com', false],
      ['*', 'wss://a.test', true],
      ['.', 'ws://a.test', false],
      ['127.0.0.1', 'ws://127.1', true],
      ['10.0.0.0/8', 'ws://10.255.0.1', true],
      ['10.0.0.0/8', 'ws://11.0.0.1', false],
      ['10.0.0.0/33', 'ws://10.0.0.0', false],
      ['10.0.0.0/x', 'ws://10.0.0.0', false],
      ['[::1]', 'ws://[0:0::1]', true],
      ['2001:db8::/32', 'ws://[2001:db8::1]', true],
      ['::/0', 'ws://10.0.0.1', false],
    ]) {
      assert.equal(chosen(url, { all_proxy: 'p', no_proxy }) === undefined, isExempt, `${no_proxy} ${url}`);
    }
  });

  test('of another kind is an error that does not repeat it', () => {
    for (const url of ['socks4://ana:secret@p', 'ftp://secret', 'http://', 'http://a:99999']) {
      assert.throws(
        () => parseProxy(url),
        (error) => error instanceof TypeError && !error.message.includes('secret'),
      );
    }
    assert.throws(() => new WebSocket('ws://127.0.0.1:6/', { proxy: 'socks4://p' }), /no URL of a proxy/);
  });
});

describe("Node's own options of a request", () => {
  test('an agent makes the connection', async (t) => {
    const { url } = await startServer(t);
    let asked = 0;
    class Counting extends http.Agent {
      createConnection(...parameters) {
        asked += 1;
        return super.createConnection(...parameters);
      }
    }
    await next(new WebSocket(url, { agent: new Counting() }), 'open');
    assert.equal(asked, 1);
  });

  test('lookup, family and localAddress are used', async (t) => {
    const addresses = [];
    const { url } = await startServer(t, (_, request) => addresses.push(request.socket.remoteAddress));
    const lookup = (host, { family, all }, done) => {
      assert.deepEqual([host, family], ['somewhere.test', 4]);
      done(null, all ? [{ address: '127.0.0.1', family: 4 }] : '127.0.0.1', 4);
    };
    const options = { lookup, family: 4, localAddress: '127.0.0.2' };
    await next(new WebSocket(url.replace('127.0.0.1', 'somewhere.test'), options), 'open');
    assert.deepEqual(addresses, ['127.0.0.2']);
  });
});
