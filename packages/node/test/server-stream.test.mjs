// Everything that servers do, once more over streams of Node's.

process.env.VAIVEN_TRANSPORT = 'stream';
await import('./server.test.mjs');
await import('./server-socket.test.mjs');
await import('./topics.test.mjs');
