// WebSockets Standard, "Interface definition": the steps of the constructor.

import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import { setBaseURL, WebSocket } from 'vaiven';
import { acceptance, echo, next, recordEvents, startRaw, startServer } from './peers.mjs';

const isSyntaxError = (error) =>
  error instanceof DOMException && error.name === 'SyntaxError' && error.code === 12;

/** A socket that tries to reach nobody, and is given up at once. */
function made(...args) {
  const socket = new WebSocket(...args);
  socket.close();
  return socket;
}

describe('the URL', () => {
  afterEach(() => setBaseURL(undefined));

  const RESOLVED = [
    ['ws://127.0.0.1:6', 'ws://127.0.0.1:6/'],
    ['wss://127.0.0.1:6/a?b', 'wss://127.0.0.1:6/a?b'],
    ['http://127.0.0.1:6/', 'ws://127.0.0.1:6/'],
    ['https://127.0.0.1:6/', 'wss://127.0.0.1:6/'],
    ['HTTP://127.0.0.1:80/x', 'ws://127.0.0.1/x'],
    ['https://127.0.0.1:443/x', 'wss://127.0.0.1/x'],
    ['https://127.0.0.1:80/x', 'wss://127.0.0.1:80/x'],
    ['  ws://127.0.0.1:6/\n', 'ws://127.0.0.1:6/'],
    ['ws:127.0.0.1:6', 'ws://127.0.0.1:6/'],
    ['ws://127.1:6/a b', 'ws://127.0.0.1:6/a%20b'],
    ['ws://127.0.0.1:6/?\ud800', 'ws://127.0.0.1:6/?%EF%BF%BD'],
    ['ws://天気の良い日.test:6/', 'ws://xn--n8j6ds53lwwkrqhv28a.test:6/'],
    ['ws://ana:secret@127.0.0.1:6/', 'ws://ana:secret@127.0.0.1:6/'],
  ];
  for (const [given, url] of RESOLVED) {
    test(`${JSON.stringify(given)} becomes ${url}`, () => {
      assert.equal(made(given).url, url);
    });
  }

  const REFUSED = [
    '',
    'x',
    '/path',
    'ws://',
    'ws://a:99999',
    'ws://a b/',
    'ftp://a/',
    'mailto:a',
    'about:blank',
    'ws+unix:/a',
    'ws://a/#',
    'ws://a/#b',
    'http://a/#b',
    'wss://a/?#',
  ];
  for (const given of REFUSED) {
    test(`${JSON.stringify(given)} is a SyntaxError`, () => {
      assert.throws(() => new WebSocket(given), isSyntaxError);
    });
  }

  test('a relative URL is resolved against the base URL', () => {
    setBaseURL('https://host.test/dir/page?q#f');
    for (const [given, url] of [
      ['chat', 'wss://host.test/dir/chat'],
      ['/chat?x', 'wss://host.test/chat?x'],
      ['', 'wss://host.test/dir/page?q'],
      ['//other.test', 'wss://other.test/'],
      ['?x', 'wss://host.test/dir/page?x'],
    ]) {
      assert.equal(made(given).url, url);
    }
    setBaseURL(new URL('ws://host.test/'));
    assert.equal(made('chat').url, 'ws://host.test/chat');
    setBaseURL('file:///dir/');
    assert.throws(() => new WebSocket('chat'), isSyntaxError);
    setBaseURL(undefined);
    assert.throws(() => new WebSocket('chat'), /call setBaseURL first/);
  });

  test('a base URL that is none is an error of setBaseURL', () => {
    assert.throws(() => setBaseURL('host.test'), { code: 'ERR_INVALID_URL' });
  });

  test('anything is made a string first', () => {
    assert.equal(made(new URL('ws://127.0.0.1:6/a')).url, 'ws://127.0.0.1:6/a');
    assert.equal(made({ toString: () => 'ws://127.0.0.1:6/b' }).url, 'ws://127.0.0.1:6/b');
    assert.throws(() => new WebSocket(Symbol('a')), TypeError);
    assert.throws(() => new WebSocket(null), isSyntaxError);
  });
});

describe('the subprotocols', () => {
  const REFUSED = [
    '',
    ' ',
    'a b',
    'a,b',
    'a/b',
    'a"',
    '\u007f',
    'é',
    'a\r\nb',
    '\0',
    null,
    undefined,
  ].flatMap((name) => [
    ...(name === undefined || name === null ? [] : [name]),
    ...(name === null || name === undefined ? [] : [[name]]),
  ]);
  for (const given of [...REFUSED, ['a', 'a'], ['a', 'A'], ['a', 'b', 'a'], [['a', 'b']]]) {
    test(`${JSON.stringify(given)} is a SyntaxError`, () => {
      assert.throws(() => new WebSocket('ws://127.0.0.1:6/', given), isSyntaxError);
    });
  }

  const OFFERED = [
    [undefined, undefined],
    [[], undefined],
    ['chat', 'chat'],
    [['chat', 'superchat'], 'chat, superchat'],
    [new Set(['a', 'b']), 'a, b'],
    [null, 'null'],
    [1, '1'],
    [[1, { toString: () => 'x' }], '1, x'],
    [{ protocols: 'chat' }, 'chat'],
    [{ protocols: ['a', 'b'] }, 'a, b'],
    [{}, undefined],
    ["!#$%&'*+-.^_`|~", "!#$%&'*+-.^_`|~"],
  ];
  test('each is offered in its order', async (t) => {
    const heads = [];
    const { url } = await startRaw(t, (socket, head) => {
      heads.push(head);
      socket.end('HTTP/1.1 400 no\r\n\r\n');
    });
    for (const [given, offered] of OFFERED) {
      await recordEvents(new WebSocket(url, given));
      assert.equal(/^sec-websocket-protocol: (.*)$/im.exec(heads.pop())?.[1], offered);
    }
  });

  test('a URL that is wrong is an error before subprotocols that are wrong', () => {
    assert.throws(() => new WebSocket('x', ['a', 'a']), /the URL/);
  });
});

describe('a new socket', () => {
  test('is connecting and empty', () => {
    const socket = new WebSocket('ws://127.0.0.1:6/');
    assert.equal(socket.readyState, WebSocket.CONNECTING);
    assert.equal(socket.bufferedAmount, 0);
    assert.equal(socket.extensions, '');
    assert.equal(socket.protocol, '');
    assert.equal(socket.binaryType, 'blob');
    for (const name of ['onopen', 'onmessage', 'onerror', 'onclose']) assert.equal(socket[name], null);
    socket.close();
  });

  test('sends the request that the standard says', async (t) => {
    const { promise, resolve } = withResolvers();
    const { url } = await startRaw(t, (socket, head) => {
      resolve(head);
      socket.end('HTTP/1.1 400 no\r\n\r\n');
    });
    await recordEvents(new WebSocket(`${url}path?query`));
    const [line, ...fields] = (await promise).split('\r\n');
    assert.equal(line, 'GET /path?query HTTP/1.1');
    const values = new Map(
      fields.map((field) => field.split(': ')).map(([name, value]) => [name.toLowerCase(), value]),
    );
    assert.equal(values.get('upgrade'), 'websocket');
    assert.equal(values.get('connection'), 'Upgrade');
    assert.equal(values.get('sec-websocket-version'), '13');
    assert.equal(Buffer.from(values.get('sec-websocket-key'), 'base64').length, 16);
    assert.equal(values.get('sec-websocket-extensions'), 'permessage-deflate; client_max_window_bits');
    assert.equal(values.get('host'), new URL(url).host);
    for (const name of ['origin', 'referer', 'sec-websocket-protocol', 'authorization'])
      assert.ok(!values.has(name), name);
  });

  test('has what the server chose once it is open', async (t) => {
    const { url } = await startServer(t, echo, { perMessageDeflate: true, handleProtocols: () => 'b' });
    const socket = new WebSocket(url, ['a', 'b']);
    await next(socket, 'open');
    assert.equal(socket.readyState, WebSocket.OPEN);
    assert.equal(socket.protocol, 'b');
    assert.equal(socket.extensions, 'permessage-deflate');
    socket.close();
    await next(socket, 'close');
    assert.equal(socket.protocol, 'b');
  });

  test('user name and password of the URL are sent, percent-decoded', async (t) => {
    const { url } = await startRaw(t, (socket, head) => {
      const encoded = /^authorization: Basic (\S+)$/im.exec(head)[1];
      assert.equal(Buffer.from(encoded, 'base64').toString(), 'ana:a b');
      socket.write(acceptance(head));
    });
    const socket = new WebSocket(url.replace('://', '://ana:a%20b@'));
    await next(socket, 'open');
  });

  test('the origin of an HTTP base URL is sent as Origin', async (t) => {
    const origins = [];
    const { url } = await startServer(t, (_, request) => origins.push(request.headers.origin));
    t.after(() => setBaseURL(undefined));
    setBaseURL('http://page.test:81/dir/');
    await next(new WebSocket(url), 'open');
    await next(new WebSocket(url, { origin: 'http://told.test' }), 'open');
    setBaseURL('ws://page.test/');
    await next(new WebSocket(url), 'open');
    assert.deepEqual(origins, ['http://page.test:81', 'http://told.test', undefined]);
  });
});

function withResolvers() {
  const made = {};
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
  return made;
}
