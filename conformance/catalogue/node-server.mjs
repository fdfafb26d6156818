// The server of the npm package `vaiven`, with the options of `vaiven serve` that the catalogue's rows use. It prints its
// URL once it listens. An option that it does not have ends it with 64, so that the row is left out.

import { readFileSync } from 'node:fs';
import https from 'node:https';
import { parseArgs } from 'node:util';
import { WebSocketServer } from '../../packages/node/dist/index.mjs';

const options = {
  listen: { type: 'string' },
  compression: { type: 'boolean', default: false },
  profile: { type: 'string', default: 'standard' },
  'tls-cert': { type: 'string' },
  'tls-key': { type: 'string' },
  // There is no limit that could be lifted.
  'handshake-rate': { type: 'string' },
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
const [host, port] = told.listen.split(':');
const isRelaxed = told.profile === 'autobahn';
const server = new WebSocketServer({
  ...(told['tls-cert'] === undefined ? { host, port: Number(port) } : { server: tlsServer() }),
  // No subprotocol is known.
  handleProtocols: () => false,
  origins: ['same-origin', 'absent'],
  perMessageDeflate: told.compression || isRelaxed,
  maxPayload: isRelaxed ? 16 << 20 : 64 << 10,
  maxFragments: isRelaxed ? 1 << 20 : 1024,
  ...(isRelaxed ? {} : { messageRate: 100, messageBurst: 200 }),
  closeTimeout: 5000,
});

function tlsServer() {
  const credentials = { cert: readFileSync(told['tls-cert']), key: readFileSync(told['tls-key']) };
  return https.createServer({ ...credentials, handshakeTimeout: 5000 }).listen(Number(port), host);
}

// What is said in a room of one is heard as an echo is.
server.shouldHandle = ({ url }) => /^\/(echo|c\/\w+)(\?|$)/.test(url);
server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
  // A peer that breaks a rule ends its connection and nothing else.
  socket.on('error', () => {});
});
server.on('listening', () => console.log(`http://${host}:${server.address().port}`));
process.on('SIGTERM', () => server.drain({ timeout: 10_000, code: 1012 }).then(() => process.exit()));
