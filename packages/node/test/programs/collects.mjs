// Garbage is collected in the middle of every message, while payloads of all kinds are kept and checked later.

import assert from 'node:assert/strict';
import { dial, echo, handler, listen } from './pair.mjs';

const server = await listen(echo);
const kept = [];
const LENGTHS = [0, 10, 5000, 32_768, 32_769, 100_000, 1 << 20];
const own = handler({
  message(bytes, start, end, _kind, owned) {
    gc();
    kept.push(owned ? bytes : Buffer.from(bytes.subarray(start, end)));
    if (kept.length < 10 * LENGTHS.length) {
      send();
    } else {
      own.link.abort();
    }
    return false;
  },
  ended() {
    gc();
    kept.forEach((bytes, index) => {
      assert.deepEqual(bytes, Buffer.alloc(LENGTHS[index % LENGTHS.length], index & 0xff));
    });
    console.log('done');
    process.exit();
  },
});
const link = await dial(server.address().port, own);
let sent = 0;
function send() {
  const index = sent++;
  own.link.sendBinary(Buffer.alloc(LENGTHS[index % LENGTHS.length], index & 0xff));
}
for (let index = 0; index < LENGTHS.length; index++) {
  send();
}
assert.equal(link, own.link);
