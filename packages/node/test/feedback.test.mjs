// WebSockets Standard, "Feedback from the protocol": which events come, of which kind, when, and in which order.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { CloseEvent, MessageEvent, WebSocket } from 'vaiven';
import { acceptance, echo, frame, next, recordEvents, startRaw, startServer } from './peers.mjs';

describe('the events', () => {
  test('a conversation is open, message and close', async (t) => {
    const { url } = await startServer(t, (peer) => {
      peer.send('first');
      peer.send(Buffer.from([1, 2]));
      peer.close(4000, 'enough');
    });
    assert.deepEqual(await recordEvents(new WebSocket(url)), [
      'open',
      'message first',
      'message [object Blob]',
      'close 4000 enough true',
    ]);
  });

  test('open is a plain Event that is trusted', async (t) => {
    const { url } = await startServer(t);
    const socket = new WebSocket(url);
    const event = await next(socket, 'open');
    assert.equal(Object.getPrototypeOf(event), Event.prototype);
    assert.deepEqual(
      [event.isTrusted, event.bubbles, event.cancelable, event.target],
      [true, false, false, socket],
    );
  });

  test('message is a MessageEvent with the origin of the server', async (t) => {
    const { url } = await startServer(t, (peer) => peer.send('text'));
    const socket = new WebSocket(`${url}path`);
    const current = new Promise((resolve) => {
      socket.onmessage = (event) => resolve([event, event.currentTarget, event.eventPhase]);
    });
    const [event, currentTarget, eventPhase] = await current;
    assert.ok(
      event instanceof MessageEvent && event instanceof globalThis.MessageEvent && event instanceof Event,
    );
    assert.equal(Object.getPrototypeOf(event), MessageEvent.prototype);
    assert.equal(String(event), '[object MessageEvent]');
    assert.equal(event.constructor, MessageEvent);
    const { data, origin, lastEventId, source, ports, bubbles, cancelable, isTrusted, target } = event;
    assert.deepEqual(
      { data, origin, lastEventId, source, ports, bubbles, cancelable, isTrusted },
      {
        data: 'text',
        origin: new URL(url).origin,
        lastEventId: '',
        source: null,
        ports: [],
        bubbles: false,
        cancelable: false,
        isTrusted: true,
      },
    );
    assert.ok(Object.isFrozen(ports));
    assert.deepEqual([target, currentTarget, eventPhase], [socket, socket, Event.AT_TARGET]);
  });

  test('close is a CloseEvent', async (t) => {
    const { url } = await startServer(t, (peer) => peer.close(1011, 'ñ'));
    const event = await next(new WebSocket(url), 'close');
    assert.equal(Object.getPrototypeOf(event), CloseEvent.prototype);
    assert.deepEqual([event.code, event.reason, event.wasClean, event.isTrusted], [1011, 'ñ', true, true]);
  });

  test('a Close frame without a body has code 1005', async (t) => {
    const { url } = await startServer(t, (peer) => peer.close());
    assert.deepEqual(await recordEvents(new WebSocket(url)), ['open', 'close 1005  true']);
  });

  test('error is a plain Event that says why beside the standard', async () => {
    const event = await next(new WebSocket('ws://127.0.0.1:6/path?secret'), 'error');
    assert.equal(Object.getPrototypeOf(event), Event.prototype);
    assert.deepEqual(Object.keys(event), Object.keys(new Event('error')));
    assert.equal(event.isTrusted, true);
    assert.equal(event.error.code, 'ECONNREFUSED');
    assert.match(
      event.message,
      /^The WebSocket connection to 'ws:\/\/127\.0\.0\.1:6\/path' failed: .*ECONNREFUSED.*listening/,
    );
  });
});

describe('microtasks', () => {
  test('run between two messages that arrived together', async (t) => {
    const order = [];
    const { url } = await startRaw(t, (peer, head) => {
      peer.end(
        Buffer.concat([Buffer.from(acceptance(head)), frame(1, 'a'), frame(1, 'b'), frame(8, '\x03\xe8')]),
      );
    });
    const socket = new WebSocket(url);
    const later = (name) => {
      order.push(name);
      Promise.resolve()
        .then(() => {})
        .then(() => order.push(`after ${name}`));
    };
    socket.onopen = () => later('open');
    socket.onmessage = ({ data }) => later(data);
    await next(socket, 'close');
    assert.deepEqual(order, ['open', 'after open', 'a', 'after a', 'b', 'after b']);
  });

  test('run between error and close', async () => {
    const order = [];
    const socket = new WebSocket('ws://127.0.0.1:6/');
    socket.onerror = async () => {
      order.push(`error ${socket.readyState}`);
      await undefined;
      await undefined;
      order.push('after error');
    };
    await next(socket, 'close').then(() => order.push('close'));
    assert.deepEqual(order, ['error 3', 'after error', 'close']);
  });

  test('a listener that throws loses nothing of what follows', async (t) => {
    const uncaught = [];
    const catcher = (error) => uncaught.push(error.message);
    process.prependOnceListener('uncaughtException', catcher);
    const { url } = await startServer(t, (peer) => {
      for (const text of ['a', 'b', 'c']) peer.send(text);
      peer.close(1000);
    });
    const socket = new WebSocket(url);
    const lines = recordEvents(socket);
    const restore = takeUncaught(uncaught);
    socket.addEventListener('message', ({ data }) => {
      if (data === 'b') throw new Error('thrown by the listener');
    });
    assert.deepEqual(await lines, ['open', 'message a', 'message b', 'message c', 'close 1000  true']);
    restore();
    process.off('uncaughtException', catcher);
    assert.deepEqual(uncaught, ['thrown by the listener']);
  });
});

/** Has uncaught exceptions put here instead of failing the test run. */
function takeUncaught(into) {
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  const take = (error) => into.push(error.message);
  process.on('uncaughtException', take);
  return () => {
    process.off('uncaughtException', take);
    for (const other of others) process.on('uncaughtException', other);
  };
}

describe('a connection that is failed', () => {
  const FAILURES = {
    'a wrong accept key': (head) =>
      acceptance(head, { 'Sec-WebSocket-Accept': 'c29tZXRoaW5nIGVsc2UgZW50aXJlbHk=' }),
    'no accept key': (head) => acceptance(head, { 'Sec-WebSocket-Accept': null }),
    'the accept key twice': (head) => {
      const right = /Sec-WebSocket-Accept: (.*)\r/.exec(acceptance(head))[1];
      return acceptance(head, { 'Sec-WebSocket-Accept': [right, right] });
    },
    'no Upgrade': (head) => acceptance(head, { Upgrade: null }),
    'another Upgrade': (head) => acceptance(head, { Upgrade: 'h2c' }),
    'no Connection': (head) => acceptance(head, { Connection: null }),
    'another Connection': (head) => acceptance(head, { Connection: 'keep-alive' }),
    'a subprotocol that nobody asked for': (head) => acceptance(head, { 'Sec-WebSocket-Protocol': 'chat' }),
    'an extension that nobody offered': (head) => acceptance(head, { 'Sec-WebSocket-Extensions': 'x-mux' }),
    'a window of 16 bits': (head) =>
      acceptance(head, { 'Sec-WebSocket-Extensions': 'permessage-deflate; server_max_window_bits=16' }),
    'a window with a leading zero': (head) =>
      acceptance(head, { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits=08' }),
    'compression twice': (head) =>
      acceptance(head, { 'Sec-WebSocket-Extensions': 'permessage-deflate, permessage-deflate' }),
    'extensions that are malformed': (head) =>
      acceptance(head, { 'Sec-WebSocket-Extensions': 'permessage-deflate;;' }),
    'more than a hundred fields': (head) =>
      acceptance(head, { 'X-A': Array.from({ length: 101 }, () => 'a') }),
    'a field of more than 16 KiB': (head) => acceptance(head, { 'X-A': 'a'.repeat(17_000) }),
    'HTTP/1.0': (head) => acceptance(head).replace('HTTP/1.1', 'HTTP/1.0'),
    'status 200': () => 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi',
    'status 204': () => 'HTTP/1.1 204 No Content\r\n\r\n',
    'status 401': () => 'HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n',
    'a redirect': () => 'HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n',
    'nine interim answers': (head) => 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(9) + acceptance(head),
    'no HTTP': () => 'SSH-2.0-OpenSSH_9.9\r\n',
    nothing: () => '',
    'half a head': () => 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: webso',
  };
  for (const [what, answer] of Object.entries(FAILURES)) {
    test(`${what} is error, then close with 1006`, async (t) => {
      const { url } = await startRaw(t, (peer, head) => peer.end(answer(head), 'latin1'));
      assert.deepEqual(await recordEvents(new WebSocket(url)), ['error', 'close 1006  false']);
    });
  }

  test('a subprotocol that was asked for and not chosen is a failure', async (t) => {
    const { url } = await startRaw(t, (peer, head) => peer.write(acceptance(head)));
    assert.deepEqual(await recordEvents(new WebSocket(url, 'chat')), ['error', 'close 1006  false']);
  });

  test('a subprotocol in other letters is a failure', async (t) => {
    const { url } = await startRaw(t, (peer, head) => {
      peer.write(acceptance(head, { 'Sec-WebSocket-Protocol': 'CHAT' }));
    });
    assert.deepEqual(await recordEvents(new WebSocket(url, 'chat')), ['error', 'close 1006  false']);
  });

  test('eight interim answers are none', async (t) => {
    const { url } = await startRaw(t, (peer, head) => {
      peer.write('HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(8) + acceptance(head));
    });
    await next(new WebSocket(url), 'open');
  });

  test('no answer in time is a failure', async (t) => {
    const { url } = await startRaw(t, () => {});
    const socket = new WebSocket(url, { handshakeTimeout: 50 });
    const { error } = await next(socket, 'error');
    assert.equal(error.code, 'WS_ERR_HANDSHAKE_TIMEOUT');
  });

  const VIOLATIONS = {
    'a masked frame': Buffer.from([0x81, 0x81, 1, 2, 3, 4, 0x60]),
    'a reserved bit': Buffer.from([0xc1, 0x01, 0x61]),
    'a reserved opcode': Buffer.from([0x83, 0x00]),
    'a control frame of 126 bytes': Buffer.from([0x89, 0x7e, 0x00, 0x7e]),
    'a Close frame with half a code': Buffer.from([0x88, 0x01, 0x03]),
    'code 1006 in a Close frame': frame(8, Buffer.from([0x03, 0xee])),
    'a reason that is no UTF-8': frame(8, Buffer.from([0x03, 0xe8, 0xff])),
    'text that is no UTF-8': frame(1, Buffer.from([0xed, 0xa0, 0x80])),
    'a continuation of nothing': frame(0, 'a'),
  };
  for (const [what, bytes] of Object.entries(VIOLATIONS)) {
    test(`${what} is error, then close with 1006`, async (t) => {
      const { url } = await startRaw(t, (peer, head) => {
        peer.write(Buffer.concat([Buffer.from(acceptance(head)), bytes]));
        peer.on('data', () => peer.end());
      });
      assert.deepEqual(await recordEvents(new WebSocket(url)), ['open', 'error', 'close 1006  false']);
    });
  }

  test('a message beyond maxPayload is a failure with code 1009 for the other side', async (t) => {
    let code;
    const { url } = await startServer(t, (peer) => {
      peer.on('close', (received) => {
        code = received;
      });
      peer.send('a'.repeat(1024));
      peer.send('b'.repeat(1025));
    });
    const lines = await recordEvents(new WebSocket(url, { maxPayload: 1024 }));
    assert.deepEqual(lines, ['open', `message ${'a'.repeat(1024)}`, 'error', 'close 1006  false']);
    assert.equal(code, 1009);
  });

  test('an end without a Close frame is a failure', async (t) => {
    const { url } = await startServer(t, (peer) => peer.terminate());
    assert.deepEqual(await recordEvents(new WebSocket(url)), ['open', 'error', 'close 1006  false']);
  });

  test('the error comes when the socket is closed already, and in a task of its own', async () => {
    const socket = new WebSocket('ws://127.0.0.1:6/');
    let isInConstructor = true;
    socket.onerror = () => {
      assert.equal(isInConstructor, false);
      assert.equal(socket.readyState, WebSocket.CLOSED);
    };
    isInConstructor = false;
    await next(socket, 'close');
  });
});

describe('a message', () => {
  test('that comes with the answer waits for the event open', async (t) => {
    const { url } = await startRaw(t, (peer, head) => {
      peer.end(Buffer.concat([Buffer.from(acceptance(head)), frame(1, 'early'), frame(8)]));
    });
    assert.deepEqual(await recordEvents(new WebSocket(url)), ['open', 'message early', 'close 1005  true']);
  });

  test('after close() was called is not told', async (t) => {
    const { url } = await startServer(t, (peer) => {
      peer.on('message', () => {
        peer.send('too late');
        peer.close(1001);
      });
    });
    const socket = new WebSocket(url);
    const lines = recordEvents(socket);
    socket.onopen = () => {
      socket.send('go');
      socket.close();
      assert.equal(socket.readyState, WebSocket.CLOSING);
    };
    // Who closes first hears the other's answer, which is its own code.
    assert.equal((await lines).filter((line) => line.startsWith('message')).length, 0);
  });

  test('is what binaryType says when it is told', async (t) => {
    const { url } = await startServer(t, echo);
    const socket = new WebSocket(url);
    await next(socket, 'open');
    socket.send(Uint8Array.of(1, 2, 3));
    const { data: blob } = await next(socket, 'message');
    assert.ok(blob instanceof Blob);
    assert.deepEqual(new Uint8Array(await blob.arrayBuffer()), Uint8Array.of(1, 2, 3));
    assert.equal(blob.type, '');
    socket.binaryType = 'arraybuffer';
    socket.send(Uint8Array.of(4));
    const { data: buffer } = await next(socket, 'message');
    assert.equal(Object.getPrototypeOf(buffer), ArrayBuffer.prototype);
    assert.deepEqual(new Uint8Array(buffer), Uint8Array.of(4));
    for (const nonsense of ['nodebuffer', 'BLOB', '', null, undefined, {}]) {
      socket.binaryType = nonsense;
      assert.equal(socket.binaryType, 'arraybuffer');
    }
    assert.throws(() => {
      socket.binaryType = Symbol('blob');
    }, TypeError);
  });

  test('of any length arrives whole, as text and as bytes', async (t) => {
    const { url } = await startServer(t, echo, { perMessageDeflate: true });
    const socket = new WebSocket(url);
    socket.binaryType = 'arraybuffer';
    await next(socket, 'open');
    for (const length of [0, 1, 125, 126, 65_535, 65_536, 1_000_000]) {
      for (const text of ['a'.repeat(length), 'ñ'.repeat(length), '🦜'.repeat(length)]) {
        socket.send(text);
        assert.equal((await next(socket, 'message')).data, text);
      }
      const bytes = new Uint8Array(length).map((_, index) => index * 7);
      socket.send(bytes);
      assert.deepEqual(Buffer.from((await next(socket, 'message')).data), Buffer.from(bytes));
    }
  });
});

describe('the ready state', () => {
  test('is CLOSING in the tasks between the Close frame and the end', async (t) => {
    const { url } = await startRaw(t, (peer, head) => {
      peer.write(Buffer.concat([Buffer.from(acceptance(head)), frame(8, Buffer.from([0x03, 0xe9]))]));
      peer.on('data', () => setTimeout(() => peer.end(), 50));
    });
    const socket = new WebSocket(url);
    await next(socket, 'open');
    await delay(20);
    assert.equal(socket.readyState, WebSocket.CLOSING);
    const { code } = await next(socket, 'close');
    assert.equal(code, 1001);
    assert.equal(socket.readyState, WebSocket.CLOSED);
  });
});
