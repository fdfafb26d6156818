// WebSocketStream and WebSocketError against npm `ws`, step by step as the explainer has them.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import vaiven, { setBaseURL, WebSocketError, WebSocketStream } from 'vaiven';
import { WebSocketServer } from 'ws';

const MIB = 1024 * 1024;

let server;
let url;
/** What the server does with a connection, by the path of its URL. */
const behaviours = {
  '/echo': (peer) => peer.on('message', (data, isBinary) => peer.send(data, { binary: isBinary })),
  '/farewell': (peer) => peer.close(4567, 'bye'),
  '/goodbye': (peer) => peer.on('message', (data) => String(data) === 'Goodbye' && peer.close(1000)),
  '/abrupt': (peer) => peer._socket.end(),
  '/deaf': (peer) => peer._socket.pause(),
  '/silent': () => {},
};

before(async () => {
  server = new WebSocketServer({ port: 0, host: '127.0.0.1', maxPayload: 128 * MIB });
  server.on('connection', (peer, request) => {
    peer.on('error', () => {});
    behaviours[request.url]?.(peer);
  });
  await once(server, 'listening');
  url = `ws://127.0.0.1:${server.address().port}`;
});

after(() => {
  for (const peer of server.clients) peer.terminate();
  server.close();
});

async function open(path, options) {
  const socket = new WebSocketStream(url + path, options);
  return { socket, ...(await socket.opened) };
}

/** The reason of a promise that has to be rejected. */
async function rejection(promise) {
  return promise.then(
    () => assert.fail('the promise was fulfilled'),
    (reason) => reason,
  );
}

/** Whether the promise is still pending after a while in which it could have been settled. */
async function isPending(promise) {
  return (await Promise.race([promise.then(() => 'over'), sleep(300, 'pending')])) === 'pending';
}

const named = (name) => (error) => error instanceof DOMException && error.name === name;

describe('the constructor', () => {
  for (const [what, parameters, expected] of [
    ['no URL', [], TypeError],
    ['a relative URL without a base', ['/path'], named('SyntaxError')],
    ['a URL of another scheme', ['ftp://host/'], named('SyntaxError')],
    ['a URL with a fragment', ['ws://host/#top'], named('SyntaxError')],
    ['options that are no object', ['ws://host/', true], TypeError],
    ['subprotocols that are no list', ['ws://host/', { protocols: 'chat' }], TypeError],
    ['a subprotocol twice', ['ws://host/', { protocols: ['chat', 'Chat'] }], named('SyntaxError')],
    ['a subprotocol with a space', ['ws://host/', { protocols: ['a b'] }], named('SyntaxError')],
    ['a signal that is none', ['ws://host/', { signal: {} }], TypeError],
  ]) {
    test(`throws for ${what}`, () => {
      assert.throws(() => new WebSocketStream(...parameters), expected);
    });
  }

  test('names its class in its errors', () => {
    assert.throws(() => new WebSocketStream('mailto:a@b'), /Failed to construct 'WebSocketStream'/);
  });

  test('resolves the URL against the base and turns http: into ws:', () => {
    setBaseURL('http://127.0.0.1:9/folder/');
    const socket = new WebSocketStream('room');
    setBaseURL(undefined);
    assert.equal(socket.url, 'ws://127.0.0.1:9/folder/room');
  });
});

describe('the opening', () => {
  test('gives two streams and what was agreed on', async () => {
    const { socket, readable, writable, protocol, extensions } = await open('/echo', {
      protocols: ['alpha', 'beta'],
    });
    assert.ok(readable instanceof ReadableStream);
    assert.ok(writable instanceof WritableStream);
    assert.deepEqual([protocol, extensions], ['alpha', '']);
    assert.equal(socket.url, `${url}/echo`);
    socket.close();
    await socket.closed;
  });

  test('rejects both promises with one WebSocketError where the server refuses', async () => {
    const refusing = net.createServer((peer) => peer.end('HTTP/1.1 404 Not Found\r\n\r\n'));
    refusing.listen(0, '127.0.0.1');
    await once(refusing, 'listening');
    const socket = new WebSocketStream(`ws://127.0.0.1:${refusing.address().port}/`);
    const error = await rejection(socket.opened);
    assert.ok(error instanceof WebSocketError);
    assert.match(error.message, /404/);
    assert.equal(await rejection(socket.closed), error);
    refusing.close();
  });

  test('that fails where nobody looks is no unhandled rejection', async () => {
    const rejections = [];
    const keep = (reason) => rejections.push(reason);
    process.on('unhandledRejection', keep);
    new WebSocketStream('ws://127.0.0.1:9/');
    await sleep(100);
    process.off('unhandledRejection', keep);
    assert.deepEqual(rejections, []);
  });

  test('does not begin where the signal is aborted already', async () => {
    const visits = [];
    const quiet = net.createServer((peer) => visits.push(peer)).listen(0, '127.0.0.1');
    await once(quiet, 'listening');
    const signal = AbortSignal.abort(new Error('changed my mind'));
    const socket = new WebSocketStream(`ws://127.0.0.1:${quiet.address().port}/`, { signal });
    assert.equal(await rejection(socket.opened), signal.reason);
    assert.equal(await rejection(socket.closed), signal.reason);
    socket.close();
    await sleep(100);
    assert.deepEqual(visits, []);
    quiet.close();
  });

  test('is given up when the signal is aborted meanwhile, and so is its TCP connection', async () => {
    const quiet = net.createServer().listen(0, '127.0.0.1');
    await once(quiet, 'listening');
    const controller = new AbortController();
    const { signal } = controller;
    const socket = new WebSocketStream(`ws://127.0.0.1:${quiet.address().port}/`, { signal });
    const [peer] = await once(quiet, 'connection');
    peer.on('error', () => {});
    peer.resume();
    controller.abort();
    assert.equal(await rejection(socket.opened), signal.reason);
    assert.equal(await rejection(socket.closed), signal.reason);
    await once(peer, 'close');
    quiet.close();
  });

  test('that is over takes no notice of the signal', async () => {
    const controller = new AbortController();
    const { socket, readable, writable } = await open('/echo', { signal: controller.signal });
    controller.abort();
    await writable.getWriter().write('still here');
    assert.equal((await readable.getReader().read()).value, 'still here');
    socket.close();
    await socket.closed;
  });

  test('is given up by close()', async () => {
    const socket = new WebSocketStream(`${url}/echo`);
    socket.close();
    assert.ok((await rejection(socket.opened)) instanceof WebSocketError);
    assert.ok((await rejection(socket.closed)) instanceof WebSocketError);
  });
});

describe('messages', () => {
  test('travel as what they are, in order, whatever their length', async () => {
    const { socket, readable, writable } = await open('/echo');
    const bytes = Uint8Array.from({ length: 300_000 }, (_, index) => index);
    const sent = [
      '',
      'plain',
      'ñ and 🌊',
      'v'.repeat(100_000),
      bytes,
      new DataView(bytes.buffer, 7, 9),
      bytes.buffer,
    ];
    const writer = writable.getWriter();
    const writing = Promise.all(sent.map((message) => writer.write(message)));
    const expected = sent.map((message) =>
      typeof message === 'string'
        ? message
        : ArrayBuffer.isView(message)
          ? new Uint8Array(message.buffer, message.byteOffset, message.byteLength)
          : new Uint8Array(message),
    );
    const reader = readable.getReader();
    for (const message of expected) assert.deepEqual((await reader.read()).value, message);
    await writing;
    socket.close();
    await socket.closed;
  });

  test('that are no text and no bytes are sent as strings, with lone surrogates replaced', async () => {
    const { socket, readable, writable } = await open('/echo');
    const writer = writable.getWriter();
    const reader = readable.getReader();
    for (const [message, expected] of [
      [42, '42'],
      [null, 'null'],
      ['a\ud800b', 'a\ufffdb'],
    ]) {
      await writer.write(message);
      assert.equal((await reader.read()).value, expected);
    }
    socket.close();
    await socket.closed;
  });

  test('may change as soon as they are written', async () => {
    const { socket, readable, writable } = await open('/echo');
    const bytes = new Uint8Array(100_000).fill(1);
    const written = writable.getWriter().write(bytes);
    bytes.fill(2);
    await written;
    const { value } = await readable.getReader().read();
    assert.ok(value.every((byte) => byte === value[0]));
    socket.close();
    await socket.closed;
  });

  for (const [what, message] of [
    ['cannot be turned into a string', { toString: () => ({}) }],
    ['is a symbol', Symbol('message')],
    ['is shared memory', new Uint8Array(new SharedArrayBuffer(8))],
    ['is a resizable buffer', new ArrayBuffer(8, { maxByteLength: 16 })],
  ]) {
    test(`a message that ${what} is a TypeError`, async () => {
      const { writable } = await open('/echo');
      await assert.rejects(writable.getWriter().write(message), TypeError);
    });
  }
});

describe('backpressure', () => {
  test('holds a server back while nobody reads, and nothing is lost', async () => {
    const count = 64;
    let peer;
    behaviours['/flood'] = (connected) => {
      peer = connected;
      for (let index = 0; index < count; index++) peer.send(new Uint8Array(MIB).fill(index));
    };
    const { socket, readable } = await open('/flood', { perMessageDeflate: false });
    await sleep(500);
    // The kernel holds a few messages and the readable one; all the others are still in the server.
    const held = peer.bufferedAmount;
    assert.ok(held > 16 * MIB, `the server holds ${held} bytes`);
    const reader = readable.getReader();
    for (let index = 0; index < count; index++) {
      const { value } = await reader.read();
      assert.deepEqual([value.length, value[0], value.at(-1)], [MIB, index, index]);
    }
    socket.close();
    await socket.closed;
  });

  test('holds a writer back while the server does not read', async () => {
    let peer;
    behaviours['/later'] = (connected) => {
      peer = connected;
      peer._socket.pause();
    };
    const { socket, writable } = await open('/later', { perMessageDeflate: false });
    const writer = writable.getWriter();
    const written = writer.write(new Uint8Array(32 * MIB));
    assert.ok(await isPending(written), 'the write is over before the server read');
    assert.equal(writer.desiredSize, 0);
    const received = once(peer, 'message');
    peer._socket.resume();
    await written;
    assert.equal((await received)[0].length, 32 * MIB);
    socket.close();
    await socket.closed;
  });

  test('does not keep close() from ending the connection behind messages that nobody reads', async () => {
    behaviours['/chatty'] = (peer) => {
      for (let index = 0; index < 32; index++) peer.send(new Uint8Array(MIB));
    };
    const { socket, readable } = await open('/chatty', { perMessageDeflate: false });
    await sleep(100);
    socket.close({ closeCode: 4000 });
    assert.deepEqual(await socket.closed, { closeCode: 4000, reason: '' });
    // What was in the readable can still be read.
    const reader = readable.getReader();
    assert.equal((await reader.read()).done, false);
  });

  test('does not keep abort() from ending a connection with a server that does not read', async () => {
    const { socket, writable } = await open('/deaf', { perMessageDeflate: false, closeTimeout: 200 });
    const writer = writable.getWriter();
    const written = rejection(writer.write(new Uint8Array(32 * MIB)));
    assert.ok(await isPending(written));
    writer.abort(new Error('too slow')).catch(() => {});
    assert.equal((await rejection(socket.closed)).closeCode, 1006);
    await written;
  });
});

describe('the end', () => {
  for (const [info, closeCode, reason] of [
    [undefined, 1005, ''],
    [{}, 1005, ''],
    [{ closeCode: 1000 }, 1000, ''],
    [{ closeCode: 3456, reason: 'pizza' }, 3456, 'pizza'],
    [{ reason: 'a reason alone' }, 1000, 'a reason alone'],
    [{ reason: '' }, 1005, ''],
  ]) {
    test(`close(${JSON.stringify(info) ?? ''}) sends ${closeCode} and '${reason}'`, async () => {
      const { socket } = await open('/echo');
      socket.close(info);
      assert.deepEqual(await socket.closed, { closeCode, reason });
    });
  }

  for (const [info, expected] of [
    [{ closeCode: 999 }, named('InvalidAccessError')],
    [{ closeCode: 1001 }, named('InvalidAccessError')],
    [{ closeCode: 2999 }, named('InvalidAccessError')],
    [{ closeCode: 5000 }, named('InvalidAccessError')],
    [{ closeCode: 65_536 }, TypeError],
    [{ closeCode: Number.NaN }, TypeError],
    [{ reason: 'x'.repeat(124) }, named('SyntaxError')],
    [{ reason: '🔌'.repeat(31) }, named('SyntaxError')],
    [true, TypeError],
  ]) {
    test(`close(${JSON.stringify(info)?.slice(0, 40)}) throws and leaves the connection open`, async () => {
      const { socket, readable, writable } = await open('/echo');
      assert.throws(() => socket.close(info), expected);
      await writable.getWriter().write('open');
      assert.equal((await readable.getReader().read()).value, 'open');
      socket.close();
      await socket.closed;
    });
  }

  test('by the server closes the readable and makes writing an InvalidStateError', async () => {
    const { socket, readable, writable } = await open('/farewell');
    assert.deepEqual(await socket.closed, { closeCode: 4567, reason: 'bye' });
    assert.equal((await readable.getReader().read()).done, true);
    assert.ok(named('InvalidStateError')(await rejection(writable.getWriter().ready)));
  });

  test('without a Close frame gives one WebSocketError to everybody', async () => {
    const { socket, readable, writable } = await open('/abrupt');
    const error = await rejection(socket.closed);
    assert.ok(error instanceof WebSocketError);
    assert.deepEqual([error.closeCode, error.reason], [1006, '']);
    assert.equal(await rejection(readable.getReader().read()), error);
    assert.equal(await rejection(writable.getWriter().ready), error);
  });

  test('in the middle of a write gives the writer that error too', async () => {
    let peer;
    behaviours['/mortal'] = (connected) => {
      peer = connected;
      peer._socket.pause();
    };
    const { socket, writable } = await open('/mortal', { perMessageDeflate: false });
    const written = writable.getWriter().write(new Uint8Array(32 * MIB));
    assert.ok(await isPending(written));
    peer.terminate();
    const error = await rejection(written);
    assert.equal(error.closeCode, 1006);
    assert.equal(await rejection(socket.closed), error);
  });

  test('of the writable waits for the closing handshake', async () => {
    let peer;
    behaviours['/slow-close'] = (connected) => {
      peer = connected;
      peer._socket.pause();
    };
    const { socket, writable } = await open('/slow-close');
    const closing = writable.getWriter().close();
    assert.ok(await isPending(closing));
    peer._socket.resume();
    await closing;
    assert.deepEqual(await socket.closed, { closeCode: 1005, reason: '' });
  });

  test('of the writable is rejected where the server does not answer', async () => {
    const { socket, writable } = await open('/deaf', { closeTimeout: 100 });
    const closing = rejection(writable.getWriter().close());
    const error = await rejection(socket.closed);
    assert.equal(error.closeCode, 1006);
    assert.equal(await closing, error);
  });

  test('a write behind close() is an InvalidStateError and not a lost message', async () => {
    const { socket, writable } = await open('/echo');
    socket.close();
    assert.ok(named('InvalidStateError')(await rejection(writable.getWriter().write('too late'))));
    assert.deepEqual(await socket.closed, { closeCode: 1005, reason: '' });
  });

  test('a message that was on its way when the server said goodbye is reported as not written', async () => {
    const { socket, writable } = await open('/goodbye', { perMessageDeflate: false });
    const writer = writable.getWriter();
    const goodbye = writer.write('Goodbye');
    const written = rejection(writer.write(new Uint8Array(16 * MIB)));
    await goodbye;
    const error = await rejection(socket.closed);
    assert.ok(error instanceof WebSocketError);
    assert.equal(error.closeCode, 1000);
    const reason = await written;
    assert.ok(named('InvalidStateError')(reason));
    assert.equal(await rejection(writer.write('more')), reason);
  });

  test('a rule that the server breaks fails the connection', async () => {
    behaviours['/broken'] = (peer) => peer._socket.write(Buffer.from([0x83, 0x00]));
    const { socket, readable } = await open('/broken');
    const error = await rejection(socket.closed);
    assert.ok(error instanceof WebSocketError);
    assert.match(error.message, /opcode/);
    assert.equal(await rejection(readable.getReader().read()), error);
  });

  test('a message that is longer than maxPayload fails the connection', async () => {
    const { socket, writable } = await open('/echo', { maxPayload: 10 });
    const writer = writable.getWriter();
    await writer.write('x'.repeat(10));
    await writer.write('x'.repeat(11));
    assert.match((await rejection(socket.closed)).message, /Max payload size exceeded/);
  });

  for (const [stream, method] of [
    ['readable', 'cancel'],
    ['writable', 'abort'],
  ]) {
    for (const [what, make, closeCode, reason] of [
      ['nothing', () => undefined, 1005, ''],
      ['an object that looks like a close', () => ({ closeCode: 3333, reason: 'no' }), 1005, ''],
      ['a DOMException', () => new DOMException('no', 'DataCloneError'), 1005, ''],
      ['a code', () => new WebSocketError('', { closeCode: 3333 }), 3333, ''],
      ['a code and a reason', () => new WebSocketError('', { closeCode: 3333, reason: 'y' }), 3333, 'y'],
      ['a reason', () => new WebSocketError('', { reason: 'y' }), 1000, 'y'],
    ]) {
      test(`${method} of the ${stream} with ${what} sends ${closeCode}`, async () => {
        const opened = await open('/echo');
        opened[stream][method](make());
        assert.deepEqual(await opened.socket.closed, { closeCode, reason });
      });
    }

    test(`${method} of the ${stream} with the error of another connection sends no code`, async () => {
      const lost = await open('/abrupt');
      const error = await rejection(lost.socket.closed);
      const opened = await open('/echo');
      opened[stream][method](error);
      assert.deepEqual(await opened.socket.closed, { closeCode: 1005, reason: '' });
    });
  }
});

describe('WebSocketError', () => {
  test('is a DOMException of its own name, with nothing told', () => {
    const error = new WebSocketError();
    assert.ok(error instanceof DOMException && error instanceof WebSocketError && error instanceof Error);
    assert.deepEqual(
      [error.name, error.code, error.message, error.closeCode, error.reason],
      ['WebSocketError', 0, '', null, ''],
    );
    assert.equal(Object.prototype.toString.call(error), '[object WebSocketError]');
  });

  for (const [init, closeCode, reason] of [
    [{ closeCode: 3456, reason: 'reason' }, 3456, 'reason'],
    [{ closeCode: 1000 }, 1000, ''],
    [{ reason: 'alone' }, 1000, 'alone'],
    [{ reason: 'x'.repeat(123) }, 1000, 'x'.repeat(123)],
    [null, null, ''],
  ]) {
    test(`keeps ${JSON.stringify(init)?.slice(0, 40)}`, () => {
      const error = new WebSocketError('message', init);
      assert.deepEqual([error.message, error.closeCode, error.reason], ['message', closeCode, reason]);
    });
  }

  for (const [init, expected] of [
    [{ closeCode: 999 }, named('InvalidAccessError')],
    [{ closeCode: 1001 }, named('InvalidAccessError')],
    [{ closeCode: 5000 }, named('InvalidAccessError')],
    [{ closeCode: -1 }, TypeError],
    [{ reason: 'x'.repeat(124) }, named('SyntaxError')],
    [7, TypeError],
  ]) {
    test(`throws for ${JSON.stringify(init).slice(0, 40)}`, () => {
      assert.throws(() => new WebSocketError('', init), expected);
    });
  }
});

test('both faces of the package give the same classes', () => {
  assert.equal(vaiven.WebSocketStream, WebSocketStream);
  assert.equal(vaiven.WebSocketError, WebSocketError);
});
