// CPU time of a client, ours beside npm `ws` and undici, in turns: `npm run bench -- [rounds]`.
//
// Each client is a process of its own on one core, the echo server (ours) another one on a second core. Printed are
// microseconds of the client's CPU time, user and system, for each message: median, least and most of the rounds. The
// servers are measured by the driver in benches/ at the root of the repository.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const CELLS = [
  { bytes: 20, connections: 100, inFlight: 16 },
  { bytes: 1024, connections: 100, inFlight: 1 },
  { bytes: 1024, connections: 100, inFlight: 16 },
  { bytes: 1024, connections: 100, inFlight: 16, text: 'El ñandú comió piñones. ' },
  { bytes: 1024, connections: 100, inFlight: 16, text: 'Страус съел орехи. ' },
  { bytes: 65_536, connections: 20, inFlight: 1 },
];
const CLIENTS = ['vaiven', 'vaiven as ws', 'ws', 'undici'];
const WARM_UP = 1000;
const SPAN = 2000;
const PORT = 18_431;

/** Dials `connections` times; each gives a function that sends, and calls `arrived` for each message. */
const dialers = {
  /** The class of the standard, by its events. */
  async vaiven(url, arrived) {
    const { WebSocket } = await import('vaiven');
    return standard(WebSocket, url, arrived);
  },
  /** The socket as `ws` has it, by the emitter. */
  async 'vaiven as ws'(url, arrived) {
    const { default: WebSocket } = await import('vaiven');
    return emitter(WebSocket, url, arrived);
  },
  async ws(url, arrived) {
    const { WebSocket } = await import('ws');
    return emitter(WebSocket, url, arrived);
  },
  async undici(url, arrived) {
    const { WebSocket } = await import('undici');
    return standard(WebSocket, url, arrived);
  },
};

async function emitter(WebSocket, url, arrived) {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  socket.on('message', (data, isBinary) => arrived(isBinary ? data : data.toString()));
  await once(socket, 'open');
  return (payload) => socket.send(payload);
}

async function standard(WebSocket, url, arrived) {
  const socket = new WebSocket(url);
  socket.binaryType = 'arraybuffer';
  socket.onmessage = ({ data }) => arrived(data);
  await new Promise((resolve) => {
    socket.onopen = resolve;
  });
  return (payload) => socket.send(payload);
}

/** The process that is measured: writes microseconds for each message. */
async function measure(name, { bytes, connections, inFlight, text }) {
  const url = new URL(`ws://127.0.0.1:${PORT}`);
  const payload = text === undefined ? Buffer.alloc(bytes, 7) : Buffer.alloc(bytes, text).toString();
  let messages = 0;
  for (let index = 0; index < connections; index++) {
    let send = () => {};
    send = await dialers[name](url, () => {
      messages++;
      send(payload);
    });
    for (let sent = 0; sent < inFlight; sent++) {
      send(payload);
    }
  }
  await new Promise((resolve) => setTimeout(resolve, WARM_UP));
  const [before, from] = [messages, process.cpuUsage()];
  await new Promise((resolve) => setTimeout(resolve, SPAN));
  const { user, system } = process.cpuUsage(from);
  console.log((user + system) / (messages - before));
  process.exit();
}

function start(core, script, args) {
  const command = [
    '-c',
    String(core),
    process.execPath,
    fileURLToPath(new URL(script, import.meta.url)),
    ...args,
  ];
  return spawn('taskset', command, { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function resultOf(child) {
  let line = '';
  child.stdout.on('data', (chunk) => {
    line += chunk;
  });
  const [status] = await once(child, 'close');
  if (status !== 0) {
    throw new Error(`a client ended with status ${status}`);
  }
  return Number(line);
}

async function compare(rounds) {
  const server = start(0, 'echo.mjs', ['vaiven', '--listen', `127.0.0.1:${PORT}`]);
  // It goes with the benchmark, however that ends.
  process.on('exit', () => server.kill());
  await new Promise((resolve) => setTimeout(resolve, 500));
  for (const cell of CELLS) {
    const results = new Map(CLIENTS.map((name) => [name, []]));
    for (let round = 0; round < rounds; round++) {
      for (const name of CLIENTS) {
        results
          .get(name)
          .push(await resultOf(start(1, 'client.mjs', ['measure', name, JSON.stringify(cell)])));
      }
    }
    const kind = cell.text === undefined ? 'bytes' : `bytes of text (${cell.text.trim()})`;
    console.log(`\n${cell.bytes} ${kind}, ${cell.connections} connections, ${cell.inFlight} in flight`);
    for (const [name, figures] of results) {
      figures.sort((a, b) => a - b);
      const shown = [figures[figures.length >> 1], figures[0], figures.at(-1)].map((us) => us.toFixed(2));
      console.log(`  ${name.padEnd(12)} ${shown[0].padStart(8)}   ${shown[1]} - ${shown[2]}`);
    }
  }
  process.exit();
}

const [mode, name, cell] = process.argv.slice(2);
if (mode === 'measure') {
  await measure(name, JSON.parse(cell));
} else {
  await compare(Number(mode ?? 3));
}
