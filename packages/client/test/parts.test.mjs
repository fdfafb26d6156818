// The parts that need no server: parsers, payloads, loops, the events of a page.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Clock } from '../dist/clock.js';
import { EventStreamParser } from '../dist/event-stream.js';
import { MessageStream } from '../dist/message-stream.js';
import { readUrl } from '../dist/options.js';
import { watchPage } from '../dist/page.js';
import { toBody } from '../dist/payload.js';
import { decode, encode, isTooDeep } from '../dist/protocol.js';
import { seeded } from './virtual-time.mjs';

describe('a stream of events', () => {
  const TEXT =
    ': comment\n\ndata: one\n\nevent: binary\r\ndata:AQI=\r\n\r\ndata: a\rdata: b\r\rid: 1\nevent: x\n\ndata\n\ndata: end';
  const EVENTS = [
    ['message', 'one'],
    ['binary', 'AQI='],
    ['message', 'a\nb'],
    ['message', ''],
  ];

  /** Feeds the text in these pieces. */
  function parse(pieces) {
    const events = [];
    const parser = new EventStreamParser((...event) => events.push(event));
    for (const piece of pieces) parser.feed(piece);
    return events;
  }

  test('is read whole, character by character and at seeded cuts', () => {
    assert.deepEqual(parse([TEXT]), EVENTS);
    assert.deepEqual(parse([...TEXT]), EVENTS);
    for (let seed = 1; seed <= 200; seed += 1) {
      const random = seeded(seed);
      const pieces = [];
      for (let at = 0; at < TEXT.length; ) {
        const end = at + 1 + Math.floor(random() * 12);
        pieces.push(TEXT.slice(at, end));
        at = end;
      }
      assert.deepEqual(parse(pieces), EVENTS, `seed ${seed}`);
    }
  });
});

describe('a message', () => {
  test('with bytes is a line and the bytes, and is read back', () => {
    const encoded = encode({ type: 'publish', channel: 'ñ' }, new Uint8Array([10, 0]));
    const { data, ...fields } = decode(encoded.buffer);
    assert.deepEqual(
      [fields, new Uint8Array(data)],
      [{ type: 'publish', channel: 'ñ' }, new Uint8Array([10, 0])],
    );
  });

  test('that is none is none', () => {
    const bytes = (text) => new TextEncoder().encode(text).buffer;
    for (const wrong of [
      '',
      '1',
      'null',
      '[]',
      '{}',
      '{"type":1}',
      'x',
      bytes('{"type":"a"}x'),
      bytes('\n'),
    ]) {
      assert.equal(decode(wrong), undefined, `${wrong}`);
    }
  });

  test('nests 64 deep at most, the message itself counted', () => {
    const nest = (depth) => '['.repeat(depth) + ']'.repeat(depth);
    assert.deepEqual(
      [62, 63, 64].map((depth) => isTooDeep(nest(depth))),
      [false, false, true],
    );
    assert.equal(
      isTooDeep(JSON.stringify(`"\\${'['.repeat(100)}`)),
      false,
      'brackets in strings do not count',
    );
    assert.equal(isTooDeep(`["\\"",${nest(63)}]`), true);
    assert.equal(isTooDeep(`[${Array(100).fill('[]').join()}]`), false);
  });
});

describe('data', () => {
  test('are what they were when they were published', async () => {
    const bytes = new Uint8Array([1, 2, 3, 4]);
    const bodies = [
      toBody(bytes.subarray(1, 3)),
      toBody(bytes.buffer),
      toBody(new DataView(bytes.buffer, 3)),
    ];
    const blob = await toBody(new Blob([bytes]));
    bytes.fill(0);
    assert.deepEqual(
      bodies.map((body) => [...body]),
      [[2, 3], [1, 2, 3, 4], [4]],
    );
    assert.deepEqual([...blob], [1, 2, 3, 4]);
    assert.equal(toBody({ a: undefined, b: 1 }), '{"b":1}');
  });

  test('that JSON does not have are refused', () => {
    const circle = [];
    circle.push(circle);
    for (const wrong of [undefined, () => {}, Symbol('s'), 1n, circle]) {
      assert.throws(() => toBody(wrong), { name: 'VaivenError', code: 'bad_data' });
    }
  });
});

describe('a loop over messages', () => {
  const message = (offset) => ({ channel: 'sala', data: offset, offset, time: 0 });

  test('has 10,000 waiting at most, and says so behind them', async () => {
    const stream = new MessageStream(() => {});
    for (let offset = 1; offset <= 10_000; offset += 1) stream.push(message(offset));
    assert.equal((await stream.next()).value.offset, 1);
    stream.push(message(10_001));
    stream.push(message(10_002));
    for (let offset = 2; offset <= 10_001; offset += 1)
      assert.equal((await stream.next()).value.offset, offset);
    await assert.rejects(stream.next(), { code: 'overflow' });
    assert.equal((await stream.next()).done, true);
  });

  test('gives each that waits for one its own, and ends for all', async () => {
    let ends = 0;
    const stream = new MessageStream(() => {
      ends += 1;
    });
    const results = [stream.next(), stream.next(), stream.next()];
    stream.push(message(1));
    await stream.return();
    stream.push(message(2));
    assert.deepEqual(
      (await Promise.all(results)).map(({ done, value }) => [done, value?.offset]),
      [
        [false, 1],
        [true, undefined],
        [true, undefined],
      ],
    );
    assert.equal(ends, 1);
  });
});

test('a clock counts what either clock of the system counts, and never runs backwards', (t) => {
  let [steady, wall] = [100, 5_000];
  t.mock.method(performance, 'now', () => steady);
  t.mock.method(Date, 'now', () => wall);
  const clock = new Clock();
  const steps = [
    [10, 10, 10],
    [10, 60_010, 60_020],
    [10, -3_600_000, 60_030],
    [0, 0, 60_030],
    [-5, -5, 60_030],
    [10, 0, 60_040],
  ];
  for (const [passed, seen, now] of steps) {
    steady += passed;
    wall += seen;
    assert.equal(clock.now(), now);
  }
});

test('addresses may have http or ws, and nothing else', () => {
  const urls = { webSocketUrl: 'wss://example.org/v1?a', httpUrl: 'https://example.org/v1?a' };
  assert.deepEqual(readUrl('https://example.org/v1?a#b'), urls);
  assert.deepEqual(readUrl(new URL('wss://example.org/v1?a')), urls);
  for (const wrong of ['ftp://example.org', '/v1', '']) assert.throws(() => readUrl(wrong), TypeError);
});

test('a page wakes the client when it is seen, restored, or back on the network', (t) => {
  const page = new EventTarget();
  page.visibilityState = 'hidden';
  const before = Object.getOwnPropertyDescriptors(globalThis);
  t.after(() => {
    for (const name of ['document', 'addEventListener', 'removeEventListener']) {
      if (before[name]) Object.defineProperty(globalThis, name, before[name]);
      else delete globalThis[name];
    }
  });
  const target = new EventTarget();
  globalThis.document = page;
  globalThis.addEventListener = target.addEventListener.bind(target);
  globalThis.removeEventListener = target.removeEventListener.bind(target);
  let woken = 0;
  const stop = watchPage(() => {
    woken += 1;
  });
  const shown = (persisted) => Object.assign(new Event('pageshow'), { persisted });
  const show = () => {
    page.visibilityState = 'visible';
    page.dispatchEvent(new Event('visibilitychange'));
  };
  const steps = [
    [() => target.dispatchEvent(new Event('online')), 1],
    [() => target.dispatchEvent(new Event('offline')), 2],
    [() => target.dispatchEvent(shown(false)), 2],
    [() => target.dispatchEvent(shown(true)), 3],
    [() => page.dispatchEvent(new Event('visibilitychange')), 3],
    [show, 4],
    [() => page.dispatchEvent(new Event('resume')), 5],
    [stop, 5],
    [() => target.dispatchEvent(new Event('online')), 5],
  ];
  for (const [step, count] of steps) {
    step();
    assert.equal(woken, count, `${step}`);
  }
});
