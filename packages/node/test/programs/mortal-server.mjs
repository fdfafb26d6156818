// An echo server for tests that kill it: the port comes as an argument, and 'listening' goes to the standard output.

import { WebSocketServer } from 'ws';

// It does not outlive whoever started it.
process.stdin.resume().on('end', () => process.exit());

const server = new WebSocketServer({ port: Number(process.argv[2]), host: '127.0.0.1' });
server.on('listening', () => console.log('listening'));
server.on('connection', (peer) => {
  peer.on('error', () => {});
  peer.on('message', (data, isBinary) => peer.send(data, { binary: isBinary }));
});
