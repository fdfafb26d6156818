// The page of Socket.IO that the documentation shows, as it stands there, beside the chat; and behind a proxy that lets no
// WebSocket through.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Line, ROOT, Server, eventually, keepScreenshot, launchBrowser } from './support.js';

const DOCUMENT = readFileSync(join(ROOT, 'docs/socketio.md'), 'utf8');
const PAGE = DOCUMENT.match(/```html\n(.*?)```/s)[1];
const LIBRARY = readFileSync(new URL('./node_modules/socket.io-client/dist/socket.io.min.js', import.meta.url));

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

/** The page at `origin`, and the library from where the page says. */
async function shown(origin, viewport = { width: 1280, height: 800 }) {
  const context = await browser.newContext({ viewport, bypassCSP: true });
  const page = await context.newPage();
  const sockets = [];
  page.on('websocket', (socket) => sockets.push(socket));
  await page.route('https://cdn.socket.io/**', (route) =>
    route.fulfill({ contentType: 'text/javascript', body: LIBRARY }));
  await page.goto(`${origin}/health`);
  await page.setContent(PAGE);
  await page.waitForFunction('socket.connected');
  return {
    page, sockets,
    async say(text) {
      await page.fill('input[name=text]', text);
      await page.press('input[name=text]', 'Enter');
    },
    hears: (text) => page.locator('#said li', { hasText: text }).waitFor(),
    lines: () => page.locator('#said li').allTextContents(),
    transport: () => page.evaluate('socket.io.engine.transport.name'),
    close: () => context.close(),
  };
}

/** A person in the chat of the server itself. */
async function chatting(room) {
  const context = await browser.newContext({ locale: 'en' });
  const page = await context.newPage();
  await page.goto(`${server.origin}/#${room}`);
  await page.waitForFunction(() => document.body.dataset.state === 'connected');
  return {
    async say(text) {
      await page.fill('#text', text);
      await page.press('#text', 'Enter');
    },
    hears: (text) => page.locator('#log li', { hasText: text }).waitFor(),
    page,
    close: () => context.close(),
  };
}

test('a page of a dozen lines talks with the chat', async () => {
  const [chat, ana] = [await chatting('sala'), await shown(server.origin)];
  await ana.say('good morning from Socket.IO');
  await chat.hears('good morning from Socket.IO');
  await chat.say('and from the chat');
  await ana.hears('and from the chat');
  assert.deepEqual(await ana.lines(), ['good morning from Socket.IO', 'and from the chat']);
  assert.equal(await eventually('the upgrade', async () => (await ana.transport()) === 'websocket'), true);
  await keepScreenshot(ana.page, 'socketio-page');
  await keepScreenshot(chat.page, 'socketio-chat');
  await Promise.all([chat.close(), ana.close()]);
});

test('a page that was offline for a while has missed nothing', async () => {
  const line = await Line.to(server);
  const [ana, eva] = [await shown(line.origin), await shown(server.origin)];
  await ana.say('here I am');
  await eva.hears('here I am');
  await line.cut();
  await ana.page.waitForFunction('!socket.connected');
  for (const text of ['one', 'two', 'three']) await eva.say(text);
  await eva.hears('three');
  await line.mend();
  await ana.hears('three');
  assert.deepEqual((await ana.lines()).slice(-4), ['here I am', 'one', 'two', 'three']);
  assert.equal(await ana.page.evaluate('socket.recovered'), true);
  await Promise.all([ana.close(), eva.close()]);
  await line.end();
});

test('behind a proxy without WebSockets long-polling does everything', async () => {
  const { port } = new URL(server.origin);
  const proxy = createServer((asked, answer) => {
    const passed = request({ port, method: asked.method, path: asked.url, headers: asked.headers }, (given) => {
      answer.writeHead(given.statusCode, given.headers);
      given.pipe(answer);
    });
    passed.on('error', () => answer.destroy());
    asked.on('aborted', () => passed.destroy());
    asked.pipe(passed);
  });
  proxy.on('upgrade', (_, socket) => socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'));
  await new Promise((done) => { proxy.listen(0, '127.0.0.1', done); });
  const [ana, eva] = [await shown(`http://127.0.0.1:${proxy.address().port}`), await shown(server.origin)];
  for (const text of ['by polling', 'again']) await ana.say(text);
  await eva.hears('again');
  await eva.say('and back');
  await ana.hears('and back');
  assert.equal(await ana.transport(), 'polling');
  assert.deepEqual((await ana.lines()).slice(-3), ['by polling', 'again', 'and back']);
  await Promise.all([ana.close(), eva.close()]);
  proxy.close();
  proxy.closeAllConnections();
});
