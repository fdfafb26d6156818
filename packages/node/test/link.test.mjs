// Links against npm `ws`, in both roles, over real sockets.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import WebSocket, { WebSocketServer } from 'ws';
import { clientFrame, dial, Recorder, rawClient, serve } from './support.mjs';

/** A server of links, the newest of which is `accepted`. */
function useServer(options, extensions) {
  const state = { accepted: undefined };
  before(async () => {
    const make = () => {
      state.accepted = new Recorder();
      return state.accepted;
    };
    Object.assign(state, await serve(make, options, extensions));
  });
  after(() => state.server.close());
  return state;
}

async function connect(url, options = { perMessageDeflate: false }) {
  const peer = new WebSocket(url, options);
  peer.on('error', () => {});
  await once(peer, 'open');
  return peer;
}

const LENGTHS = [0, 1, 125, 126, 1000, 4095, 4096, 16_384, 16_385, 65_535, 65_536, 300_000, 1 << 20];

describe('a link in the role of the server', () => {
  const state = useServer();

  test('is carried in the way that the environment asks for', async () => {
    const peer = await connect(state.url);
    const isStream = process.env.VAIVEN_TRANSPORT === 'stream' || process.platform !== 'linux';
    const { transport } = state.accepted.link;
    assert.equal(transport.constructor.name, isStream ? 'StreamTransport' : 'LoopTransport');
    peer.terminate();
    await state.accepted.named('ended');
  });

  test('gets messages of every length and kind as they were sent', async () => {
    const peer = await connect(state.url);
    const expected = [];
    for (const length of LENGTHS) {
      const bytes = Buffer.alloc(length, length & 0xff);
      const ascii = 'v'.repeat(length);
      const text = 'é'.repeat(length >> 1);
      for (const data of [bytes, ascii, text]) {
        peer.send(data);
        expected.push(['message', data]);
      }
    }
    assert.deepEqual(await state.accepted.first(expected.length), expected);
    peer.terminate();
    assert.equal((await state.accepted.named('ended'))[0], 'ended');
  });

  test('sends messages of every length and kind', async () => {
    const peer = await connect(state.url);
    const received = [];
    peer.on('message', (data, isBinary) => received.push(isBinary ? data : data.toString()));
    const expected = [];
    for (const length of LENGTHS) {
      const bytes = Buffer.alloc(length, length & 0xff);
      const text = 'é𝄞v'.repeat(length >> 3);
      state.accepted.link.sendBinary(bytes);
      state.accepted.link.sendText(text);
      state.accepted.link.sendText(Buffer.from(text));
      expected.push(bytes, text, text);
    }
    state.accepted.link.close(1000, '');
    await once(peer, 'close');
    assert.deepEqual(received, expected);
  });

  test('replaces lone surrogates', async () => {
    const peer = await connect(state.url);
    state.accepted.link.sendText('a\ud800b');
    const [data] = await once(peer, 'message');
    assert.equal(data.toString(), 'a\ufffdb');
    peer.terminate();
  });

  test('answers a ping with its payload, and tells of it and of pongs', async () => {
    const peer = await connect(state.url);
    peer.ping('there?');
    const [payload] = await once(peer, 'pong');
    assert.equal(payload.toString(), 'there?');
    state.accepted.link.ping(Buffer.from('and you?'));
    assert.deepEqual(await state.accepted.first(2), [
      ['ping', 'there?'],
      ['pong', 'and you?'],
    ]);
    peer.terminate();
  });

  test('answers a Close frame with its code and ends the connection first', async () => {
    const peer = await connect(state.url);
    peer.close(4001, 'reason');
    const [code] = await once(peer, 'close');
    assert.equal(code, 4001);
    assert.deepEqual(await state.accepted.first(2), [
      ['close', 4001, 'reason'],
      ['ended', null],
    ]);
  });

  test('begins the closing handshake', async () => {
    const peer = await connect(state.url);
    state.accepted.link.close(4002, 'enough');
    const [code, reason] = await once(peer, 'close');
    assert.deepEqual([code, reason.toString()], [4002, 'enough']);
    assert.deepEqual(await state.accepted.first(2), [
      ['close', 4002, 'enough'],
      ['ended', null],
    ]);
  });

  test('a Close frame without a code stands for 1005', async () => {
    const peer = await connect(state.url);
    peer.close();
    await once(peer, 'close');
    assert.deepEqual((await state.accepted.first(1))[0], ['close', 1005, '']);
  });

  test('answers to messages in the same read go before the answer to the Close frame behind them', async () => {
    const socket = await rawClient(state.port);
    const { accepted } = state;
    accepted.message = (bytes, start, end) => {
      accepted.link.sendText(bytes.utf8Slice(start, end));
      return false;
    };
    socket.write(
      Buffer.concat([
        clientFrame(0x81, Buffer.from('one')),
        clientFrame(0x81, Buffer.from('two')),
        clientFrame(0x88),
      ]),
    );
    const chunks = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    await once(socket, 'end');
    socket.destroy();
    assert.equal(Buffer.concat(chunks).toString('latin1'), '\x81\x03one\x81\x03two\x88\x00');
  });

  test('a broken rule is told with its code and name, and the peer gets the code', async () => {
    const socket = await rawClient(state.port);
    socket.write(Buffer.from([0x81, 0x01, 0x61]));
    const chunks = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    await once(socket, 'end');
    socket.destroy();
    const [violation] = await state.accepted.first(1);
    assert.deepEqual(violation.slice(0, 3), ['violation', 1002, 'UnmaskedFrame']);
    assert.match(violation[3], /unmasked frame \(RFC 6455 5\.1\)/);
    assert.deepEqual(Buffer.concat(chunks).subarray(2, 4), Buffer.from([0x03, 0xea]));
  });

  test('messages before a broken rule are told, and answered', async () => {
    const socket = await rawClient(state.port);
    const { accepted } = state;
    accepted.message = () => {
      accepted.link.sendText('yes');
      return accepted.record('message');
    };
    socket.write(
      Buffer.concat([clientFrame(0x81, Buffer.from('?')), clientFrame(0x81, Buffer.from([0xff]))]),
    );
    const chunks = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    await once(socket, 'end');
    socket.destroy();
    const events = await accepted.first(2);
    assert.deepEqual(events[1].slice(0, 3), ['violation', 1007, 'InvalidUtf8']);
    assert.equal(Buffer.concat(chunks).subarray(0, 5).toString('latin1'), '\x81\x03yes');
  });

  test('every split of a conversation gives the same events', async () => {
    const wire = Buffer.concat([
      clientFrame(0x01, Buffer.from('vai')),
      clientFrame(0x89, Buffer.from('?')),
      clientFrame(0x80, Buffer.from('vén')),
      clientFrame(0x82, Buffer.alloc(300, 7)),
      clientFrame(0x88, Buffer.from([0x03, 0xe8])),
    ]);
    const expected = [
      ['ping', '?'],
      ['message', 'vaivén'],
      ['message', Buffer.alloc(300, 7)],
      ['close', 1000, ''],
    ];
    for (let cut = 1; cut < wire.length; cut += 7) {
      const socket = await rawClient(state.port);
      socket.setNoDelay(true);
      socket.resume();
      socket.write(wire.subarray(0, cut));
      await new Promise(setImmediate);
      socket.write(wire.subarray(cut));
      assert.deepEqual(await state.accepted.first(4), expected, `cut at ${cut}`);
      socket.destroy();
    }
  });

  test('parts of a message leave as its fragments', async () => {
    const peer = await connect(state.url);
    const { link } = state.accepted;
    link.sendFragment('vai', true, false);
    link.ping(Buffer.from('between'));
    link.sendFragment('v', true, false);
    link.sendFragment('én', true, true);
    const [[data]] = await Promise.all([once(peer, 'message'), once(peer, 'ping')]);
    assert.equal(data.toString(), 'vaivén');
    link.sendFragment(Buffer.from('a'), false, true);
    assert.deepEqual((await once(peer, 'message'))[0], Buffer.from('a'));
    link.sendFragment('x', true, false);
    link.sendText('y');
    assert.equal((await once(peer, 'message'))[0].toString(), 'xy');
    peer.terminate();
  });

  test('tells when messages are handed over, in their order, and counts what waits', async () => {
    const peer = await connect(state.url);
    const { link } = state.accepted;
    const order = [];
    link.sendText('é', undefined, () => order.push(1));
    link.sendBinary(Buffer.alloc(100_000), undefined, () => order.push(2));
    assert.equal(link.bufferedAmount, 100_002);
    await new Promise((resolve) => link.sendText('', undefined, resolve));
    assert.deepEqual(order, [1, 2]);
    assert.equal(link.bufferedAmount, 0);
    peer.terminate();
  });

  test('what a peer does not take waits, is counted, and is taken later', async () => {
    const peer = await connect(state.url);
    const { link } = state.accepted;
    peer.pause();
    const total = 64 << 20;
    for (let sent = 0; sent < total; sent += 1 << 20) {
      link.sendBinary(Buffer.alloc(1 << 20));
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    const waiting = link.bufferedAmount;
    assert.ok(waiting > 0 && waiting < total + 1, `${waiting} bytes wait`);
    let received = 0;
    peer.on('message', (data) => {
      received += data.length;
    });
    peer.resume();
    await state.accepted.named('drained');
    assert.equal(link.bufferedAmount, 0);
    peer.close();
    await once(peer, 'close');
    assert.equal(received, total);
  });

  test('reads nothing while it is paused', async () => {
    const peer = await connect(state.url);
    const { accepted } = state;
    accepted.link.pause();
    peer.send('one');
    await new Promise((resolve) => setTimeout(resolve, 30));
    assert.deepEqual(accepted.events, []);
    accepted.link.resume();
    assert.deepEqual(await accepted.first(1), [['message', 'one']]);
    peer.terminate();
  });

  test('abort drops the connection; nothing more can be sent', async () => {
    const peer = await connect(state.url);
    const { accepted } = state;
    const refused = [];
    accepted.link.abort();
    accepted.link.sendText('late', undefined, (error) => refused.push(error.code));
    const [code] = await once(peer, 'close');
    assert.equal(code, 1006);
    assert.deepEqual(await accepted.named('ended'), ['ended', null]);
    accepted.link.sendBinary(Buffer.alloc(1), undefined, (error) => refused.push(error.code));
    accepted.link.ping(Buffer.alloc(0));
    accepted.link.close(1000, '');
    accepted.link.end();
    accepted.link.pause();
    accepted.link.resume();
    accepted.link.ref();
    accepted.link.unref();
    await new Promise(setImmediate);
    assert.deepEqual(refused, ['ERR_VAIVEN_NOT_OPEN', 'ERR_VAIVEN_NOT_OPEN']);
  });

  test('bytes may change as soon as they were sent', async () => {
    const peer = await connect(state.url);
    for (const length of [10, 20_000, 2_000_000]) {
      const bytes = Buffer.alloc(length, 1);
      state.accepted.link.sendBinary(bytes);
      bytes.fill(2);
      const [data] = await once(peer, 'message');
      assert.deepEqual(data, Buffer.alloc(length, 1));
    }
    peer.terminate();
  });

  test('a peer that ends without a Close frame ends the link', async () => {
    const socket = await rawClient(state.port);
    socket.end(clientFrame(0x81, Buffer.from('last')));
    assert.deepEqual(await state.accepted.first(2), [
      ['message', 'last'],
      ['ended', null],
    ]);
  });
});

describe('a link with limits', () => {
  const state = useServer({ maxPayload: 1000, maxFragments: 3, maxIdleFrames: 5 });

  test('takes a message of the limit and refuses one byte more', async () => {
    const peer = await connect(state.url);
    peer.send(Buffer.alloc(999));
    peer.send(Buffer.alloc(1000));
    peer.send(Buffer.alloc(1001));
    const [code] = await once(peer, 'close');
    assert.equal(code, 1009);
    const events = await state.accepted.first(3);
    assert.deepEqual(events[2].slice(0, 3), ['violation', 1009, 'MessageTooLarge']);
  });

  test('takes so many fragments and no more', async () => {
    for (const [fragments, name] of [
      [3, 'message'],
      [4, 'violation'],
    ]) {
      const socket = await rawClient(state.port);
      socket.write(clientFrame(0x01, Buffer.from('a')));
      for (let index = 2; index < fragments; index++) {
        socket.write(clientFrame(0x00, Buffer.from('a')));
      }
      socket.write(clientFrame(0x80, Buffer.from('a')));
      const [event] = await state.accepted.first(1);
      assert.equal(event[0], name);
      socket.destroy();
    }
  });

  test('takes so many pings and no more', async () => {
    const socket = await rawClient(state.port);
    for (let index = 0; index < 6; index++) {
      socket.write(clientFrame(0x89));
    }
    const events = await state.accepted.first(6);
    assert.deepEqual(
      events.map(([name]) => name),
      ['ping', 'ping', 'ping', 'ping', 'ping', 'violation'],
    );
    assert.equal(events[5][2], 'FrameFlood');
    socket.destroy();
  });
});

const DEFLATE = {
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  serverMaxWindowBits: 15,
  clientMaxWindowBits: 15,
  level: 1,
  threshold: 1024,
};

describe('a link with compression', () => {
  const alone = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover';
  const state = useServer({ deflate: DEFLATE }, alone);

  test('compresses what is long enough, or as a message asks for', async () => {
    const peer = await connect(state.url, { perMessageDeflate: { threshold: 0 } });
    const { link } = state.accepted;
    const text = 'vaivén '.repeat(1000);
    for (const [compress, isShort] of [
      [undefined, true],
      [false, false],
      [true, true],
    ]) {
      const before = peer._socket.bytesRead;
      link.sendText(text, compress);
      const [data] = await once(peer, 'message');
      assert.equal(data.toString(), text);
      assert.equal(peer._socket.bytesRead - before < 1000, isShort, `compress: ${compress}`);
    }
    const before = peer._socket.bytesRead;
    link.sendText('a'.repeat(100));
    await once(peer, 'message');
    assert.equal(peer._socket.bytesRead - before, 102);
    peer.send(text);
    assert.deepEqual(await state.accepted.first(1), [['message', text]]);
    assert.equal(link.heldBytes, 0);
    peer.terminate();
  });

  test('refuses a message that inflates beyond the limit', async () => {
    const peer = await connect(state.url, { perMessageDeflate: { threshold: 0 } });
    peer.send(Buffer.alloc(1 << 20));
    peer.send(Buffer.alloc((1 << 20) + 1));
    await once(peer, 'close');
    const events = await state.accepted.first(2);
    assert.equal(events[0][1].length, 1 << 20);
    assert.equal(events[1][2], 'MessageTooLarge');
  });

  test('refuses a compressed message that is none', async () => {
    const socket = await rawClient(state.port);
    socket.write(clientFrame(0xc1, Buffer.from([0xff, 0xff, 0xff])));
    assert.equal((await state.accepted.first(1))[0][2], 'InvalidDeflate');
    socket.destroy();
  });
});

describe('a link with compression that refers to earlier messages', () => {
  const deflate = { ...DEFLATE, serverNoContextTakeover: false, clientNoContextTakeover: false };
  const state = useServer({ deflate }, 'permessage-deflate');

  test('compresses better, and owns memory for it', async () => {
    const peer = await connect(state.url, { perMessageDeflate: { threshold: 0 } });
    const { link } = state.accepted;
    const text = Array.from({ length: 300 }, (_, index) => `${index * 7919}`).join();
    const lengths = [];
    for (let round = 0; round < 2; round++) {
      const before = peer._socket.bytesRead;
      link.sendText(text);
      const [data] = await once(peer, 'message');
      assert.equal(data.toString(), text);
      lengths.push(peer._socket.bytesRead - before);
    }
    assert.ok(lengths[1] < lengths[0] / 4, lengths.join());
    assert.ok(link.heldBytes > 100_000);
    peer.send(text);
    peer.send(text);
    assert.deepEqual(await state.accepted.first(2), [
      ['message', text],
      ['message', text],
    ]);
    peer.terminate();
  });
});

describe('a link that leaves pongs to its owner', () => {
  const state = useServer({ autoPong: false });

  test('answers no ping by itself', async () => {
    const peer = await connect(state.url);
    peer.ping('a');
    peer.on('pong', (payload) => assert.equal(payload.toString(), 'mine'));
    await state.accepted.named('ping');
    state.accepted.link.pong(Buffer.from('mine'));
    await once(peer, 'pong');
    peer.terminate();
  });
});

describe('a link with keepalive', () => {
  const state = useServer({ keepalive: { interval: 500, timeout: 500 } });

  test('pings a silent peer, and gives up one that does not answer', async () => {
    const peer = await connect(state.url);
    await once(peer, 'ping');
    await state.accepted.named('pong');
    peer.terminate();
    const silent = await rawClient(state.port);
    silent.pause();
    assert.deepEqual(await state.accepted.named('ended'), ['ended', 'ETIMEDOUT']);
    silent.destroy();
  });
});

describe('a link in the role of the client', () => {
  test('talks to a server in messages of every length and kind', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    server.on('connection', (peer) => peer.on('message', (data, binary) => peer.send(data, { binary })));
    await once(server, 'listening');
    const recorder = new Recorder();
    const link = await dial(server.address().port, recorder);
    const expected = [];
    for (const length of LENGTHS) {
      const bytes = Buffer.alloc(length, length & 0xff);
      const text = 'é'.repeat(length >> 1);
      link.sendBinary(bytes);
      link.sendText(text);
      expected.push(['message', bytes], ['message', text]);
    }
    assert.deepEqual(await recorder.first(expected.length), expected);
    link.close(4000, 'done');
    const events = (await recorder.first(expected.length + 2)).slice(-2);
    assert.deepEqual(events, [
      ['close', 4000, 'done'],
      ['ended', null],
    ]);
    server.close();
  });

  test('answers the Close frame of a server and waits for it to end the connection', async () => {
    const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    server.on('connection', (peer) => peer.close(4003, 'away'));
    await once(server, 'listening');
    const recorder = new Recorder();
    await dial(server.address().port, recorder);
    assert.deepEqual(await recorder.first(2), [
      ['close', 4003, 'away'],
      ['ended', null],
    ]);
    server.close();
  });
});

describe('a handler', () => {
  const state = useServer();

  test('that asks for it has microtasks and ticks run before the next event', async () => {
    const socket = await rawClient(state.port);
    const { accepted } = state;
    const order = [];
    accepted.message = (bytes, start, end) => {
      const name = bytes.latin1Slice(start, end);
      order.push(name);
      Promise.resolve()
        .then(() => {})
        .then(() => order.push(`${name} microtask`));
      process.nextTick(() => order.push(`${name} tick`));
      return true;
    };
    socket.write(Buffer.concat(['a', 'b', 'c'].map((name) => clientFrame(0x81, Buffer.from(name)))));
    socket.end();
    await accepted.named('ended');
    assert.deepEqual(
      order.filter((name) => name.length === 1),
      ['a', 'b', 'c'],
    );
    for (const name of ['a', 'b']) {
      const next = order.indexOf(String.fromCharCode(name.charCodeAt(0) + 1));
      assert.ok(order.indexOf(`${name} microtask`) < next, order.join());
      assert.ok(order.indexOf(`${name} tick`) < next, order.join());
    }
  });

  test('that does not ask gets the next event at once', async () => {
    const socket = await rawClient(state.port);
    const { accepted } = state;
    const order = [];
    accepted.message = (bytes, start, end) => {
      const name = bytes.latin1Slice(start, end);
      order.push(name);
      queueMicrotask(() => order.push(`${name} microtask`));
      return false;
    };
    socket.write(Buffer.concat(['a', 'b'].map((name) => clientFrame(0x81, Buffer.from(name)))));
    socket.end();
    await accepted.named('ended');
    assert.deepEqual(order, ['a', 'b', 'a microtask', 'b microtask']);
  });

  test('that throws does not keep the events behind it from being told', async () => {
    const socket = await rawClient(state.port);
    const { accepted } = state;
    const thrown = [];
    const listeners = process.rawListeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', (error) => thrown.push(error.message));
    accepted.message = (bytes, start, end) => {
      const name = bytes.latin1Slice(start, end);
      accepted.record(name);
      throw new Error(name);
    };
    socket.write(Buffer.concat(['a', 'b', 'c'].map((name) => clientFrame(0x81, Buffer.from(name)))));
    socket.end();
    await accepted.named('ended');
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) {
      process.on('uncaughtException', listener);
    }
    assert.deepEqual(accepted.events, [['a'], ['b'], ['c'], ['ended', null]]);
    assert.deepEqual(thrown, ['a', 'b', 'c']);
  });

  test('that aborts gets no further message', async () => {
    const socket = await rawClient(state.port);
    const { accepted } = state;
    accepted.message = () => {
      accepted.link.abort();
      return accepted.record('message');
    };
    socket.write(Buffer.concat(['a', 'b'].map((name) => clientFrame(0x81, Buffer.from(name)))));
    await accepted.named('ended');
    assert.deepEqual(accepted.events, [['message'], ['ended', null]]);
    socket.destroy();
  });
});
