// The socket as npm `ws` documents it (doc/ws.md, class WebSocket), against servers of `ws`.

import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { WebSocket as StandardWebSocket } from 'vaiven';
import { acceptance, echo, frame, startRaw, startServer } from './peers.mjs';

const require = createRequire(import.meta.url);
const WebSocket = require('vaiven');
const { WebSocketServer } = require('ws');

describe('the constructor', () => {
  test("throws the language's SyntaxError", () => {
    for (const address of ['foo', 'bad:', 'ftp://a', 'ws://a#b', '/a', 'ws+unix:', 'ws://a#b'])
      assert.throws(
        () => new WebSocket(address),
        (error) => error instanceof SyntaxError,
        address,
      );
    for (const protocols of ['', 'a b', ['a', 'a'], [null], [1], ['a', 'ñ']]) {
      assert.throws(() => new WebSocket('ws://127.0.0.1:6', protocols), SyntaxError);
    }
    assert.throws(() => new WebSocket('ws://127.0.0.1:6', { protocolVersion: 7 }), RangeError);
  });

  test('tells subprotocols apart by case', () => {
    const socket = new WebSocket('ws://127.0.0.1:6', ['a', 'A']);
    socket.on('error', () => {});
    socket.terminate();
  });

  test('takes a URL object, options second or third, and zero for no limit', async (t) => {
    const heard = [];
    const { url } = await startServer(t, (_, { headers }) => heard.push(headers['x-a']));
    for (const parameters of [
      [new URL(url), { headers: { 'x-a': '1' } }],
      [url, undefined, { headers: { 'x-a': '2' } }],
      [url.replace('ws', 'http'), [], { headers: { 'x-a': '3' }, maxPayload: 0, maxFragments: 0 }],
    ]) {
      await once(new WebSocket(...parameters), 'open');
    }
    assert.deepEqual(heard, ['1', '2', '3']);
  });

  test('connects to a socket in the file system', async (t) => {
    const path = join(mkdtempSync(join(tmpdir(), 'vaiven-')), 'socket');
    const server = http.createServer().listen(path);
    await once(server, 'listening');
    const sockets = new WebSocketServer({ server });
    const paths = [];
    sockets.on('connection', (_, request) => paths.push(request.url));
    for (const end of ['', ':/', ':/a?b']) await once(new WebSocket(`ws+unix:${path}${end}`), 'open');
    assert.deepEqual(paths, ['/', '/', '/a?b']);
    t.after(() => {
      for (const client of sockets.clients) client.terminate();
      server.close();
    });
  });

  test('with null makes the socket of a server', () => {
    const socket = new WebSocket(null, undefined, { closeTimeout: 1000 });
    assert.equal(socket.readyState, WebSocket.CONNECTING);
    assert.equal(socket.url, '');
  });
});

describe('the emitter', () => {
  test('tells open, message, ping, pong and close', async (t) => {
    const { url } = await startServer(t, (peer) => {
      peer.ping('are you there');
      peer.send('text');
      peer.send(Buffer.from('bytes'));
      peer.on('ping', () => peer.close(1001, 'enough'));
    });
    const socket = new WebSocket(url);
    const events = [];
    for (const name of ['open', 'message', 'ping', 'pong', 'close']) {
      socket.on(name, (...details) =>
        events.push([name, ...details.map((one) => (Buffer.isBuffer(one) ? `${one}` : one))]),
      );
    }
    socket.on('open', () => socket.ping('hi', undefined, (error) => assert.equal(error, undefined)));
    await once(socket, 'close');
    assert.deepEqual(events.filter(([name]) => name !== 'pong').slice(0, 5), [
      ['open'],
      ['ping', 'are you there'],
      ['message', 'text', false],
      ['message', 'bytes', true],
      ['close', 1001, 'enough'],
    ]);
  });

  test('throws an error that nobody hears, and tells the end all the same', async () => {
    const socket = new WebSocket('ws://127.0.0.1:6');
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const thrown = once(process, 'uncaughtException');
    // Not events.once: that listens to `error` too.
    const code = await new Promise((resolve) => socket.on('close', resolve));
    const [error] = await thrown;
    for (const other of others) process.on('uncaughtException', other);
    assert.equal(error.code, 'ECONNREFUSED');
    assert.equal(code, 1006);
  });

  test('tells a broken rule by its code, and then 1006', async (t) => {
    const RULES = [
      [Buffer.from([0x81, 0x80, 0, 0, 0, 0]), 'WS_ERR_UNEXPECTED_MASK', RangeError],
      [Buffer.from([0xa1, 0x00]), 'WS_ERR_UNEXPECTED_RSV_2_3', RangeError],
      [Buffer.from([0x83, 0x00]), 'WS_ERR_INVALID_OPCODE', RangeError],
      [Buffer.from([0x09, 0x00]), 'WS_ERR_EXPECTED_FIN', RangeError],
      [Buffer.from([0x89, 0x7e, 0x00, 0x7e]), 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH', RangeError],
      [frame(8, Buffer.from([0x03, 0xee])), 'WS_ERR_INVALID_CLOSE_CODE', RangeError],
      [frame(1, Buffer.from([0xff])), 'WS_ERR_INVALID_UTF8', Error],
      [frame(2, 'four'), 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH', RangeError],
    ];
    for (const [bytes, code, Class] of RULES) {
      const { url } = await startRaw(t, (peer, head) => {
        peer.write(Buffer.concat([Buffer.from(acceptance(head)), bytes]));
        peer.on('data', () => peer.end());
      });
      const socket = new WebSocket(url, { maxPayload: 3 });
      const closed = once(socket, 'close');
      closed.catch(() => {});
      const [error] = await new Promise((resolve) => socket.once('error', (...details) => resolve(details)));
      assert.equal(error.code, code);
      assert.ok(error instanceof Class);
      if (socket.readyState !== WebSocket.CLOSED) assert.equal((await once(socket, 'close'))[0], 1006);
    }
  });

  test('tells a lost connection as close with 1006 and no error', async (t) => {
    const { url } = await startServer(t, (peer) => peer.terminate());
    const [code, reason] = await once(new WebSocket(url), 'close');
    assert.deepEqual([code, reason], [1006, Buffer.alloc(0)]);
  });

  test('has all that an EventEmitter has', () => {
    for (const name of Object.getOwnPropertyNames(EventEmitter.prototype)) {
      if (typeof EventEmitter.prototype[name] !== 'function' || name === 'constructor') continue;
      for (const Class of [WebSocket, StandardWebSocket]) {
        if (!name.startsWith('_')) assert.equal(typeof Class.prototype[name], 'function', name);
      }
    }
  });
});

describe('sending', () => {
  async function talking(t) {
    const received = [];
    const { url } = await startServer(t, (peer) => {
      peer.on('message', (data, isBinary) => received.push(isBinary ? data : data.toString()));
      for (const kind of ['ping', 'pong']) peer.on(kind, (data) => received.push([kind, data.toString()]));
    });
    const socket = new WebSocket(url);
    await once(socket, 'open');
    return {
      socket,
      received,
      async finish() {
        socket.close();
        await once(socket, 'close');
        return received;
      },
    };
  }

  test('takes what ws takes', async (t) => {
    const { socket, finish } = await talking(t);
    const bytes = Uint8Array.of(1, 2, 3, 4);
    for (const data of [
      'text',
      7,
      Buffer.from('b'),
      bytes,
      bytes.buffer,
      new DataView(bytes.buffer, 1, 2),
      [5, 6],
      '',
      null,
      undefined,
    ]) {
      socket.send(data);
    }
    socket.send(new Blob(['blob']));
    socket.send({ [Symbol.toPrimitive]: () => 'primitive' });
    assert.throws(() => socket.send(new Map()), TypeError);
    assert.throws(() => socket.send(true), TypeError);
    assert.deepEqual(await finish(), [
      'text',
      '7',
      Buffer.from('b'),
      Buffer.from(bytes),
      Buffer.from(bytes),
      Buffer.of(2, 3),
      Buffer.of(5, 6),
      '',
      Buffer.alloc(0),
      Buffer.alloc(0),
      Buffer.from('blob'),
      Buffer.from('primitive'),
    ]);
  });

  test('chooses the kind, and sends in parts', async (t) => {
    const { socket, finish } = await talking(t);
    socket.send('text', { binary: true });
    socket.send(Buffer.from('bytes'), { binary: false });
    socket.send('one ', { fin: false });
    socket.send('two ', { fin: false });
    socket.send('three', { fin: true });
    socket.send(Buffer.from('whole'), { compress: false, mask: false });
    assert.deepEqual(await finish(), [Buffer.from('text'), 'bytes', 'one two three', Buffer.from('whole')]);
  });

  test('pings and pongs carry up to 125 bytes of anything', async (t) => {
    const { socket, finish } = await talking(t);
    for (const data of [undefined, 'text', 7, Buffer.from('b'), 'x'.repeat(125)]) {
      socket.ping(data);
      socket.pong(data);
    }
    await new Promise((resolve) => socket.ping(resolve));
    await new Promise((resolve) => socket.pong('last', resolve));
    for (const kind of ['ping', 'pong']) assert.throws(() => socket[kind]('ñ'.repeat(63)), RangeError);
    const texts = ['', 'text', '7', 'b', 'x'.repeat(125)];
    const pairs = texts.flatMap((text) => [
      ['ping', text],
      ['pong', text],
    ]);
    assert.deepEqual(await finish(), [...pairs, ['ping', ''], ['pong', 'last']]);
  });

  test('too early throws; too late tells the callback', async (t) => {
    const early = new WebSocket('ws://127.0.0.1:6');
    early.on('error', () => {});
    for (const method of ['send', 'ping', 'pong']) {
      assert.throws(() => early[method]('x'), {
        message: 'WebSocket is not open: readyState 0 (CONNECTING)',
      });
    }
    const { socket } = await talking(t);
    socket.close();
    for (const method of ['send', 'ping', 'pong']) {
      const error = await new Promise((resolve) => socket[method]('x', resolve));
      assert.match(error.message, /^WebSocket is not open: readyState [23] \((CLOSING|CLOSED)\)$/);
    }
    socket.send('x');
    assert.equal(socket.bufferedAmount, 4);
  });
});

describe('closing', () => {
  test('sends code and reason, as a string or bytes', async (t) => {
    const got = [];
    let told;
    const { url } = await startServer(t, (peer) => {
      told = once(peer, 'close').then(([code, reason]) => got.push([code, `${reason}`]));
    });
    for (const parameters of [
      [],
      [1001],
      [1000, 'why'],
      [4999, Buffer.from('bytes')],
      [1014],
      [undefined, 'lost'],
    ]) {
      const socket = new WebSocket(url);
      await once(socket, 'open');
      socket.close(...parameters);
      await once(socket, 'close');
      await told;
    }
    assert.deepEqual(got, [
      [1005, ''],
      [1001, ''],
      [1000, 'why'],
      [4999, 'bytes'],
      [1014, ''],
      [1005, ''],
    ]);
  });

  test('refuses codes and reasons that cannot be sent', async (t) => {
    const { url } = await startServer(t);
    const socket = new WebSocket(url);
    await once(socket, 'open');
    for (const code of [0, 999, 1004, 1005, 1006, 1015, 2999, 5000, '1000', null]) {
      assert.throws(() => socket.close(code), {
        name: 'TypeError',
        message: 'First argument must be a valid error code number',
      });
    }
    assert.throws(() => socket.close(1000, 'x'.repeat(124)), RangeError);
    assert.equal(socket.readyState, WebSocket.OPEN);
  });

  test('tells messages that come before the other side has closed', async (t) => {
    const { url } = await startRaw(t, (peer, head) => {
      peer.write(acceptance(head));
      peer.once('data', () => peer.end(Buffer.concat([frame(1, 'last words'), frame(8)])));
    });
    const socket = new WebSocket(url);
    const heard = [];
    socket.on('message', (data) => heard.push(`${data}`));
    socket.on('open', () => socket.close());
    await once(socket, 'close');
    assert.deepEqual(heard, ['last words']);
  });
});

describe('pause and resume', () => {
  test('hold back what arrives', async (t) => {
    const { url } = await startServer(t, echo);
    for (const Class of [WebSocket, StandardWebSocket]) {
      const socket = new Class(url);
      assert.equal(socket.isPaused, false);
      socket.pause();
      assert.equal(socket.isPaused, false);
      await once(socket, 'open');
      socket.pause();
      assert.equal(socket.isPaused, true);
      let isHeard = false;
      socket.on('message', () => {
        isHeard = true;
      });
      socket.send('x');
      await new Promise((resolve) => setTimeout(resolve, 100));
      assert.equal(isHeard, false);
      socket.resume();
      assert.equal(socket.isPaused, false);
      await once(socket, 'message');
      socket.close();
      await once(socket, 'close');
    }
  });
});

describe("the EventTarget's side", () => {
  test('is one order with the emitter, and counts there', async (t) => {
    const { url } = await startServer(t, (peer) => peer.send('x'));
    const socket = new WebSocket(url);
    const order = [];
    socket.on('message', () => order.push('on'));
    socket.onmessage = () => order.push('handler');
    const listener = { handleEvent: ({ data, target, type }) => order.push(data, target === socket, type) };
    socket.addEventListener('message', listener);
    socket.addEventListener('message', listener);
    socket.addEventListener('message', () => order.push('once'), { once: true });
    assert.equal(socket.listenerCount('message'), 4);
    assert.deepEqual(await once(socket, 'message').then(([data, isBinary]) => [`${data}`, isBinary]), [
      'x',
      false,
    ]);
    assert.deepEqual(order, ['on', 'handler', 'x', true, 'message', 'once']);
    assert.equal(socket.listenerCount('message'), 3);
    socket.removeEventListener('message', listener);
    assert.equal(socket.listenerCount('message'), 2);
    socket.onmessage = 5;
    assert.equal(socket.onmessage, null);
    socket.removeAllListeners();
    assert.equal(socket.listenerCount('message'), 0);
  });

  test('has an ErrorEvent for error, and a CloseEvent for close', async () => {
    const socket = new WebSocket('ws://127.0.0.1:6');
    const error = await new Promise((resolve) => {
      socket.onerror = resolve;
    });
    assert.deepEqual(
      [error.type, error.error.code, error.message, error.target],
      ['error', 'ECONNREFUSED', error.error.message, socket],
    );
    const other = new WebSocket('ws://127.0.0.1:6');
    other.onerror = () => {};
    const close = await new Promise((resolve) => {
      other.onclose = resolve;
    });
    assert.deepEqual([close.code, close.reason, close.wasClean], [1006, '', false]);
  });

  test('ignores other types, and dispatches what it is given', () => {
    const socket = new WebSocket('ws://127.0.0.1:6');
    socket.on('error', () => {});
    socket.addEventListener('ping', () => {});
    assert.equal(socket.listenerCount('ping'), 0);
    let heard;
    socket.onopen = (event) => {
      heard = event;
      event.preventDefault();
    };
    const event = new Event('open', { cancelable: true });
    assert.equal(socket.dispatchEvent(event), false);
    assert.equal(heard, event);
    socket.terminate();
  });
});

describe('properties', () => {
  test('binaryType is one of four', async (t) => {
    const { url } = await startServer(t, echo);
    const socket = new WebSocket(url);
    await once(socket, 'open');
    assert.equal(socket.binaryType, 'nodebuffer');
    const heard = [];
    socket.onmessage = ({ data }) => heard.push(data);
    for (const type of ['nodebuffer', 'arraybuffer', 'fragments', 'blob', 'nonsense']) {
      socket.binaryType = type;
      socket.send(Buffer.from('x'));
      await once(socket, 'message');
    }
    assert.equal(socket.binaryType, 'blob');
    const [buffer, arrayBuffer, fragments, blob] = heard;
    assert.ok(Buffer.isBuffer(buffer) && arrayBuffer instanceof ArrayBuffer && blob instanceof Blob);
    assert.deepEqual(fragments, [Buffer.from('x')]);
  });

  test('_socket, extensions and protocol are what they are in ws', async (t) => {
    const { server, url } = await startServer(t, undefined, { perMessageDeflate: true });
    const socket = new WebSocket(url, 'chat');
    assert.equal(socket._socket, null);
    await once(socket, 'open');
    assert.equal(socket._socket.remotePort, server.address().port);
    assert.equal(socket.extensions, 'permessage-deflate');
    assert.equal(socket.protocol, 'chat');
    assert.equal(socket.constructor, WebSocket);
  });

  test('the standard class has the same events on its emitter, and Buffers until it is told otherwise', async (t) => {
    const { url } = await startServer(t, echo);
    const socket = new StandardWebSocket(url);
    await once(socket, 'open');
    socket.send(Buffer.from('x'));
    assert.deepEqual(await once(socket, 'message'), [Buffer.from('x'), true]);
    socket.send('text');
    assert.deepEqual(await once(socket, 'message'), [Buffer.from('text'), false]);
    socket.binaryType = 'arraybuffer';
    socket.send(Buffer.from('x'));
    assert.ok((await once(socket, 'message'))[0] instanceof ArrayBuffer);
    socket.close(3000, 'done');
    assert.deepEqual(await once(socket, 'close'), [3000, Buffer.from('done')]);
  });
});

describe('Sender', () => {
  test('gives frames that were made once to a socket', async (t) => {
    const { url } = await startServer(t, echo);
    const socket = new WebSocket(url);
    await once(socket, 'open');
    for (const [data, opcode, isBinary] of [
      ['text', 1, false],
      [Buffer.from('bytes'), 2, true],
    ]) {
      socket._sender.sendFrame(
        WebSocket.Sender.frame(data, { readOnly: false, mask: false, rsv1: false, opcode, fin: true }),
        () => {},
      );
      assert.deepEqual(await once(socket, 'message'), [Buffer.from(data), isBinary]);
    }
  });
});
