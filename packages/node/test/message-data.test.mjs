// What an application gets for a message's bytes, and what is taken from it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toArrayBuffer, toBufferSource } from '../dist/message-data.js';

test('an ArrayBuffer holds the message and nothing else', () => {
  const bytes = Buffer.from(new ArrayBuffer(2000)).fill(7);
  for (const length of [0, 1, 64, 65, 1000]) {
    const copy = toArrayBuffer(bytes, 3, 3 + length, false);
    assert.deepEqual(copy, new Uint8Array(length).fill(7).buffer);
  }
  assert.equal(toArrayBuffer(bytes, 0, 2000, true), bytes.buffer);
  assert.notEqual(toArrayBuffer(bytes, 0, 2000, false), bytes.buffer);
  assert.equal(toArrayBuffer(bytes, 0, 1999, true).byteLength, 1999);
});

test('views of memory that is shared or changes its length are refused', () => {
  const where = "execute 'send' on 'WebSocket'";
  const view = Buffer.alloc(10, 1);
  assert.equal(toBufferSource(view, where), view);
  assert.throws(() => toBufferSource(new Uint8Array(new SharedArrayBuffer(8)), where), /shared/);
  const resizable = new ArrayBuffer(8, { maxByteLength: 16 });
  assert.throws(() => toBufferSource(new Uint8Array(resizable), where), /resizable/);
});
