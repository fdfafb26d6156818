// The chat page as two people use it, on a phone and on a desk, in Spanish and in English.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Line, Server, eventually, keepScreenshot, launchBrowser } from './support.js';

const MAX_MESSAGE_BYTES = 64 * 1024;
const VIEWS = [
  { name: 'phone', viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true },
  { name: 'desk', viewport: { width: 1280, height: 800 } },
];
const LANGUAGES = {
  es: { online: 'En línea', guest: 'Invitado', send: 'Enviar', download: 'Descargar', a: 'Ana', b: 'Luis',
    hello: '¿Cómo está el mar?', answer: 'En calma. ¿Bajas?' },
  en: { online: 'Online', guest: 'Guest', send: 'Send', download: 'Download', a: 'Maya', b: 'Theo',
    hello: 'How is the sea?', answer: 'Calm. Are you coming?' },
};

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

/** A window of a person, in a room and connected. */
async function person(name, room, { locale = 'en', colorScheme = 'light', origin = server.origin, ...view } = VIEWS[1]) {
  const { name: _, ...options } = view;
  const context = await browser.newContext({ locale, colorScheme, ...options });
  const page = await context.newPage();
  const complaints = [];
  const sizes = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => { if (message.type() === 'error') complaints.push(message.text()); });
  page.on('websocket', (socket) => socket.on('framesent', ({ payload }) => sizes.push(payload.length)));
  await page.goto(`${origin}/#${room}`);
  await inState(page, 'connected');
  await page.fill('#name', name);
  await page.press('#name', 'Enter');
  return { name, page, complaints, sizes, close: () => context.close() };
}

const inState = (page, state) => page.waitForFunction((s) => document.body.dataset.state === s, state, { timeout: 45_000 });

async function say({ page }, text) {
  await page.fill('#text', text);
  await page.press('#text', 'Enter');
}

const message = ({ page }, text) => page.locator('#log li', { hasText: text });

async function hears(listener, text) {
  await message(listener, text).waitFor();
  assert.equal(await message(listener, text).count(), 1, `"${text}" is there once`);
}

/** A picture that no message could carry as it is: noise, in a PNG file. */
async function largePicture({ page }) {
  const base64 = await page.evaluate(() => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 1400, height: 900 });
    const pen = canvas.getContext('2d');
    const image = pen.createImageData(canvas.width, canvas.height);
    for (let i = 0; i < image.data.length; i += 1) image.data[i] = i % 4 === 3 ? 255 : (i / 5600) % 200 + Math.random() * 55;
    pen.putImageData(image, 0, 0);
    return canvas.toDataURL('image/png').split(',')[1];
  });
  const buffer = Buffer.from(base64, 'base64');
  assert.ok(buffer.length > MAX_MESSAGE_BYTES);
  return { name: 'sea.png', mimeType: 'image/png', buffer };
}

async function fitsItsWindow({ page }) {
  const excess = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.equal(excess, 0, 'nothing reaches beyond the side of the window');
}

for (const view of VIEWS) {
  for (const [locale, words] of Object.entries(LANGUAGES)) {
    test(`two windows talk: ${view.name}, ${locale}`, async () => {
      const room = `talk-${view.name}-${locale}`;
      const colorScheme = locale === 'es' ? 'light' : 'dark';
      const a = await person(words.a, room, { ...view, locale, colorScheme });
      const b = await person(words.b, room, { ...view, locale, colorScheme });
      assert.equal(await a.page.getAttribute('html', 'lang'), locale);
      assert.equal(await a.page.textContent('#state-text'), words.online);
      await fitsItsWindow(a);
      await keepScreenshot(a.page, `${room}-empty`);

      await say(a, words.hello);
      await hears(b, words.hello);
      assert.equal(await message(b, words.hello).locator('.author').textContent(), words.a);
      await say(b, words.answer);
      await hears(a, words.answer);
      await eventually('the room to confirm', async () => (await b.page.locator('.pending').count()) === 0);

      await a.page.setInputFiles('#file', await largePicture(a));
      const picture = b.page.locator('#log img');
      await picture.waitFor();
      await eventually('the picture to be decoded', () => picture.evaluate((image) => image.naturalWidth > 100));
      assert.ok(Math.max(...a.sizes) <= MAX_MESSAGE_BYTES, 'the picture fits one message');
      assert.match(await picture.getAttribute('alt'), new RegExp(words.a));

      await fitsItsWindow(b);
      await keepScreenshot(a.page, `${room}-a`);
      await keepScreenshot(b.page, `${room}-b`);
      assert.deepEqual([...a.complaints, ...b.complaints], []);
      await a.close();
      await b.close();
    });
  }
}

test('a bare socket takes part as a guest, and its bytes can be downloaded', async () => {
  const a = await person('Maya', 'guests');
  await a.page.evaluate((url) => {
    globalThis.heard = [];
    const bare = new WebSocket(url);
    bare.onmessage = (event) => heard.push(event.data);
    bare.onopen = () => { bare.send('hola'); bare.send(new Blob([new Uint8Array(1234)])); };
  }, server.room('guests'));
  await hears(a, 'hola');
  assert.equal(await message(a, 'hola').locator('.author').textContent(), LANGUAGES.en.guest);
  const [download] = await Promise.all([a.page.waitForEvent('download'), a.page.click('#log a[download]')]);
  assert.equal(download.suggestedFilename(), 'guests.bin');
  assert.match(await a.page.locator('#log li', { has: a.page.locator('a[download]') }).textContent(), /1234 bytes/);
  await say(a, 'legible');
  const legible = JSON.stringify({ name: 'Maya', text: 'legible' });
  await eventually('the text at the bare socket', () => a.page.evaluate((text) => heard.includes(text), legible));
  await a.close();
});

test('markup in a message or a name stays text', async () => {
  const [a, b] = [await person('<b>Maya</b>', 'markup'), await person('Theo', 'markup')];
  const text = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
  await say(a, text);
  await hears(b, text);
  assert.equal(await b.page.locator('#log img, #log script, #log b').count(), 0);
  assert.equal(await message(b, text).locator('.author').textContent(), '<b>Maya</b>');
  await a.close();
  await b.close();
});

test('after a restart of the server both are back, and what was written meanwhile arrives once', async () => {
  const [a, b] = [await person('Maya', 'restart', VIEWS[0]), await person('Theo', 'restart')];
  await say(a, 'before');
  await hears(b, 'before');
  await server.stop();
  await inState(a.page, 'waiting');
  await say(a, 'meanwhile');
  await message(a, 'meanwhile').waitFor();
  assert.equal(await a.page.locator('.pending').count(), 1);
  await keepScreenshot(a.page, 'restart-waiting');
  await inState(b.page, 'waiting');
  await server.start();
  await inState(b.page, 'connected');
  await inState(a.page, 'connected');
  await hears(b, 'meanwhile');
  await eventually('the room to confirm', async () => (await a.page.locator('.pending').count()) === 0);
  await say(a, 'afterwards');
  await hears(b, 'afterwards');
  await hears(a, 'meanwhile');
  await hears(a, 'before');
  assert.equal(await a.page.locator('#log .note', { hasText: 'Messages are missing' }).count(), 0);
  assert.deepEqual(await texts(a), ['before', 'meanwhile', 'afterwards']);
  assert.deepEqual(await texts(b), ['before', 'meanwhile', 'afterwards']);
  await keepScreenshot(a.page, 'restart-back');
  await a.close();
  await b.close();
});

/** What is said in the room as a page shows it, from the top. */
const texts = ({ page }) => page.locator('#log .body').allTextContents();

test('who was offline for a while is complete again: each message once, in the same order for all', async () => {
  const line = await Line.to(server);
  const [a, b] = [await person('Maya', 'away'), await person('Theo', 'away', VIEWS[0])];
  const c = await person('Zoe', 'away', { ...VIEWS[0], origin: line.origin });
  await say(a, 'all are here');
  await hears(c, 'all are here');
  line.cut();
  await inState(c.page, 'waiting');
  for (let i = 0; i < 6; i += 1) {
    await say(i % 2 ? a : b, `while away ${i}.`);
    if (i % 2) await say(c, `written offline ${i}.`);
  }
  assert.equal(await c.page.locator('.pending .fate').count(), 3);
  assert.match(await c.page.textContent('#state-text'), /Reconnecting/);
  await keepScreenshot(c.page, 'away-waiting');
  assert.equal(await message(a, 'written offline').count(), 0);
  line.mend();
  await inState(c.page, 'connected');
  for (const someone of [a, b, c]) {
    await eventually('everything to arrive', async () => (await texts(someone)).length === 10);
    await eventually('the room to confirm', async () => (await someone.page.locator('.pending').count()) === 0);
  }
  const order = await texts(a);
  assert.equal(new Set(order).size, 10);
  assert.deepEqual(await texts(b), order);
  assert.deepEqual(await texts(c), order);
  const mine = order.filter((text) => text.startsWith('written'));
  assert.deepEqual(mine, [1, 3, 5].map((i) => `written offline ${i}.`));
  await keepScreenshot(c.page, 'away-back');
  await Promise.all([a, b, c].map((someone) => someone.close()));
  await line.end();
});

test('"connect now" does not wait for the next try', async () => {
  const line = await Line.to(server);
  const a = await person('Maya', 'hurry', { ...VIEWS[1], origin: line.origin });
  line.cut();
  await a.page.locator('#retry').waitFor({ timeout: 60_000 });
  line.mend();
  await a.page.click('#retry');
  await inState(a.page, 'connected');
  await a.close();
  await line.end();
});

test('what the server no longer has is told as a line in the conversation', async () => {
  const forgetful = await Server.start('--history', 'memory');
  const a = await person('Maya', 'forgotten', { ...VIEWS[0], origin: forgetful.origin });
  await say(a, 'remember this');
  await eventually('the room to confirm', async () => (await a.page.locator('.pending').count()) === 0);
  await forgetful.stop();
  await inState(a.page, 'waiting');
  await forgetful.start();
  await inState(a.page, 'connected');
  await a.page.locator('#log .note', { hasText: 'Messages are missing' }).waitFor();
  await say(a, 'a new beginning');
  await eventually('the room to confirm', async () => (await a.page.locator('.pending').count()) === 0);
  await keepScreenshot(a.page, 'forgotten');
  await a.close();
  await forgetful.end();
});

test('pages know by name who is there, and who is writing', async () => {
  const [a, b] = [await person('Maya', 'people'), await person('Theo', 'people', VIEWS[0])];
  const names = () => a.page.locator('#present li').allTextContents();
  await eventually('both to be there', async () => (await names()).join() === 'Maya(you),Theo');
  assert.match(await b.page.textContent('#here'), /2 here/);
  await b.page.locator('#text').pressSequentially('I am');
  await a.page.locator('#writing', { hasText: 'Theo is writing…' }).waitFor();
  await keepScreenshot(a.page, 'people-writing');
  await b.page.press('#text', 'Enter');
  await hears(a, 'I am');
  assert.equal(await a.page.textContent('#writing'), '');
  await b.page.fill('#name', 'Teodoro');
  await b.page.press('#name', 'Enter');
  await eventually('the new name', async () => (await names()).join() === 'Maya(you),Teodoro');
  await a.page.evaluate((url) => { globalThis.bare = new WebSocket(url); }, server.room('people'));
  await eventually('a guest', async () => (await names()).join() === 'Maya(you),Teodoro,Guest');
  await b.close();
  // Who lost the connection is kept for 10 s.
  await eventually('one to leave', async () => (await names()).join() === 'Maya(you),Guest', 30_000);
  await a.close();
});

test('who enters sees what was said, and further up what was said before', async () => {
  const a = await person('Maya', 'past');
  await a.page.evaluate((url) => new Promise((done) => {
    const bare = new WebSocket(url);
    bare.onmessage = ({ data }) => { if (data === 'line 130.') done(); };
    bare.onopen = () => { for (let i = 1; i <= 130; i += 1) bare.send(`line ${i}.`); };
  }), server.room('past'));
  const b = await person('Theo', 'past', VIEWS[0]);
  await hears(b, 'line 130.');
  assert.equal((await texts(b))[0], 'line 81.');
  for (const first of ['line 31.', 'line 1.']) {
    await b.page.evaluate(() => { document.getElementById('scroller').scrollTop = 0; });
    await eventually(`${first} to be there`, async () => (await texts(b))[0] === first);
    const top = await b.page.evaluate(() => document.getElementById('scroller').scrollTop);
    assert.ok(top > 200, 'what was read stays in sight');
  }
  assert.deepEqual(await texts(b), Array.from({ length: 130 }, (_, i) => `line ${i + 1}.`));
  assert.equal(await b.page.locator('#older').isVisible(), false);
  await a.close();
  await b.close();
});

test('who reads further up is not pulled down, and is told how much is new', async () => {
  const [a, b] = [await person('Maya', 'scroll'), await person('Theo', 'scroll')];
  for (let i = 0; i < 30; i += 1) await say(b, `line ${i}.`);
  await hears(a, 'line 29.');
  await a.page.evaluate(() => { document.getElementById('scroller').scrollTop = 0; });
  await say(b, 'news');
  await hears(a, 'news');
  assert.equal(await a.page.evaluate(() => document.getElementById('scroller').scrollTop), 0);
  assert.equal(await a.page.title(), '(1) scroll · Vaivén');
  await a.page.click('#unread');
  assert.equal(await a.page.title(), 'scroll · Vaivén');
  await a.close();
  await b.close();
});

test('the language can be switched and is remembered; rooms are left and entered', async () => {
  const a = await person('Maya', 'first');
  await a.page.click('[data-language=es]');
  assert.equal(await a.page.getAttribute('html', 'lang'), 'es');
  await a.page.reload();
  await inState(a.page, 'connected');
  assert.equal(await a.page.textContent('#state-text'), LANGUAGES.es.online);
  assert.equal(await a.page.inputValue('#name'), 'Maya');
  await a.page.fill('#join-room', 'otra sala');
  await a.page.press('#join-room', 'Enter');
  await a.page.waitForFunction(() => document.getElementById('room-name').textContent === 'otra-sala');
  await inState(a.page, 'connected');
  assert.match(await a.page.textContent('#snippet'), /\/c\/otra-sala'/);
  const b = await person('Theo', 'otra-sala');
  await say(b, 'here');
  await hears(a, 'here');
  await a.close();
  await b.close();
});

test('the keyboard alone is enough', async () => {
  const a = await person('Maya', 'keys');
  await a.page.reload();
  await inState(a.page, 'connected');
  assert.equal(await a.page.evaluate(() => document.activeElement.id), 'text');
  await a.page.keyboard.type('one');
  await a.page.keyboard.press('Shift+Enter');
  await a.page.keyboard.type('two');
  await a.page.keyboard.press('Enter');
  await hears(a, 'one\ntwo');
  assert.equal(await a.page.inputValue('#text'), '');
  await a.close();
});
