// The game's page: worlds arrive, what the visitor wants is sent, and a picture is drawn.
//
// The server decides everything. It publishes the world to `arena:bay`; this page publishes to `arena-input:bay` what is
// wanted: `{"name":"Ana"}` for a boat, `[number, x, y, dash]` to steer it. Each input's number comes back with the first
// world in which the input counts: the time between is what the page shows.

import { client, isConnected, showState } from '../shared/link.js';
import { say, speak } from '../shared/language.js';
import { hue, knownName, rememberName, tidyName } from '../shared/names.js';
import { Helm } from './helm.js';
import { Scene } from './scene.js';
import { decode } from './snapshot.js';
import { Timeline } from './timeline.js';
import { WORDS } from './words.js';

const INPUT_EVERY_MS = 40; // at most: no input is lost between two ticks
const REPEAT_MS = 500; // the server lets the helm go that says nothing for 3 s
const FIGURES_EVERY_MS = 500;
const RATE_MS = 2000;
const BOARD_EVERY_MS = 500;
const PATIENCE = 10; // tries after which the bay is taken for full
const HELP_MS = 12_000;
const SHOWN_SCORES = 6;
const PINGS = 9;

const $ = (id) => document.getElementById(id);
const world = client.channel('arena:bay', { presence: true });
const inputs = client.channel('arena-input:bay');
const timeline = new Timeline();
const scene = new Scene($('bay'));
const helm = new Helm($('bay'), $('dash'), () => steer());

/** Who sails which boat: `{client, name}` by its number. */
const cards = new Map();
/** Which of the bots' names a bot has. */
const botNames = new Map();
let own = null;
let number = 0;
let sent = { at: 0, direction: '0,0' };
let pings = [];
const underWay = new Map();
let arrivals = [];
let boardTries = 0;

world.on('subscribed', board);
world.on('message', ({ key, data, removed }) => {
  if (key === 'world') receive(removed ? null : data);
  else if (key?.startsWith('boat.')) seat(Number(key.slice(5)), removed ? null : data);
});
world.subscribe().catch((error) => { $('notice').textContent = error.message; });

function board() {
  const name = $('name').value;
  // What is lost with the connection is said again when it is back.
  inputs.publish({ name }, { ephemeral: true }).catch(() => {});
}

function seat(id, card) {
  if (card) cards.set(id, card);
  else cards.delete(id);
  own = [...cards].find(([, { client: by }]) => by === client.id)?.[0] ?? null;
}

function receive(data) {
  const next = data && decode(data);
  if (!next) {
    timeline.clear();
    return;
  }
  const now = performance.now();
  timeline.add(next, now);
  arrivals.push(now);
  nameBots(next.boats);
  measure(next.boats.get(own)?.input, now);
}

/** Every bot on the water has another name, and keeps it. */
function nameBots(boats) {
  for (const id of botNames.keys()) if (!boats.get(id)?.isBot) botNames.delete(id);
  for (const { id, isBot } of boats.values()) {
    if (!isBot || botNames.has(id)) continue;
    const taken = new Set(botNames.values());
    const free = say('bots').findIndex((_, index) => !taken.has(index));
    botNames.set(id, Math.max(0, free));
  }
}

/** The input that the world shows has come round, and with it all before. */
function measure(input, now) {
  const at = underWay.get(input);
  if (at === undefined) return;
  pings = [...pings, now - at].slice(-PINGS);
  for (const earlier of [...underWay.keys()]) {
    underWay.delete(earlier);
    if (earlier === input) break;
  }
}

/** Sends what is wanted if it is something new, or was said long ago. */
function steer() {
  const now = performance.now();
  if (!isConnected() || own === null || now - sent.at < INPUT_EVERY_MS) return;
  const direction = helm.direction;
  const dash = helm.takeDash();
  if (!dash && String(direction) === sent.direction && now - sent.at < REPEAT_MS) return;
  number = (number + 1) % 256;
  sent = { at: now, direction: String(direction) };
  underWay.delete(number);
  underWay.set(number, now);
  inputs.publish([number, ...direction, dash], { ephemeral: true }).catch(() => {});
}

function style(boat) {
  if (boat.isBot) return { name: say('bots')[botNames.get(boat.id) ?? 0], hue: 0, isBot: true };
  const name = cards.get(boat.id)?.name || '·';
  return { name, hue: hue(name), isBot: false };
}

function showScores() {
  const boats = [...(timeline.latest?.boats.values() ?? [])].sort((a, b) => b.score - a.score || a.id - b.id);
  const best = boats.slice(0, SHOWN_SCORES);
  const mine = boats.find((boat) => boat.id === own);
  if (mine && !best.includes(mine)) best[best.length - 1] = mine;
  $('scores').replaceChildren(...best.map((boat) => {
    const [item, who, score] = ['li', 'span', 'span'].map((tag) => document.createElement(tag));
    const { name, hue: colour, isBot } = style(boat);
    item.className = [isBot && 'bot', boat.id === own && 'me'].filter(Boolean).join(' ');
    item.style.setProperty('--hue', colour);
    who.className = 'who';
    who.textContent = isBot ? say('bot', name) : name;
    who.dir = 'auto';
    score.className = 'score';
    score.textContent = boat.score;
    item.append(who, score);
    return item;
  }));
}

function showFigures() {
  const now = performance.now();
  arrivals = arrivals.filter((at) => now - at < RATE_MS);
  const rate = arrivals.length > 1 ? ((arrivals.length - 1) * 1000) / (arrivals.at(-1) - arrivals[0]) : 0;
  const median = [...pings].sort((a, b) => a - b)[pings.length >> 1];
  const boats = [...(timeline.latest?.boats.values() ?? [])];
  const bots = boats.filter((boat) => boat.isBot).length;
  $('ping').textContent = median === undefined ? '– ms' : `${Math.round(median)} ms`;
  $('ticks').textContent = `${Math.round(rate)} ticks/s`;
  $('crew').textContent = say('crew', boats.length - bots, bots);
  document.body.dataset.dash = timeline.latest?.boats.get(own)?.canDash ? 'yes' : 'no';
  showScores();
}

/** Who is there and has no boat asks for one, and is told after a while if there is none. */
function seekBoat() {
  const hasBoat = own !== null && (timeline.latest?.boats.has(own) ?? false);
  if (hasBoat || !isConnected()) boardTries = 0;
  else {
    boardTries += 1;
    board();
  }
  $('notice').textContent = boardTries === 0 ? '' : say(boardTries > PATIENCE ? 'full' : 'asleep');
}

function frame(now) {
  steer();
  const [x, y] = helm.direction;
  const heading = x || y ? Math.atan2(y, x) : null;
  scene.draw(timeline.at(now), { own, heading, stick: helm.stick, style, now });
  requestAnimationFrame(frame);
}

$('name').value = knownName();
$('me').addEventListener('submit', (event) => { event.preventDefault(); $('bay').focus(); });
$('name').addEventListener('change', () => {
  $('name').value = tidyName($('name').value) || knownName();
  rememberName($('name').value);
  board();
});
client.on('state', ({ state }) => {
  if (state === 'connected') return;
  underWay.clear();
  pings = [];
});
speak(WORDS, () => {
  document.title = `${say('title')} · Vaivén`;
  showState();
  showFigures();
});
setInterval(showFigures, FIGURES_EVERY_MS);
setInterval(seekBoat, BOARD_EVERY_MS);
// A page that is not looked at draws nothing, but its boat is still steered.
setInterval(steer, REPEAT_MS);
setTimeout(() => { $('help').hidden = true; }, HELP_MS);
$('bay').focus({ preventScroll: true });
requestAnimationFrame(frame);
