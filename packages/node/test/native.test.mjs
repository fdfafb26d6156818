// The native core is there and does what its types say.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { native } from '../dist/native.js';

test('the key of RFC 6455 section 1.3 has the answer that stands there', () => {
  assert.equal(native.acceptKey('dGhlIHNhbXBsZSBub25jZQ=='), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
  assert.equal(native.acceptKey('short'), null);
});

test('a wrong argument is an error and not a crash', () => {
  assert.throws(() => native.acceptKey(), /argument 0 is missing/);
  assert.throws(() => native.acceptKey(7), /a string was expected/);
});
