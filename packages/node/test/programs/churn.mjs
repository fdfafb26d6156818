// Connections opened, used and ended in every way there is; prints how memory grew from the first part to the end.

import { dial, echo, handler, listen } from './pair.mjs';

const CONNECTIONS = Number(process.argv[2]);
const AT_ONCE = 50;

const server = await listen(echo);
const { port } = server.address();
let opened = 0;

async function converse(index) {
  await new Promise((resolve) => {
    const own = handler({
      message(_bytes, start, end, _kind, owned) {
        if (owned !== end - start > 32_768) {
          throw new Error('a long message has a buffer of its own, a short one has none');
        }
        if (index % 3 === 0) {
          own.link.abort();
        } else if (index % 3 === 1) {
          own.link.close(1000, 'done');
        } else {
          own.link.end();
        }
        return false;
      },
      ended() {
        resolve();
        return false;
      },
    });
    dial(port, own).then((link) => link.sendBinary(Buffer.alloc(index % 100 === 0 ? 100_000 : 100)));
  });
}

async function visit() {
  while (opened < CONNECTIONS) {
    await converse(opened++);
  }
}

/** Resident bytes when nothing is in use that could be given back. */
function resident() {
  for (let round = 0; round < 5; round++) {
    gc();
  }
  return process.memoryUsage().rss;
}

const visitors = Array.from({ length: AT_ONCE }, visit);
let before;
const watch = setInterval(() => {
  if (before === undefined && opened > CONNECTIONS / 5) {
    before = resident();
  }
}, 10);
await Promise.all(visitors);
clearInterval(watch);
await new Promise((resolve) => setTimeout(resolve, 100));
console.log(JSON.stringify({ opened, before, after: resident() }));
process.exit();
