// Scripts that people copy from a tutorial run as they are written; only the address is filled in.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { Server, eventually, launchBrowser, readIfPresent } from './support.js';

const EXAMPLES = 'examples/browser';
// A published tutorial, where it lies beside the repository.
const TUTORIAL = process.env.TUTORIAL ?? '../shared/tutorial';

const GREETINGS = [
  { file: `${EXAMPLES}/greeting.js`, opened: 'connected', said: 'Good morning, room!', received: 'received:',
    failed: 'could not connect:', closed: 'closed:' },
  { file: `${TUTORIAL}/basic.js`, opened: 'Conexión establecida', said: 'Hola, servidor!', received: 'Mensaje recibido:',
    failed: 'Error en WebSocket:', closed: 'Conexión cerrada' },
];
const BUFFERS = [
  { file: `${EXAMPLES}/buffers.js`, received: 'bytes received:' },
  { file: `${TUTORIAL}/binary.js`, received: 'Datos binarios recibidos:' },
];
const present = (scripts) => scripts.filter(({ file }) => readIfPresent(file) !== null);

let browser;
let server;

before(async () => {
  browser = await launchBrowser();
  server = await Server.start();
});

after(async () => {
  await browser?.close();
  await server?.end();
});

/** A page without content at `origin`, with what its scripts log. */
async function emptyPage(origin) {
  const context = await browser.newContext({ bypassCSP: true });
  const page = await context.newPage();
  const logged = [];
  page.on('console', (message) => logged.push(message));
  await page.goto(`${origin}/health`);
  return { page, logged, close: () => context.close() };
}

/** Runs a script of the repository in the page, as a <script> element would. */
async function runScript({ page }, file, address) {
  const script = readIfPresent(file);
  const filled = script.replace(/'ws:\/\/[^']*'/, () => `'${address}'`);
  assert.notEqual(filled, script, `${file} has an address to fill in`);
  await page.addScriptTag({ content: filled });
}

const line = ({ logged }, start) => eventually(`a logged line that starts with "${start}"`,
  () => logged.find((message) => message.text().startsWith(start)));

/** A bare socket in the page, open, that keeps what it receives. */
async function bareSocket({ page }, address) {
  await page.evaluate((url) => new Promise((done, failed) => {
    globalThis.bare = new WebSocket(url);
    globalThis.heard = [];
    bare.onmessage = (event) => heard.push(event.data);
    bare.onopen = done;
    bare.onerror = () => failed(new Error('no connection'));
  }), address);
}

for (const script of present(GREETINGS)) {
  test(`${script.file}: the greeting is heard in the room, by its sender too`, async () => {
    const [speaker, listener] = [await emptyPage(server.origin), await emptyPage(server.origin)];
    await bareSocket(listener, server.room('greeting'));
    await runScript(speaker, script.file, server.room('greeting'));
    await line(speaker, script.opened);
    assert.equal((await line(speaker, script.received)).text(), `${script.received} ${script.said}`);
    await eventually('the greeting', () => listener.page.evaluate(() => heard.length > 0));
    assert.deepEqual(await listener.page.evaluate(() => heard), [script.said]);
    await speaker.close();
    await listener.close();
  });

  test(`${script.file}: a page of a foreign origin is told, and so is who runs the server`, async (t) => {
    const foreign = createServer((_, response) => response.end('foreign'));
    await new Promise((done) => foreign.listen(0, '127.0.0.1', done));
    t.after(() => {
      foreign.closeAllConnections();
      foreign.close();
    });
    const origin = `http://127.0.0.1:${foreign.address().port}`;
    const stranger = await emptyPage(origin);
    await runScript(stranger, script.file, server.room('greeting'));
    await line(stranger, script.failed);
    await line(stranger, script.closed);
    assert.equal(stranger.logged.some((message) => message.text().startsWith(script.opened)), false);
    const told = await eventually('a line of the server about the origin',
      () => server.log.split('\n').find((text) => text.includes(origin)));
    assert.match(told, /origin/i);
    await stranger.close();
  });

  test(`${script.file}: the end of the server is noticed`, async (t) => {
    const mortal = await Server.start();
    t.after(() => mortal.stop());
    const client = await emptyPage(mortal.origin);
    await runScript(client, script.file, mortal.room('greeting'));
    await line(client, script.received);
    assert.equal(await mortal.stop(), 0);
    await line(client, script.closed);
    await client.close();
  });
}

for (const script of present(BUFFERS)) {
  test(`${script.file}: binary arrives as an ArrayBuffer`, async () => {
    const [receiver, sender] = [await emptyPage(server.origin), await emptyPage(server.origin)];
    await runScript(receiver, script.file, server.room('buffers'));
    await receiver.page.waitForFunction('socket.readyState === WebSocket.OPEN');
    await bareSocket(sender, server.room('buffers'));
    await sender.page.evaluate(() => bare.send(new Uint8Array([0, 1, 127, 128, 255])));
    const [, value] = (await line(receiver, script.received)).args();
    const seen = await value.evaluate((data) => [data instanceof ArrayBuffer, ...new Uint8Array(data)]);
    assert.deepEqual(seen, [true, 0, 1, 127, 128, 255]);
    await receiver.close();
    await sender.close();
  });
}

test('binary arrives as a Blob where nothing else is asked for, and text as a string', async () => {
  const pair = [await emptyPage(server.origin), await emptyPage(server.origin)];
  for (const each of pair) await bareSocket(each, server.room('blobs'));
  await pair[0].page.evaluate(() => {
    bare.send(new Blob([new Uint8Array([9, 8, 7])]));
    bare.send('ñ and 🌊');
    bare.send('');
    bare.send(new ArrayBuffer(0));
  });
  for (const { page } of pair) {
    await eventually('four messages', () => page.evaluate(() => heard.length === 4));
    const seen = await page.evaluate(async () => Promise.all(heard.map(async (data) => (
      data instanceof Blob ? ['Blob', ...new Uint8Array(await data.arrayBuffer())] : data))));
    assert.deepEqual(seen, [['Blob', 9, 8, 7], 'ñ and 🌊', '', ['Blob']]);
  }
  for (const each of pair) await each.close();
});
