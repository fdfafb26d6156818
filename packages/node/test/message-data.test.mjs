// What an application gets for a message's bytes, at the lengths at which the way to it changes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toArrayBuffer, toBufferSource, toText } from '../dist/message-data.js';

const TEXT = 1;
const KIB = 1024;
const LENGTHS = [1, 2, 7, 8, 127, 128, 129, 1000, 32 * KIB - 1, 32 * KIB, 32 * KIB + 1, 100 * KIB];

test('text of every script and length is what Node makes of it', () => {
  const scripts = ['ñandú, ', 'Привет, ', '你好,世界', 'hola 🦜 ', '\ufeff\u0000\u00ff', 'ascii ÿ ascii Ā'];
  for (const script of scripts) {
    for (const length of LENGTHS) {
      const text = script.repeat(Math.ceil(length / script.length)).slice(0, length);
      const bytes = Buffer.concat([Buffer.from('ñ'), Buffer.from(text), Buffer.from('🦜')]);
      const end = bytes.length - 4;
      assert.equal(toText(bytes, 2, end, TEXT), bytes.toString('utf8', 2, end));
      for (const cut of [127, 128, 32 * KIB, 32 * KIB + 1]) {
        // A part that ends within a character is not UTF-8: Node's own replacement is what comes of it.
        if (cut < end) assert.equal(toText(bytes, 2, cut, TEXT), bytes.toString('utf8', 2, cut));
      }
    }
  }
});

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
