// An echo server with a handler in JavaScript: `node echo.mjs ws|vaiven-ws|vaiven --listen ADDRESS [--deflate]`.
//
// `vaiven-ws` is the WebSocketServer of this package, with the handler that `ws` has; `vaiven` is the link below it.
// `ws` runs with bufferutil, as its documentation advises. Limits are wide on both sides, as the longest messages of the
// benchmark need them.

import http from 'node:http';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  options: { listen: { type: 'string' }, deflate: { type: 'boolean' } },
  allowPositionals: true,
});
const { hostname, port } = new URL(`http://${values.listen}`);
const maxPayload = 64 << 20;

async function serveWs(name) {
  const { WebSocketServer } = await import(name);
  const perMessageDeflate = values.deflate
    ? { serverNoContextTakeover: true, clientNoContextTakeover: true, zlibDeflateOptions: { level: 1 } }
    : false;
  const server = new WebSocketServer({ host: hostname, port: Number(port), maxPayload, perMessageDeflate });
  server.on('connection', (socket) => {
    socket.on('message', (data, isBinary) =>
      socket.send(isBinary ? data : data.toString(), { binary: isBinary }),
    );
  });
}

/** Says back what it is told, as an application would: bytes as bytes, text as a string. */
class Echo {
  constructor(keep, toText) {
    this.keep = keep;
    this.toText = toText;
  }
  message(bytes, start, end, kind, owned) {
    if (kind === 0) {
      this.link.sendBinary(this.keep(bytes, start, end, owned));
    } else {
      this.link.sendText(this.toText(bytes, start, end, kind));
    }
    return false;
  }
  ping() {}
  pong() {}
  closeFrame() {}
  violation() {}
  ended() {}
  drained() {}
}

async function serveVaiven() {
  const { Link } = await import('../dist/link.js');
  const { toText } = await import('../dist/message-data.js');
  const { keep } = await import('../dist/payload.js');
  const { acceptDeflate, checkUpgrade } = await import('../dist/handshake.js');
  const config = {
    serverNoContextTakeover: true,
    clientNoContextTakeover: true,
    serverMaxWindowBits: 15,
    clientMaxWindowBits: 15,
    level: 1,
    threshold: 1024,
  };
  const server = http.createServer();
  server.on('upgrade', (request, socket, head) => {
    const { accept, extensions } = checkUpgrade(request.method, request.httpVersion, request.rawHeaders);
    const deflate = values.deflate && extensions !== null ? acceptDeflate(config, extensions) : null;
    const fields = ['Upgrade: websocket', 'Connection: Upgrade', `Sec-WebSocket-Accept: ${accept}`];
    if (deflate !== null) {
      fields.push(`Sec-WebSocket-Extensions: ${deflate.answer}`);
    }
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${fields.join('\r\n')}\r\n\r\n`);
    const echo = new Echo(keep, toText);
    const options = {
      role: 'server',
      maxPayload,
      maxFragments: 16_384,
      deflate: deflate?.agreed,
      socket: 'released',
    };
    echo.link = Link.attach(socket, head, options, echo);
  });
  server.listen(Number(port), hostname);
}

const serve = { ws: () => serveWs('ws'), 'vaiven-ws': () => serveWs('vaiven'), vaiven: serveVaiven };
await serve[positionals[0]]();
