// What tutorials say of WebSocket in JavaScript, tried in Node: their scripts run as they are written, only the address
// is filled in, and their claims hold.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ReconnectingWebSocket, setBaseURL, WebSocket } from 'vaiven';
import { WebSocketServer } from 'ws';
import { certificate } from './certificate.mjs';
import { echo, startServer } from './peers.mjs';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const EXAMPLES = join(ROOT, 'examples/browser');
// A published tutorial, where it lies beside the repository.
const TUTORIAL = resolve(ROOT, process.env.TUTORIAL ?? '../shared/tutorial');

const GREETINGS = [
  {
    file: join(EXAMPLES, 'greeting.js'),
    opened: 'connected',
    said: 'Good morning, room!',
    received: 'received:',
    failed: 'could not connect:',
    closed: 'closed:',
  },
  {
    file: join(TUTORIAL, 'basic.js'),
    opened: 'Conexión establecida',
    said: 'Hola, servidor!',
    received: 'Mensaje recibido:',
    failed: 'Error en WebSocket:',
    closed: 'Conexión cerrada',
  },
].filter(({ file }) => existsSync(file));
const BUFFERS = [
  { file: join(EXAMPLES, 'buffers.js'), received: 'bytes received:' },
  { file: join(TUTORIAL, 'binary.js'), received: 'Datos binarios recibidos:' },
].filter(({ file }) => existsSync(file));

let folder;

before(() => {
  folder = mkdtempSync(join(tmpdir(), 'vaiven-tutorial-'));
});

after(() => rmSync(folder, { recursive: true }));

/** A script of the repository as a process: `node --import vaiven/global/replace script.js`. */
class Script {
  output = '';

  constructor(t, file, address) {
    const script = readFileSync(file, 'utf8');
    const filled = script.replace(/'ws:\/\/[^']*'/, () => `'${address}'`);
    assert.notEqual(filled, script, `${file} has an address to fill in`);
    const copy = join(folder, `${process.hrtime.bigint()}.js`);
    writeFileSync(copy, filled);
    this.child = spawn(process.execPath, ['--import', 'vaiven/global/replace', copy], {
      cwd: fileURLToPath(new URL('..', import.meta.url)),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    t.after(() => this.child.kill('SIGKILL'));
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        this.output += text;
      });
    }
    this.ended = once(this.child, 'close').then(([status]) => status);
  }

  get lines() {
    return this.output.split('\n').filter((line) => line !== '');
  }
}

describe('scripts of tutorials', () => {
  for (const { closed, file, opened, received, said } of GREETINGS) {
    test(`${file}: connects, greets, hears the answer, and notices the end`, async (t) => {
      const heard = [];
      const { url } = await startServer(t, (peer) => {
        echo(peer);
        peer.on('message', (data, isBinary) => {
          heard.push([String(data), isBinary]);
          peer.close(1000, 'enough');
        });
      });
      const script = new Script(t, file, url);
      assert.equal(await script.ended, 0);
      assert.deepEqual(heard, [[said, false]]);
      const [first, second, third, ...rest] = script.lines;
      assert.deepEqual([first, second, rest], [opened, `${received} ${said}`, []]);
      assert.ok(third.startsWith(closed), third);
    });
  }

  for (const { closed, failed, file, opened } of GREETINGS) {
    test(`${file}: a server that is not there is an error, then the end, and the process ends`, async (t) => {
      const nobody = net.createServer().listen(0, '127.0.0.1');
      await once(nobody, 'listening');
      const { port } = nobody.address();
      nobody.close();
      const script = new Script(t, file, `ws://127.0.0.1:${port}/`);
      assert.equal(await script.ended, 0);
      assert.ok(script.lines[0].startsWith(`${failed} Event { type: 'error', message: `), script.output);
      assert.match(script.lines[0], /ECONNREFUSED.*is a server listening on that port\?/);
      assert.ok(script.lines.at(-1).startsWith(closed), script.output);
      assert.ok(!script.output.includes(opened));
    });

    test(`${file}: a server that does not allow the origin is an error, then the end`, async (t) => {
      const { url } = await startServer(t, () => {}, { verifyClient: () => false });
      const script = new Script(t, file, url);
      assert.equal(await script.ended, 0);
      assert.ok(script.lines[0].startsWith(failed), script.output);
      assert.match(script.output, /401/);
      assert.ok(script.lines.at(-1).startsWith(closed), script.output);
    });
  }

  for (const { file, received } of BUFFERS) {
    test(`${file}: binary arrives as an ArrayBuffer`, async (t) => {
      const { url } = await startServer(t, (peer) => {
        peer.send(new Uint8Array([0, 1, 127, 128, 255]));
        peer.close();
      });
      const script = new Script(t, file, url);
      assert.equal(await script.ended, 0);
      assert.match(
        script.output,
        /ArrayBuffer \{ \[Uint8Contents\]: <00 01 7f 80 ff>, \[?byteLength\]?: 5 \}/,
      );
      assert.ok(script.output.startsWith(received));
    });
  }
});

/** A socket of the class that is closed with the test. */
function open(t, url, options) {
  const socket = new WebSocket(url, options);
  t.after(() => socket.close());
  return socket;
}

/** The next event of the type, on the EventTarget's side. */
const next = (socket, type) =>
  new Promise((resolve) => socket.addEventListener(type, resolve, { once: true }));

describe('claims of tutorials', () => {
  test('one TCP connection carries messages in both directions, in real time', async (t) => {
    let connections = 0;
    const { server, url } = await startServer(t, (peer) => {
      echo(peer);
      peer.send('unasked');
    });
    server._server.on('connection', () => {
      connections += 1;
    });
    const socket = open(t, url);
    const received = [];
    socket.onmessage = ({ data }) => received.push(data);
    await next(socket, 'open');
    for (let index = 0; index < 100; index++) socket.send(`${index}`);
    while (received.length < 101) await next(socket, 'message');
    assert.equal(received[0], 'unasked');
    assert.equal(connections, 1);
  });

  for (const [scheme, port] of [
    ['ws', 80],
    ['wss', 443],
  ]) {
    test(`${scheme}: goes to port ${port} unless told otherwise`, async () => {
      const asked = new Promise((keep) => {
        const createConnection = (options) => {
          keep(options.port);
          const stream = new net.Socket();
          process.nextTick(() => stream.destroy());
          return stream;
        };
        new WebSocket(`${scheme}://servidor.example/`, { createConnection });
      });
      assert.equal(Number(await asked), port);
    });
  }

  test('messages are text in UTF-8, ArrayBuffers or Blobs', async (t) => {
    const { url } = await startServer(t, echo);
    const socket = open(t, url);
    await next(socket, 'open');
    socket.send('¿Qué tal? 🌊');
    assert.equal((await next(socket, 'message')).data, '¿Qué tal? 🌊');
    for (const message of [new Uint8Array([1, 2, 3]).buffer, new Blob([new Uint8Array([1, 2, 3])])]) {
      for (const [binaryType, Class] of [
        ['blob', Blob],
        ['arraybuffer', ArrayBuffer],
      ]) {
        socket.binaryType = binaryType;
        socket.send(message);
        const { data } = await next(socket, 'message');
        assert.ok(data instanceof Class);
        assert.deepEqual(new Uint8Array(await new Blob([data]).arrayBuffer()), new Uint8Array([1, 2, 3]));
      }
    }
  });

  test('data that are taken for another type are an error that can be understood', async (t) => {
    const { url } = await startServer(t, echo);
    const socket = open(t, url);
    assert.throws(() => socket.send('too early'), {
      name: 'InvalidStateError',
      message: /wait for the event 'open'/,
    });
    await next(socket, 'open');
    assert.throws(() => socket.send(Symbol('no text')), TypeError);
    assert.throws(
      () => socket.send(new Uint8Array(new SharedArrayBuffer(1))),
      /memory is shared; send a copy of it/,
    );
    socket.send(new Uint8Array([1, 2, 3]));
    const { data } = await next(socket, 'message');
    // Without binaryType it is a Blob, of which an array is made that is empty.
    assert.ok(data instanceof Blob);
    assert.throws(() => JSON.parse(data), SyntaxError);
  });

  test('close() ends the connection, and close is told', async (t) => {
    const { url } = await startServer(t);
    const socket = open(t, url);
    await next(socket, 'open');
    socket.close();
    assert.deepEqual([(await next(socket, 'close')).wasClean, socket.readyState], [true, WebSocket.CLOSED]);
  });

  test('an unexpected end is told apart, and is what ReconnectingWebSocket is for', async (t) => {
    let count = 0;
    const { url } = await startServer(t, (peer) => {
      count += 1;
      if (count <= 2) peer.terminate();
    });
    const { code, wasClean } = await next(open(t, url), 'close');
    assert.deepEqual([code, wasClean], [1006, false]);
    const socket = new ReconnectingWebSocket(url, { baseDelay: 20 });
    t.after(() => socket.close());
    await next(socket, 'reconnecting');
    assert.equal((await next(socket, 'open')).reconnected, true);
  });

  test('a server that does not allow the origin of the client fails the connection', async (t) => {
    const allowed = 'https://app.example';
    const { url } = await startServer(t, () => {}, { verifyClient: ({ origin }) => origin === allowed });
    setBaseURL('https://elsewhere.example/page');
    const refused = open(t, url);
    setBaseURL('https://app.example/page');
    const accepted = open(t, url);
    setBaseURL(undefined);
    assert.match((await next(refused, 'error')).message, /401/);
    await next(accepted, 'open');
  });

  test('wss has the policies of HTTPS: a certificate that nobody vouches for is refused', async (t) => {
    const { cert, key } = certificate();
    const server = https.createServer({ cert, key }).listen(0);
    await once(server, 'listening');
    const wss = new WebSocketServer({ server });
    t.after(() => {
      for (const client of wss.clients) client.terminate();
      server.close();
    });
    const url = `wss://localhost:${server.address().port}/`;
    assert.match((await next(open(t, url), 'error')).message, /self-signed.*'ca'/);
    await next(open(t, url, { ca: cert }), 'open');
    const misled = open(t, url, { ca: cert, servername: 'other.example' });
    assert.match((await next(misled, 'error')).message, /another name/);
  });
});
