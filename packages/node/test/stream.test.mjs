// Everything that links do, once more over streams of Node's.

process.env.VAIVEN_TRANSPORT = 'stream';
await import('./link.test.mjs');
