// The class `WebSocket` of the npm package `vaiven`, set up as a row of the catalogue says. It prints how the connection
// ended: `closed CODE`, `violation CODE`, or `failed` and why. An option that it does not have ends it with 64.

import { parseArgs } from 'node:util';
import { WebSocket } from '../../packages/node/dist/index.mjs';

const options = {
  url: { type: 'string' },
  subprotocol: { type: 'string', multiple: true, default: [] },
  header: { type: 'string', multiple: true, default: [] },
  deflate: { type: 'boolean', default: false },
  'without-client-window': { type: 'boolean', default: false },
  'max-message-bytes': { type: 'string' },
  'max-fragments': { type: 'string' },
  does: { type: 'string', default: 'echo' },
};

function read() {
  try {
    return parseArgs({ args: process.argv.slice(2), options }).values;
  } catch (error) {
    console.error(error.message);
    process.exit(64);
  }
}

const told = read();
if (!['echo', 'close'].includes(told.does)) process.exit(64);
let failure;

function connect() {
  const number = (text) => (text === undefined ? undefined : Number(text));
  return new WebSocket(told.url, told.subprotocol, {
    headers: Object.fromEntries(told.header.map((field) => field.split(/: (.*)/s, 2))),
    perMessageDeflate: told.deflate && { clientMaxWindowBits: !told['without-client-window'] },
    maxPayload: number(told['max-message-bytes']),
    maxFragments: number(told['max-fragments']),
    proxy: false,
  });
}

function run() {
  const socket = connect();
  socket.binaryType = 'arraybuffer';
  socket.onopen = () => {
    if (told.does === 'close') socket.close(1000);
  };
  socket.onmessage = ({ data }) => socket.send(data);
  socket.onerror = ({ error }) => {
    failure = error;
  };
  socket.onclose = ({ code, wasClean }) => {
    const rule = failure?.cause?.closeCode;
    if (rule !== undefined) console.log(`violation ${rule}`);
    else console.log(wasClean ? `closed ${code}` : `failed ${failure?.message ?? code}`);
  };
}

try {
  run();
} catch (error) {
  console.log(`failed ${JSON.stringify(error.message)}`);
}
