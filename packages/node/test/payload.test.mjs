// Payloads that are kept do not change with the memory that they came from, and keep little of it alive.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keep } from '../dist/payload.js';

const KIB = 1024;

test('payloads of every length stay as they were', () => {
  const memory = Buffer.alloc(300 * KIB);
  const kept = [];
  for (let round = 0; round < 20; round++) {
    for (const length of [0, 1, KIB - 1, KIB, KIB + 1, 5 * KIB, 16 * KIB, 16 * KIB + 1, 100 * KIB]) {
      memory.fill(kept.length & 0xff);
      kept.push([keep(memory, 7, 7 + length, false), Buffer.alloc(length, kept.length & 0xff)]);
    }
  }
  memory.fill(0xee);
  for (const [actual, expected] of kept) {
    assert.ok(Buffer.isBuffer(actual) && actual.byteOffset % 8 === 0);
    assert.deepEqual(actual, expected);
    assert.ok(actual.buffer.byteLength <= Math.max(8 * KIB, 64 * actual.length));
  }
});

test('an owned payload is passed on as it is', () => {
  const bytes = Buffer.alloc(2000);
  assert.equal(keep(bytes, 0, 2000, true), bytes);
});
