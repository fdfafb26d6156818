// When to try again, on virtual time: no socket, no clock, no chance.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isTerminal, retryAfterOfHeaders, retryAfterOfReason } from '../dist/end-cause.js';
import { MessageQueue } from '../dist/message-queue.js';
import { Reconnection } from '../dist/reconnection.js';

const POLICY = {
  baseDelay: 100,
  maxDelay: 1_000,
  maxRetryAfter: 5_000,
  healthyAfter: 500,
  connectTimeout: 300,
  maxAttempts: Number.POSITIVE_INFINITY,
  isTerminal,
};
const LOST = { code: 1006, reason: '', wasClean: false };

/** A machine on which every draw is the highest. */
function begin(policy = {}, random = () => 1) {
  const machine = new Reconnection({ ...POLICY, ...policy }, random);
  machine.start(0);
  return machine;
}

/** Lets a machine fail so often, one try behind the other, and gives the delays. */
function delaysOf(machine, count, cause = LOST) {
  let now = 0;
  return Array.from({ length: count }, () => {
    const { delay } = machine.ended(now, cause);
    now = machine.deadline;
    assert.equal(machine.handleTimeout(now), 'connect');
    return delay;
  });
}

describe('the delay', () => {
  test('doubles up to the longest', () => {
    assert.deepEqual(delaysOf(begin(), 6), [100, 200, 400, 800, 1_000, 1_000]);
  });

  test('is anything between nothing and its limit', () => {
    assert.deepEqual(
      delaysOf(
        begin({}, () => 0),
        3,
      ),
      [0, 0, 0],
    );
    assert.deepEqual(
      delaysOf(
        begin({}, () => 0.5),
        3,
      ),
      [50, 100, 200],
    );
  });

  test('stays finite after very many tries', () => {
    assert.ok(delaysOf(begin(), 3_000).every((delay) => delay <= 1_000));
  });

  test('begins anew behind a connection that lasted', () => {
    const machine = begin();
    delaysOf(machine, 5);
    machine.opened(10_000);
    assert.deepEqual(machine.ended(10_500, LOST), { attempt: 1, delay: 100 });
  });

  test('goes on growing behind a connection that did not last', () => {
    const machine = begin();
    delaysOf(machine, 2);
    machine.opened(10_000);
    assert.deepEqual(machine.ended(10_499, LOST), { attempt: 3, delay: 400 });
  });

  test('begins anew when it is started again', () => {
    const machine = begin();
    delaysOf(machine, 5);
    machine.start(20_000);
    assert.deepEqual(machine.ended(20_001, LOST), { attempt: 1, delay: 100 });
  });

  test('is what the server asks for, spread over the first limit', () => {
    assert.equal(begin({}, () => 0).ended(0, { ...LOST, retryAfter: 3_000 }).delay, 3_000);
    assert.equal(begin().ended(0, { ...LOST, retryAfter: 3_000 }).delay, 3_100);
  });

  test('that the server asks for is bounded', () => {
    for (const [asked, expected] of [
      [4_999, 4_999],
      [5_000, 5_000],
      [5_001, 5_000],
      [Number.POSITIVE_INFINITY, 5_000],
    ]) {
      assert.equal(begin({}, () => 0).ended(0, { ...LOST, retryAfter: asked }).delay, expected);
    }
  });

  test('is drawn from the longest limit at once where the server is overloaded', () => {
    assert.equal(begin().ended(0, { ...LOST, code: 1013 }).delay, 1_000);
  });
});

describe('a try', () => {
  test('is made when its time has come, and not before', () => {
    const machine = begin();
    machine.ended(0, LOST);
    assert.equal(machine.handleTimeout(99), 'wait');
    assert.equal(machine.handleTimeout(100), 'connect');
  });

  test('that takes too long is given up', () => {
    const machine = begin();
    assert.equal(machine.handleTimeout(299), 'wait');
    assert.equal(machine.handleTimeout(300), 'give up');
    assert.deepEqual(machine.ended(300, LOST), { attempt: 1, delay: 100 });
  });

  test('that succeeded has no deadline', () => {
    const machine = begin();
    machine.opened(10);
    assert.equal(machine.deadline, Number.POSITIVE_INFINITY);
    assert.equal(machine.handleTimeout(1e9), 'wait');
  });

  test('is not made once all of it was stopped', () => {
    const machine = begin();
    machine.ended(0, LOST);
    machine.stop();
    assert.equal(machine.handleTimeout(1e9), 'wait');
  });

  test('is not made behind the last one', () => {
    for (const maxAttempts of [0, 1, 3]) {
      const machine = begin({ maxAttempts });
      delaysOf(machine, maxAttempts);
      assert.equal(machine.ended(0, LOST), undefined);
      assert.equal(machine.handleTimeout(1e9), 'wait');
    }
  });

  test('is counted from the last good connection', () => {
    const machine = begin({ maxAttempts: 2 });
    delaysOf(machine, 2);
    machine.opened(0);
    assert.equal(machine.ended(500, LOST).attempt, 1);
  });

  test('is not made where an end is terminal, also in the eyes of the application', () => {
    assert.equal(begin().ended(0, { ...LOST, code: 1008 }), undefined);
    assert.equal(begin({ isTerminal: () => true }).ended(0, LOST), undefined);
    assert.equal(begin({ isTerminal: () => false }).ended(0, { ...LOST, code: 1008 }).attempt, 1);
  });
});

describe('an end', () => {
  for (const [codes, expected] of [
    [[1000, 1002, 1003, 1007, 1008, 1009, 1010, 3000, 3003, 4400, 4401, 4403, 4404, 4409, 4499], true],
    [[1001, 1005, 1006, 1011, 1012, 1013, 1014, 1015, 3001, 3008, 4000, 4399, 4408, 4425, 4429, 4500], false],
  ]) {
    test(`with one of the codes ${codes.slice(0, 4)} … is ${expected ? '' : 'not '}terminal`, () => {
      for (const code of codes) assert.equal(isTerminal({ ...LOST, code }), expected, `${code}`);
    });
  }

  for (const [statuses, expected] of [
    [[400, 401, 403, 404, 405, 410, 426, 451, 499, 501, 505], true],
    [[200, 301, 302, 408, 425, 429, 500, 502, 503, 504], false],
  ]) {
    test(`by a refusal with ${statuses.slice(0, 4)} … is ${expected ? '' : 'not '}terminal`, () => {
      for (const status of statuses) assert.equal(isTerminal({ ...LOST, status }), expected, `${status}`);
    });
  }

  test('by a URL that cannot be used is terminal, and by another error is not', () => {
    assert.equal(isTerminal({ ...LOST, error: new DOMException('no URL', 'SyntaxError') }), true);
    assert.equal(isTerminal({ ...LOST, error: new Error('the token service is down') }), false);
  });
});

describe('a delay that the server asks for', () => {
  for (const [reason, expected] of [
    ['', undefined],
    ['restart', undefined],
    ['retry-after=2', 2_000],
    ['restarting, Retry-After: 1.5', 1_500],
    ['retry after 2s', 2_000],
    ['retry-after=300ms', 300],
    ['retry-after=0', 0],
    ['retry-after=-3', undefined],
    ['retry-after=soon', undefined],
    ['noretry-after=3', undefined],
  ]) {
    test(`in the reason '${reason}' is ${expected}`, () => {
      assert.equal(retryAfterOfReason(reason), expected);
    });
  }

  const today = Date.parse('Fri, 31 Dec 1999 23:59:00 GMT');
  for (const [value, expected] of [
    [undefined, undefined],
    ['', undefined],
    ['120', 120_000],
    [' 7 ', 7_000],
    ['0', 0],
    ['-1', undefined],
    ['1.5', undefined],
    ['1e3', undefined],
    ['99999999999', undefined],
    ['Fri, 31 Dec 1999 23:59:59 GMT', 59_000],
    ['Fri, 31 Dec 1999 23:00:00 GMT', 0],
    ['tomorrow', undefined],
  ]) {
    test(`in a field Retry-After of '${value}' is ${expected}`, () => {
      assert.equal(retryAfterOfHeaders({ 'retry-after': value }, today), expected);
    });
  }
});

describe('the queue', () => {
  test('takes so many messages and not one more', () => {
    const queue = new MessageQueue(2, 100);
    assert.deepEqual([queue.push('a', 1), queue.push('b', 1), queue.push('c', 1)], [true, true, false]);
    assert.deepEqual([queue.length, queue.bytes], [2, 2]);
    assert.deepEqual(queue.takeAll(), ['a', 'b']);
    assert.deepEqual([queue.length, queue.bytes, queue.push('d', 1)], [0, 0, true]);
  });

  test('takes so many bytes and not one more', () => {
    for (const [bytes, expected] of [
      [9, true],
      [10, true],
      [11, false],
    ]) {
      assert.equal(new MessageQueue(10, 10).push('…', bytes), expected, `${bytes}`);
    }
    const queue = new MessageQueue(10, 10);
    queue.push('…', 4);
    assert.deepEqual([queue.push('…', 7), queue.push('…', 6)], [false, true]);
  });

  test('keeps what bytes were, whatever becomes of them', () => {
    const queue = new MessageQueue(10, 10);
    const buffer = Buffer.from([1, 2, 3]);
    queue.push(buffer, 3);
    buffer.fill(0);
    assert.deepEqual(queue.takeAll(), [new Uint8Array([1, 2, 3])]);
  });
});
