// SOCKS proxies, of the test's own: a client through one, and what is said when there is no tunnel.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { describe, test } from 'node:test';
import { WebSocket } from '../dist/index.mjs';
import { echo, startServer } from './peers.mjs';

/** A proxy that knows one user, and of names only `echo.example`, which is this machine. */
async function startProxy(t, { user, reply = 0 } = {}) {
  const asked = [];
  const server = net.createServer(async (socket) => {
    socket.on('error', () => {});
    const next = async () => (await once(socket, 'data'))[0];
    const greeting = await next();
    const methods = [...greeting.subarray(2)];
    if (user === undefined) socket.write(Uint8Array.of(5, 0));
    else if (!methods.includes(2)) {
      socket.end(Uint8Array.of(5, 255));
      return;
    } else {
      socket.write(Uint8Array.of(5, 2));
      const told = await next();
      const isKnown = told.equals(Buffer.from(`\x01${user}`));
      socket.write(Uint8Array.of(1, isKnown ? 0 : 1));
      if (!isKnown) return;
    }
    const request = await next();
    const port = request.readUInt16BE(request.length - 2);
    const address = request.subarray(4, -2);
    asked.push([
      request[3],
      request[3] === 3 ? address.subarray(1).toString() : address.toString('hex'),
      port,
    ]);
    if (reply !== 0) {
      socket.end(Uint8Array.of(5, reply, 0, 1, 0, 0, 0, 0, 0, 0));
      return;
    }
    const target = net.connect(port, '127.0.0.1');
    await once(target, 'connect');
    // In two pieces, of which the second brings nothing yet of the host.
    socket.write(Uint8Array.of(5, 0, 0, 3, 4));
    setTimeout(() => {
      socket.write(Buffer.from('here\0\0'));
      socket.pipe(target).pipe(socket);
    }, 20);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { asked, host: `127.0.0.1:${server.address().port}` };
}

/** Sends a message to an echo and gives what comes back. */
function talk(url, proxy) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url, { proxy });
    let answer;
    socket.onopen = () => socket.send('hola');
    socket.onerror = ({ error }) => reject(error);
    socket.onmessage = ({ data }) => {
      answer = data;
      socket.close();
    };
    socket.onclose = () => resolve(answer);
  });
}

describe('a SOCKS proxy', () => {
  test('resolves the name of the host', async (t) => {
    const { url } = await startServer(t, echo);
    const { port } = new URL(url);
    const { asked, host } = await startProxy(t);
    assert.equal(await talk(`ws://echo.example:${port}/`, `socks5://${host}`), 'hola');
    assert.deepEqual(asked, [[3, 'echo.example', Number(port)]]);
  });

  test('is told addresses as such', async (t) => {
    const { url } = await startServer(t, echo);
    const { port } = new URL(url);
    const { asked, host } = await startProxy(t);
    await talk(`ws://127.0.0.1:${port}/`, `socks5h://${host}`);
    await talk(`ws://[2001:db8::1:20]:${port}/`, `socks5://${host}`);
    assert.deepEqual(
      asked.map(([kind, address]) => [kind, address]),
      [
        [1, '7f000001'],
        [4, '20010db8000000000000000000010020'],
      ],
    );
  });

  test('is told user name and password where it asks', async (t) => {
    const { url } = await startServer(t, echo);
    const { host } = await startProxy(t, { user: '\x03ana\x05a:b c' });
    assert.equal(await talk(url, `socks5://ana:a%3Ab%20c@${host}`), 'hola');
    await assert.rejects(talk(url, `socks5://ana:wrong@${host}`), /does not accept the user name/);
    await assert.rejects(talk(url, `socks5://${host}`), /another kind of authentication/);
  });

  test('that opens no tunnel is quoted', async (t) => {
    const { url } = await startServer(t, echo);
    const { host } = await startProxy(t, { reply: 2 });
    await assert.rejects(talk(url, `socks5://${host}`), /opened no tunnel .*its rules do not allow it/);
  });

  test('that is none is found out', async (t) => {
    const { url } = await startServer(t, echo);
    const server = net.createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const proxy = `socks5://127.0.0.1:${server.address().port}`;
    await assert.rejects(talk(url, proxy), /does not speak SOCKS 5/);
  });
});
