// A client whose server is not there; with `unref` nothing keeps the process alive.

import { ReconnectingWebSocket } from 'vaiven';

const socket = new ReconnectingWebSocket(`ws://127.0.0.1:${process.argv[2]}/`, {
  baseDelay: 100_000,
  maxDelay: 100_000,
});
socket.onreconnecting = () => console.log('waiting');
if (process.argv[3] === 'unref') socket.unref();
