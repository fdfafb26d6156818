// The official server in the modes of the example `conformance`, so that it can be told whether a test is wrong or the
// server that fails it: node reference/server.js MODE PORT

import { createServer } from 'node:http';
import { MODES } from './modes.js';

const [mode, port] = process.argv.slice(2);
const attach = MODES.get(mode);
if (!attach || !port) {
  console.error(`usage: node reference/server.js MODE PORT, where MODE is one of ${[...MODES.keys()].join(', ')}`);
  process.exit(2);
}
const server = createServer((_request, response) => response.writeHead(404).end());
attach(server);
// As many may wait to be accepted as the system allows: the benchmarks open thousands.
server.listen({ port: Number(port), host: '127.0.0.1', backlog: 65_535 });
