// The admin page as an operator uses it: the key, the figures, who is there, a channel's messages, and sending away.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Server, eventually, keepScreenshot, launchBrowser } from './support.js';

const KEY = '0123456789abcdef0123456789abcdef';
const VIEWS = {
  phone: { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, locale: 'es', colorScheme: 'dark' },
  desk: { viewport: { width: 1280, height: 800 }, locale: 'en' },
};
const WORDS = { phone: { title: 'Administración', wrong: 'Esa no es la clave.', send: 'Desconectar' },
  desk: { title: 'Admin', wrong: 'That is not the key.', send: 'Disconnect' } };

let browser;
let server;

before(async () => {
  browser = await launchBrowser();
  server = await Server.start('--admin-key', KEY);
});

after(async () => {
  await browser?.close();
  await server?.end();
});

/** A member of a room, from the console of a page that does nothing else. */
async function member(room) {
  const page = await browser.newPage();
  await page.goto(`${server.origin}/health`);
  await page.evaluate((url) => new Promise((done) => {
    window.socket = new WebSocket(url);
    window.ended = new Promise((over) => { socket.onclose = ({ code }) => over(code); });
    socket.onopen = () => done();
  }), server.room(room));
  return {
    send: (text) => page.evaluate((said) => socket.send(said), text),
    isOpen: () => page.evaluate(() => socket.readyState === WebSocket.OPEN),
    closed: () => page.evaluate(() => window.ended),
    close: () => page.close(),
  };
}

for (const view of ['desk', 'phone']) {
  test(`an operator sees and ends what goes on, at a ${view}`, async () => {
    const context = await browser.newContext(VIEWS[view]);
    const page = await context.newPage();
    const complaints = [];
    const addresses = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => addresses.push(request.url()));
    page.on('dialog', (dialog) => dialog.accept());
    await page.goto(`${server.origin}/admin`);
    await page.getByRole('heading', { name: WORDS[view].title }).waitFor();
    await page.fill('#key', 'x'.repeat(32));
    await page.press('#key', 'Enter');
    await page.getByText(WORDS[view].wrong).waitFor();
    assert.equal(await page.locator('#open').isVisible(), false);
    await keepScreenshot(page, `admin-locked-${view}`);

    // Rooms of this view alone: what was said in others is still in their history.
    const [here, there] = [`sala-${view}`, `otra-${view}`];
    const [ana, luis] = [await member(here), await member(there)];
    await page.fill('#key', KEY);
    await page.press('#key', 'Enter');
    await page.locator('#channels tr', { hasText: here }).waitFor();
    await page.locator('#clients tr').nth(1).waitFor();
    assert.equal(await page.locator('[data-figure="sessions"] dd').first().textContent(), '2');

    await page.locator('#channels button', { hasText: here }).click();
    await page.locator('#tail-stop').waitFor();
    const script = '<img src=x onerror=document.body.remove()>';
    for (const text of ['hola', script, 'x'.repeat(2_000)]) await ana.send(text);
    await page.locator('#tail li', { hasText: 'hola' }).waitFor();
    await page.locator('#tail li', { hasText: script }).waitFor();
    assert.equal(await page.locator('#tail img').count(), 0, 'what comes from the network is text');
    const long = await page.locator('#tail li', { hasText: 'xxxx' }).textContent();
    assert.ok(long.length < 700 && long.includes('…'), `cut: ${long.length}`);
    await page.waitForFunction(() => /^0?[1-9]|^0[.,][1-9]/.test(document.querySelector('[data-figure="in"] dd').textContent)
      || document.querySelector('[data-figure="in"] dd + dd').textContent !== '0');
    await keepScreenshot(page, `admin-${view}`);
    await page.locator('#clients').scrollIntoViewIfNeeded();
    await page.evaluate(() => scrollTo(0, document.body.scrollHeight));
    await keepScreenshot(page, `admin-clients-${view}`);
    const excess = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.equal(excess, 0, 'nothing reaches beyond the side of the window');

    const row = page.locator('#clients tr', { hasText: there });
    await row.getByRole('button').click();
    assert.equal(await luis.closed(), 3003);
    await row.waitFor({ state: 'detached' });
    assert.ok(await ana.isOpen());
    await ana.close();
    await luis.close();

    assert.ok(addresses.every((address) => !address.includes(KEY)), 'the key is in no address');
    const kept = await page.evaluate(() => [document.cookie, ...Object.values(localStorage), ...Object.values(sessionStorage)].join());
    assert.ok(!kept.includes(KEY), 'the browser keeps no key');
    await page.click('#lock');
    assert.equal(await page.locator('#open').isVisible(), false);
    assert.equal(await page.locator('#tail li').count(), 0);
    await eventually('the tail to end', async () => {
      const text = await (await fetch(`${server.origin}/metrics`)).text();
      return text.includes('\nvaiven_members 0\n');
    });
    assert.deepEqual(complaints, []);
    await context.close();
  });
}
