// WebSockets Standard, send(data) and bufferedAmount.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import vm from 'node:vm';
import { WebSocket } from 'vaiven';
import { echo, next, startServer } from './peers.mjs';

/** An open socket, and what its server received so far: strings for text, Buffers for bytes. */
async function talking(t, options) {
  const received = [];
  const { url } = await startServer(t, (peer) => {
    peer.on('message', (data, isBinary) => received.push(isBinary ? data : data.toString()));
  });
  const socket = new WebSocket(url, options);
  await next(socket, 'open');
  return { socket, received };
}

/** Closes, and waits until everything arrived. */
async function finish(socket) {
  socket.close();
  await next(socket, 'close');
}

describe('what can be sent', () => {
  test('before the connection is open, nothing: an InvalidStateError', () => {
    const socket = new WebSocket('ws://127.0.0.1:6/');
    assert.throws(
      () => socket.send('x'),
      (error) => error instanceof DOMException && error.name === 'InvalidStateError' && error.code === 11,
    );
    assert.equal(socket.bufferedAmount, 0);
    socket.close();
    assert.equal(socket.send('x'), undefined);
    assert.equal(socket.bufferedAmount, 1);
  });

  test('text of any kind arrives as text', async (t) => {
    const { socket, received } = await talking(t);
    const texts = ['', 'a', 'ñ', '日本', '🦜', 'a\0b', 'a'.repeat(70_000), 'ñ'.repeat(70_000)];
    for (const text of texts) socket.send(text);
    await finish(socket);
    assert.deepEqual(received, texts);
  });

  test('lone surrogates are replaced, pairs are not', async (t) => {
    const { socket, received } = await talking(t);
    for (const text of ['\ud800', 'a\udfffb', '\udc00\ud800', '\ud83e\udd9c', `${'x'.repeat(40_000)}\ud800`])
      socket.send(text);
    await finish(socket);
    assert.deepEqual(received, ['\ufffd', 'a\ufffdb', '\ufffd\ufffd', '🦜', `${'x'.repeat(40_000)}\ufffd`]);
  });

  test('an ArrayBuffer and every view of one arrive as bytes', async (t) => {
    const { socket, received } = await talking(t);
    const bytes = Uint8Array.from({ length: 32 }, (_, index) => index);
    const views = [
      Int8Array,
      Uint8Array,
      Uint8ClampedArray,
      Int16Array,
      Uint16Array,
      Int32Array,
      Uint32Array,
      Float32Array,
      Float64Array,
      BigInt64Array,
      BigUint64Array,
      DataView,
    ].map((View) => new View(bytes.buffer, 8, 2));
    socket.send(bytes.buffer);
    for (const view of views) socket.send(view);
    socket.send(Buffer.from('buffer'));
    socket.send(new ArrayBuffer(0));
    await finish(socket);
    const expected = views.map((view) => Buffer.from(bytes.subarray(8, 8 + view.byteLength)));
    assert.deepEqual(received, [Buffer.from(bytes), ...expected, Buffer.from('buffer'), Buffer.alloc(0)]);
  });

  test('buffers of another realm are buffers', async (t) => {
    const { socket, received } = await talking(t);
    socket.send(vm.runInNewContext('new ArrayBuffer(2)'));
    socket.send(vm.runInNewContext('Uint8Array.of(1)'));
    await finish(socket);
    assert.deepEqual(received, [Buffer.of(0, 0), Buffer.of(1)]);
  });

  test('everything else is made a string', async (t) => {
    const { socket, received } = await talking(t);
    const things = [
      null,
      undefined,
      1,
      true,
      {},
      [1, 2],
      () => 1,
      { toString: () => 'own' },
      new SharedArrayBuffer(2),
      1n,
    ];
    for (const thing of things) socket.send(thing);
    await finish(socket);
    assert.deepEqual(received, [
      'null',
      'undefined',
      '1',
      'true',
      '[object Object]',
      '1,2',
      '() => 1',
      'own',
      '[object SharedArrayBuffer]',
      '1',
    ]);
  });

  test('a symbol, shared memory in a view and a resizable buffer are TypeErrors', async (t) => {
    const { socket, received } = await talking(t);
    const resizable = new ArrayBuffer(1, { maxByteLength: 2 });
    for (const thing of [
      Symbol('x'),
      new Uint8Array(new SharedArrayBuffer(2)),
      resizable,
      new Uint8Array(resizable),
    ]) {
      assert.throws(() => socket.send(thing), TypeError);
    }
    assert.throws(() => socket.send(), TypeError);
    await finish(socket);
    assert.deepEqual(received, []);
  });

  test('a buffer whose memory was taken away is the empty message', async (t) => {
    const { socket, received } = await talking(t);
    const buffer = new ArrayBuffer(8);
    const view = new Uint8Array(buffer);
    structuredClone(buffer, { transfer: [buffer] });
    socket.send(buffer);
    socket.send(view);
    await finish(socket);
    assert.deepEqual(received, [Buffer.alloc(0), Buffer.alloc(0)]);
  });

  test('bytes are those of the moment of the call', async (t) => {
    const { socket, received } = await talking(t);
    for (const size of [8, 20_000, 200_000]) {
      const bytes = new Uint8Array(size).fill(1);
      socket.send(bytes);
      bytes.fill(2);
    }
    await finish(socket);
    assert.deepEqual(
      received.map((bytes) => [bytes.length, bytes.every((byte) => byte === 1)]),
      [
        [8, true],
        [20_000, true],
        [200_000, true],
      ],
    );
  });
});

describe('a Blob', () => {
  test('keeps its place between what comes before and behind it', async (t) => {
    const { socket, received } = await talking(t);
    const bytes = Uint8Array.of(9);
    socket.send('before');
    socket.send(new Blob(['blob ', Uint8Array.of(0x31)]));
    socket.send('between');
    socket.send(bytes);
    bytes[0] = 8;
    socket.send(new Blob([]));
    socket.send('behind');
    await finish(socket);
    assert.deepEqual(received, [
      'before',
      Buffer.from('blob 1'),
      'between',
      Buffer.of(9),
      Buffer.alloc(0),
      'behind',
    ]);
  });

  for (const [what, send] of [
    ['a Buffer', (socket, buffer) => socket.send(buffer)],
    ['a Buffer sent as text', (socket, buffer) => socket.send(buffer, { binary: false })],
    [
      'a view of an ArrayBuffer',
      (socket, buffer) => socket.send(new DataView(buffer.buffer, buffer.byteOffset, 3)),
    ],
  ]) {
    test(`has ${what} behind it sent as it was when it was given`, async (t) => {
      const { socket, received } = await talking(t);
      const buffer = Buffer.from('abc');
      socket.send(new Blob(['x']));
      send(socket, buffer);
      buffer.fill('z');
      await finish(socket);
      assert.equal(String(received[1]), 'abc');
    });
  }

  test('counts in bufferedAmount from the call on', async (t) => {
    const { socket } = await talking(t);
    socket.send(new Blob(['12345']));
    socket.send('678');
    assert.equal(socket.bufferedAmount, 8);
    await finish(socket);
    assert.equal(socket.bufferedAmount, 0);
  });

  test('that cannot be read fails the connection', async (t) => {
    const { socket } = await talking(t);
    const blob = new Blob(['x']);
    blob.arrayBuffer = () => Promise.reject(new Error('the disk is gone'));
    const behind = new Promise((resolve) => {
      socket.send(blob);
      socket.send('behind', resolve);
    });
    const { error } = await next(socket, 'error');
    assert.match(error.message, /the disk is gone/);
    assert.ok((await behind) instanceof Error);
  });
});

describe('bufferedAmount', () => {
  test('grows with each call by the payload and not by the frame', async (t) => {
    const { socket } = await talking(t);
    socket.send('ñ');
    assert.equal(socket.bufferedAmount, 2);
    socket.send('\ud800');
    assert.equal(socket.bufferedAmount, 5);
    socket.send(new Uint16Array(4));
    assert.equal(socket.bufferedAmount, 13);
    socket.send('');
    assert.equal(socket.bufferedAmount, 13);
    socket.send(new Uint8Array(1_000_000));
    assert.equal(socket.bufferedAmount, 1_000_013);
    await finish(socket);
    assert.equal(socket.bufferedAmount, 0);
  });

  test('stays until the task is over, microtasks and ticks included', async (t) => {
    const { socket } = await talking(t);
    await new Promise((resolve) => setTimeout(resolve, 1));
    await new Promise((resolve, reject) => {
      setTimeout(async () => {
        try {
          socket.send('abc');
          await null;
          assert.equal(socket.bufferedAmount, 3);
          await new Promise(process.nextTick);
          assert.equal(socket.bufferedAmount, 3);
          resolve();
        } catch (error) {
          reject(error);
        }
      }, 1);
    });
    await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(socket.bufferedAmount, 0);
  });

  test('tells what the other side does not take', async (t) => {
    const { url } = await startServer(t, (peer) => peer.pause());
    const socket = new WebSocket(url);
    await next(socket, 'open');
    for (let index = 0; index < 64; index++) socket.send(new Uint8Array(1 << 20));
    assert.equal(socket.bufferedAmount, 64 << 20);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const waiting = socket.bufferedAmount;
    assert.ok(waiting > 0 && waiting <= 64 << 20, `${waiting}`);
    socket.terminate();
    await next(socket, 'close');
    assert.equal(socket.bufferedAmount, waiting);
  });

  test('only grows after close(), and stays after the end', async (t) => {
    const { socket, received } = await talking(t);
    socket.close();
    socket.send('abc');
    socket.send(new Uint8Array(2));
    socket.send(new Blob(['x']));
    assert.equal(socket.bufferedAmount, 6);
    await next(socket, 'close');
    assert.equal(socket.bufferedAmount, 6);
    socket.send('ñ');
    assert.equal(socket.bufferedAmount, 8);
    assert.deepEqual(received, []);
  });
});

describe('what ws adds to send', () => {
  test('a callback hears that the message left, or why it did not', async (t) => {
    const { socket } = await talking(t);
    assert.equal(await new Promise((resolve) => socket.send('a', resolve)), undefined);
    assert.equal(await new Promise((resolve) => socket.send('a', { compress: false }, resolve)), undefined);
    await finish(socket);
    const error = await new Promise((resolve) => socket.send('a', resolve));
    assert.equal(error.message, 'WebSocket is not open: readyState 3 (CLOSED)');
  });

  test('binary chooses the kind of the message', async (t) => {
    const { socket, received } = await talking(t);
    socket.send('text', { binary: true });
    socket.send(Buffer.from('bytes'), { binary: false });
    socket.send(new Blob(['blob']), { binary: false });
    await finish(socket);
    assert.deepEqual(received, [Buffer.from('text'), 'bytes', 'blob']);
  });

  test('compression makes what is long and repeats itself short', async (t) => {
    let read;
    const onConnection = (peer) => {
      read = () => peer._socket.bytesRead;
      echo(peer);
    };
    const { url } = await startServer(t, onConnection, { perMessageDeflate: true });
    const socket = new WebSocket(url);
    await next(socket, 'open');
    const text = 'again and '.repeat(10_000);
    for (const compress of [undefined, true, false]) {
      const before = read();
      socket.send(text, { compress });
      assert.equal((await next(socket, 'message')).data, text);
      assert.equal(read() - before < text.length / 10, compress !== false);
    }
  });
});
