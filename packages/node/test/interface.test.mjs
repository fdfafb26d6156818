// Web IDL: what the class and its members are, and what they do with wrong arguments and receivers.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';
import vaiven, * as names from 'vaiven';
import { CloseEvent, ErrorEvent, MessageEvent, WebSocket } from 'vaiven';
import { echo, next, startServer } from './peers.mjs';

const ATTRIBUTES = ['url', 'readyState', 'bufferedAmount', 'extensions', 'protocol'];
const SETTABLE = ['onopen', 'onmessage', 'onerror', 'onclose', 'binaryType'];
const METHODS = { close: 0, send: 1 };
const STATES = { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 };

/** A socket that is on its way to nowhere. */
function made() {
  const socket = new WebSocket('ws://127.0.0.1:6/');
  socket.close();
  return socket;
}

describe('the class', () => {
  test('is one of EventTarget', () => {
    assert.equal(Object.getPrototypeOf(WebSocket), EventTarget);
    assert.equal(Object.getPrototypeOf(WebSocket.prototype), EventTarget.prototype);
    assert.equal(WebSocket.name, 'WebSocket');
    assert.equal(WebSocket.length, 1);
    assert.equal(String(made()), '[object WebSocket]');
    assert.equal(Object.getOwnPropertyDescriptor(WebSocket, 'prototype').writable, false);
  });

  test('needs new and an argument', () => {
    assert.throws(() => WebSocket('ws://127.0.0.1:6/'), TypeError);
    assert.throws(
      () => new WebSocket(),
      /TypeError: Failed to construct 'WebSocket': 1 argument required, but only 0 present\./,
    );
  });

  test('has the states as constants, on itself and on the prototype', () => {
    for (const [name, value] of Object.entries(STATES)) {
      for (const object of [WebSocket, WebSocket.prototype]) {
        assert.deepEqual(Object.getOwnPropertyDescriptor(object, name), {
          value,
          writable: false,
          enumerable: true,
          configurable: false,
        });
      }
    }
  });

  test('can be extended', async (t) => {
    class Own extends WebSocket {
      heard = [];
      constructor(...parameters) {
        super(...parameters);
        this.onmessage = ({ data }) => this.heard.push(data);
      }
    }
    const { url } = await startServer(t, (peer) => peer.send('x'));
    const socket = new Own(url);
    await next(socket, 'message');
    assert.deepEqual(socket.heard, ['x']);
    assert.ok(socket instanceof WebSocket);
  });

  test('is the same whoever loads it, and require gives the socket of ws', () => {
    const required = createRequire(import.meta.url)('vaiven');
    assert.equal(required, vaiven);
    assert.equal(required.WebSocket, WebSocket);
    assert.ok(required.prototype instanceof WebSocket);
    for (const name of Object.keys(names))
      if (name !== 'default') assert.equal(required[name], names[name], name);
  });
});

describe('members of the interface', () => {
  for (const name of [...ATTRIBUTES, ...SETTABLE]) {
    test(`${name} is an accessor of the prototype`, () => {
      const { get, set, enumerable, configurable } = Object.getOwnPropertyDescriptor(
        WebSocket.prototype,
        name,
      );
      assert.deepEqual([enumerable, configurable], [true, true]);
      assert.equal(get.name, `get ${name}`);
      assert.equal(set === undefined, ATTRIBUTES.includes(name));
      for (const receiver of [undefined, null, {}, WebSocket.prototype, new EventTarget(), 1]) {
        assert.throws(() => get.call(receiver), TypeError);
        if (set) assert.throws(() => set.call(receiver, null), TypeError);
      }
      const socket = made();
      const value = socket[name];
      if (!set)
        assert.throws(() => {
          socket[name] = 'x';
        }, TypeError);
      assert.equal(socket[name], value);
    });
  }

  for (const [name, length] of Object.entries(METHODS)) {
    test(`${name} is a method of the prototype`, () => {
      const { value, enumerable, configurable, writable } = Object.getOwnPropertyDescriptor(
        WebSocket.prototype,
        name,
      );
      assert.deepEqual([enumerable, configurable, writable], [true, true, true]);
      assert.deepEqual([value.name, value.length], [name, length]);
      for (const receiver of [undefined, null, {}, WebSocket.prototype, new EventTarget()]) {
        assert.throws(() => value.call(receiver, 'x'), TypeError);
      }
    });
  }

  test('an object has none of its own', () => {
    assert.deepEqual(
      Reflect.ownKeys(made()).filter((key) => typeof key === 'string'),
      [],
    );
  });

  test('send() without an argument says so', () => {
    assert.throws(
      () => made().send(),
      /Failed to execute 'send' on 'WebSocket': 1 argument required, but only 0 present\./,
    );
  });
});

describe('event handlers', () => {
  for (const type of ['open', 'message', 'error', 'close']) {
    const name = `on${type}`;
    test(`${name} takes functions, keeps objects and makes all else null`, () => {
      const socket = made();
      const handler = () => {};
      for (const value of [handler, {}, { handleEvent() {} }, [], class {}]) {
        socket[name] = value;
        assert.equal(socket[name], value);
      }
      for (const value of [null, undefined, 1, 'x', true, Symbol('x'), 1n]) {
        socket[name] = handler;
        socket[name] = value;
        assert.equal(socket[name], null);
      }
    });

    test(`${name} has its place among the listeners from when it was set first`, () => {
      const socket = made();
      const calls = [];
      const call = (what) => () => calls.push(what);
      socket.addEventListener(type, call('first'));
      socket[name] = call('old');
      socket.addEventListener(type, call('last'));
      socket[name] = call('new');
      socket.dispatchEvent(new Event(type));
      assert.deepEqual(calls.splice(0), ['first', 'new', 'last']);
      socket[name] = null;
      socket.dispatchEvent(new Event(type));
      assert.deepEqual(calls.splice(0), ['first', 'last']);
      socket[name] = call('again');
      socket.dispatchEvent(new Event(type));
      assert.deepEqual(calls, ['first', 'last', 'again']);
    });

    test(`${name} is called with the socket as this; false prevents the default`, () => {
      const socket = made();
      let receiver;
      socket[name] = function () {
        receiver = this;
        return false;
      };
      const event = new Event(type, { cancelable: true });
      assert.equal(socket.dispatchEvent(event), false);
      assert.equal(receiver, socket);
      for (const other of [0, '', null, undefined, true]) {
        socket[name] = () => other;
        assert.equal(socket.dispatchEvent(new Event(type, { cancelable: true })), true);
      }
    });

    test(`an object as ${name} is never called`, () => {
      const socket = made();
      socket[name] = { handleEvent: () => assert.fail('it was called') };
      socket.dispatchEvent(new Event(type));
    });
  }
});

describe('CloseEvent', () => {
  const read = ({ type, wasClean, code, reason, bubbles, cancelable }) => ({
    type,
    wasClean,
    code,
    reason,
    bubbles,
    cancelable,
  });
  const NOTHING = { type: 'x', wasClean: false, code: 0, reason: '', bubbles: false, cancelable: false };

  test('has defaults, and converts what it is given', () => {
    for (const init of [undefined, null, {}]) assert.deepEqual(read(new CloseEvent('x', init)), NOTHING);
    assert.deepEqual(
      read(
        new CloseEvent('x', {
          wasClean: 1,
          code: 65_537.9,
          reason: 'a\ud800',
          bubbles: true,
          cancelable: true,
        }),
      ),
      { type: 'x', wasClean: true, code: 1, reason: 'a\ufffd', bubbles: true, cancelable: true },
    );
    assert.equal(new CloseEvent('x', { code: -1 }).code, 65_535);
    assert.equal(new CloseEvent('x', { code: '3000' }).code, 3000);
    assert.equal(new CloseEvent('x', { code: Number.NaN }).code, 0);
  });

  test('needs new, a type and a dictionary', () => {
    assert.throws(() => new CloseEvent(), TypeError);
    assert.throws(() => CloseEvent('x'), TypeError);
    assert.throws(() => new CloseEvent('x', 1), TypeError);
    assert.throws(() => new CloseEvent('x', { code: 1n }), TypeError);
    assert.throws(() => new CloseEvent('x', { reason: Symbol('x') }), TypeError);
    assert.equal(CloseEvent.length, 1);
  });
});

describe('MessageEvent', () => {
  test('has defaults, and converts what it is given', () => {
    const read = ({ type, data, origin, lastEventId, source, ports }) => [
      type,
      data,
      origin,
      lastEventId,
      source,
      ports,
    ];
    for (const init of [undefined, null, {}]) {
      assert.deepEqual(read(new MessageEvent('x', init)), ['x', null, '', '', null, []]);
    }
    const ports = [{}];
    const event = new MessageEvent('x', { data: 1, origin: 'a\ud800', lastEventId: 2, ports });
    assert.deepEqual(read(event), ['x', 1, 'a\ufffd', '2', null, ports]);
    assert.ok(Object.isFrozen(event.ports) && event.ports !== ports);
    assert.equal(event.isTrusted, false);
  });

  test('needs new, a type and a dictionary', () => {
    assert.throws(() => new MessageEvent(), TypeError);
    assert.throws(() => MessageEvent('x'), TypeError);
    assert.throws(() => new MessageEvent('x', 1), TypeError);
    assert.throws(() => new MessageEvent('x', { origin: Symbol('x') }), TypeError);
    assert.equal(MessageEvent.length, 1);
  });
});

test('ErrorEvent carries an error', () => {
  const error = new Error('x');
  const event = new ErrorEvent('error', { error, message: 'x', filename: 'f', lineno: 1, colno: 2 });
  const { message, filename, lineno, colno } = event;
  assert.deepEqual([event.error, message, filename, lineno, colno], [error, 'x', 'f', 1, 2]);
  assert.equal(new ErrorEvent('error').message, '');
  assert.throws(() => new ErrorEvent(), TypeError);
});

describe('two dozen shapes of wrong argument', () => {
  const SHAPES = [
    undefined,
    null,
    true,
    false,
    0,
    -1,
    1.5,
    Number.NaN,
    Infinity,
    1n,
    '',
    'x',
    Symbol('x'),
    {},
    [],
    [[]],
    () => {},
    class {},
    new Date(),
    /x/,
    new Map(),
    new Proxy({}, {}),
    Object.create(null),
    {
      toString: () => {
        throw new RangeError('own');
      },
    },
  ];

  /** Either nothing is thrown, or what the standard and Web IDL allow, or what the argument itself throws. */
  function check(call) {
    try {
      call();
    } catch (error) {
      const isAllowed =
        error instanceof TypeError ||
        error.message === 'own' ||
        (error instanceof DOMException &&
          ['SyntaxError', 'InvalidAccessError', 'InvalidStateError'].includes(error.name));
      assert.ok(isAllowed, `${error.name}: ${error.message}`);
    }
  }

  test('make no method of the standard or of ws crash or throw anything else', async (t) => {
    const { url } = await startServer(t, echo);
    const open = new WebSocket(url);
    await next(open, 'open');
    const closed = made();
    await next(closed, 'close');
    for (const socket of [made(), open, closed]) {
      for (const shape of SHAPES) {
        check(() => socket.send(shape));
        // A function there is the callback, and a class as one throws when it is called.
        if (typeof shape !== 'function')
          for (const name of ['ping', 'pong']) check(() => socket[name](shape));
        for (const name of SETTABLE) {
          check(() => {
            socket[name] = shape;
          });
          // A class as a handler is called, and throws: that is right, and not for here.
          socket[name] = null;
        }
        if (shape) check(() => socket.addEventListener(shape, shape, shape));
        check(() => socket.removeEventListener(shape, shape, shape));
        check(() => socket.dispatchEvent(shape));
      }
    }
    for (const shape of SHAPES) {
      check(() => new WebSocket(shape).close());
      check(() => new WebSocket('ws://127.0.0.1:6/', shape).close());
      check(() => new WebSocket('ws://127.0.0.1:6/', [], shape).close());
      check(() => closed.close(shape, shape));
      check(() => new CloseEvent(shape, shape));
    }
    assert.equal(open.readyState, WebSocket.OPEN);
    for (const shape of SHAPES) check(() => open.close(shape, shape));
  });
});
