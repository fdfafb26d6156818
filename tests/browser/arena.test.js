// The game as three people play it, on a phone and on a desk, in Spanish and in English.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Line, Server, eventually, keepScreenshot, launchBrowser } from './support.js';

const VIEWS = [
  { name: 'phone', viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 },
  { name: 'desk', viewport: { width: 1280, height: 800 } },
];
const LANGUAGES = {
  es: { online: 'En línea', title: 'La bahía', crew: '1 persona · 4 bots', dash: 'Embestir' },
  en: { online: 'Online', title: 'The bay', crew: '1 player · 4 bots', dash: 'Ram' },
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

/** A player's window. What the server sends to it is kept: the latest world, and who sails which boat. */
async function player(name, { locale = 'en', colorScheme = 'light', origin = server.origin, ...view } = VIEWS[1]) {
  const { name: _, ...options } = view;
  const context = await browser.newContext({ locale, colorScheme, ...options });
  await context.addInitScript((value) => { localStorage['vaiven.name'] ??= JSON.stringify(value); }, name);
  const page = await context.newPage();
  const person = { name, page, complaints: [], cards: new Map(), world: null, worlds: 0, close: () => context.close() };
  page.on('pageerror', (error) => person.complaints.push(String(error)));
  page.on('console', (message) => { if (message.type() === 'error') person.complaints.push(message.text()); });
  page.on('websocket', (socket) => socket.on('framereceived', ({ payload }) => take(person, payload)));
  await page.goto(`${origin}/arena`);
  await inState(page, 'connected');
  await eventually(`a boat for ${name}`, () => boat(person, name));
  return person;
}

const inState = (page, state) => page.waitForFunction((s) => document.body.dataset.state === s, state, { timeout: 45_000 });

function take(person, payload) {
  if (typeof payload === 'string') {
    const { key, data, removed } = JSON.parse(payload);
    if (!key?.startsWith('boat.')) return;
    if (removed) person.cards.delete(Number(key.slice(5)));
    else person.cards.set(Number(key.slice(5)), data);
    return;
  }
  const body = payload.subarray(payload.indexOf(10) + 1);
  const boats = new Map();
  for (let i = 0, at = 7; i < body[5]; i += 1, at += 9) {
    const place = body.readUIntLE(at + 1, 3);
    boats.set(body[at], { x: (place & 0xfff) / 2 - 1024, y: (place >> 12) / 2 - 1024, isBot: (body[at + 5] & 1) === 1,
      isDashing: (body[at + 5] & 2) === 2, score: body.readUInt16LE(at + 6) });
  }
  person.world = { tick: body.readUInt32LE(1), boats, bytes: body.length };
  person.worlds += 1;
}

/** The boat of a name, as one player sees it. */
function boat(person, name) {
  const [id] = [...person.cards].find(([, card]) => card.name === name) ?? [];
  const found = person.world?.boats.get(id);
  return found && { id, ...found };
}

/** Waits until `seer` has seen the boat of `name` go so far. */
async function seesGo(seer, name, distance) {
  const from = boat(seer, name);
  await eventually(`${seer.name} to see ${name} move`, () => {
    const to = boat(seer, name);
    return to && Math.hypot(to.x - from.x, to.y - from.y) > distance;
  });
}

async function fitsItsWindow(page) {
  const excess = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.equal(excess, 0, 'nothing reaches beyond the side of the window');
}

/** How many different colours a part of the picture has. */
const colours = (page) => page.evaluate(() => {
  const canvas = document.getElementById('bay');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const found = new Set();
  for (let i = 0; i < data.length; i += 4 * 97) found.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
  return found.size;
});

for (const view of VIEWS) {
  for (const [locale, words] of Object.entries(LANGUAGES)) {
    test(`whoever is alone has company at once: ${view.name}, ${locale}`, async () => {
      const colorScheme = locale === 'es' ? 'light' : 'dark';
      const a = await player('Ana', { ...view, locale, colorScheme });
      assert.equal(await a.page.getAttribute('html', 'lang'), locale);
      assert.equal(await a.page.title(), `${words.title} · Vaivén`);
      assert.equal(await a.page.textContent('#state-text'), words.online);
      assert.equal(await a.page.textContent('#dash'), words.dash);
      await eventually('company', async () => (await a.page.textContent('#crew')) === words.crew);
      await eventually('a round trip', async () => /^\d+ ms$/.test(await a.page.textContent('#ping')));
      assert.match(await a.page.textContent('#ticks'), /^\d+ ticks\/s$/);
      await eventually('a name on the board', async () => (await a.page.locator('#scores .me').count()) === 1);
      assert.ok(await colours(a.page) > 12, 'something is drawn');
      await fitsItsWindow(a.page);
      await keepScreenshot(a.page, `arena-${view.name}-${locale}`);
      assert.deepEqual(a.complaints, []);
      await a.close();
    });
  }
}

test('three players see each other move, by key and by thumb', async () => {
  const [a, b, c] = [await player('Maya'), await player('Theo', VIEWS[0]), await player('Zoe')];
  for (const someone of [a, b, c]) {
    await eventually('all to be there', () => ['Maya', 'Theo', 'Zoe'].every((name) => boat(someone, name)));
  }
  await a.page.keyboard.down('ArrowRight');
  await Promise.all([seesGo(b, 'Maya', 150), seesGo(c, 'Maya', 150)]);
  await a.page.keyboard.up('ArrowRight');
  // A thumb that lands, moves and stays.
  const touch = await b.page.context().newCDPSession(b.page);
  const thumb = (type, ...touchPoints) => touch.send('Input.dispatchTouchEvent', { type, touchPoints });
  await thumb('touchStart', { x: 120, y: 600 });
  await thumb('touchMove', { x: 120, y: 540 });
  await Promise.all([seesGo(a, 'Theo', 150), seesGo(c, 'Theo', 150)]);
  await keepScreenshot(b.page, 'arena-thumb');
  await thumb('touchEnd');
  await c.page.keyboard.press('Space');
  await eventually('a dash', () => boat(a, 'Zoe')?.isDashing);
  await keepScreenshot(a.page, 'arena-three');
  for (const someone of [a, b, c]) {
    assert.deepEqual(someone.complaints, []);
    await someone.close();
  }
});

test('who was offline for a while has the same boat again', async () => {
  const line = await Line.to(server);
  const a = await player('Maya');
  const b = await player('Theo', { ...VIEWS[0], origin: line.origin });
  await eventually('both to be there', () => boat(a, 'Theo') && boat(b, 'Maya'));
  const { id } = boat(a, 'Theo');
  line.cut();
  await inState(b.page, 'waiting');
  await keepScreenshot(b.page, 'arena-waiting');
  const worlds = b.worlds;
  await new Promise((done) => { setTimeout(done, 2_000); });
  assert.equal(b.worlds, worlds);
  assert.equal(boat(a, 'Theo')?.id, id, 'the boat is kept for a while');
  line.mend();
  await inState(b.page, 'connected');
  await eventually('worlds to arrive', () => b.worlds > worlds + 10);
  assert.equal(boat(b, 'Theo').id, id);
  await b.page.focus('#bay');
  await b.page.keyboard.down('KeyS');
  await seesGo(a, 'Theo', 60);
  await b.close();
  await eventually('the boat to leave', () => !boat(a, 'Theo'), 30_000);
  await a.close();
  await line.end();
});

test('hostile inputs change nothing, and a client can neither hear inputs nor publish worlds', async () => {
  const a = await player('Maya');
  const answers = await a.page.evaluate(async () => {
    const client = new Vaiven.Client(new URL('v1', location));
    const outcome = (promise) => promise.then(() => 'taken', ({ code }) => code);
    const world = client.channel('arena:bay');
    const inputs = client.channel('arena-input:bay');
    await world.subscribe();
    const answers = [await outcome(world.publish(new Uint8Array(50), { key: 'world' })), await outcome(inputs.subscribe())];
    for (const data of [null, [1e308, 0, 0, true], { name: { a: 1 } }, [[[]]], 'x', [1, 2, 3, 4, 5], { name: '' }]) {
      await outcome(inputs.publish(data));
    }
    answers.push(await outcome(inputs.publish('x'.repeat(300))));
    client.close();
    return answers;
  });
  assert.deepEqual(answers, ['forbidden', 'forbidden', 'too_large']);
  const { tick } = a.world;
  await eventually('the world to go on', () => a.world.tick > tick + 10);
  assert.ok(boat(a, 'Maya'));
  assert.deepEqual(a.complaints, []);
  await a.close();
});

test('between two worlds boats glide, and one that leaps does not', async () => {
  const a = await player('Maya');
  const shown = await a.page.evaluate(async () => {
    const { Timeline } = await import('/demos/arena/timeline.js');
    const world = (tick, x) => ({ tick, boats: new Map([[1, { x, y: 0, heading: 3 }]]), lights: [] });
    const timeline = new Timeline();
    const step = 1000 / 30;
    [0, 10, 20, 30, 900].forEach((x, i) => timeline.add(world(i, x), 5000 + i * step));
    const at = (ticks) => timeline.at(5000 + 100 + ticks * step).boats.get(1).x;
    return [at(-1), at(0.5), at(2), at(2.75), at(3.5), at(9)].map((x) => Math.round(x * 100) / 100);
  });
  assert.deepEqual(shown, [0, 5, 20, 27.5, 900, 900]);
  await a.close();
});

test('the language can be switched, the name changed, and the chat reached', async () => {
  const a = await player('Maya');
  await a.page.click('[data-language=es]');
  assert.equal(await a.page.textContent('#dash'), LANGUAGES.es.dash);
  await a.page.fill('#name', '<b>Ana</b>');
  await a.page.press('#name', 'Enter');
  await eventually('the new name', () => boat(a, '<b>Ana</b>'));
  await a.page.locator('#scores', { hasText: '<b>Ana</b>' }).waitFor();
  assert.equal(await a.page.evaluate(() => document.activeElement.id), 'bay');
  await a.page.click('header a');
  await a.page.waitForFunction(() => document.getElementById('room-name') !== null);
  assert.equal(await a.page.inputValue('#name'), '<b>Ana</b>');
  await a.page.click('.foot a');
  await inState(a.page, 'connected');
  await a.page.waitForSelector('#bay');
  await a.close();
});
