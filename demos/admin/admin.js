// The admin page: the server's state each second, and the messages of one channel. What comes from the network is only
// ever set as text.

import { clock, language, say, speak } from '../shared/language.js';
import { Refused, disconnect, readState, setKey, tail } from './service.js';
import { WORDS } from './words.js';

const POLL_MS = 1000;
const MAX_TAIL = 200; // messages that are shown

const $ = (id) => document.getElementById(id);

let before = null; // the state that came last, and the one before it: rates are the difference
let state = null;
let timer = 0;
let run = 0; // counts logins, so that an answer to an earlier one is not taken for one of now
let listening = null;

// The key.

$('unlock').addEventListener('submit', (event) => {
  event.preventDefault();
  setKey($('key').value);
  $('refused').textContent = '';
  run += 1;
  poll(run);
});

$('lock').addEventListener('click', () => lock(''));

function lock(why) {
  run += 1;
  clearTimeout(timer);
  stopTail();
  setKey('');
  $('key').value = '';
  $('tail').replaceChildren();
  $('state').textContent = '';
  $('refused').textContent = why;
  before = null;
  state = null;
  show('locked');
  $('key').focus();
}

function show(which) {
  document.body.dataset.state = which;
  $('locked').hidden = which !== 'locked';
  $('open').hidden = which === 'locked';
  $('lock').hidden = which === 'locked';
}

// The state.

async function poll(own) {
  clearTimeout(timer);
  try {
    const next = await readState($('find').value.trim());
    if (own !== run) return;
    before = state && state.uptime_ms < next.uptime_ms ? state : null;
    state = next;
    $('key').value = '';
    show('open');
    render();
  } catch (error) {
    if (own !== run) return;
    if (error instanceof Refused && error.status === 401) return lock(say('wrongKey'));
    if (error instanceof Refused && error.status === 403) return lock(say('notHere'));
    if (!state) return lock(say('unreachable'));
    document.body.dataset.state = 'offline';
    $('state').textContent = say('unreachable');
  }
  timer = setTimeout(() => poll(own), POLL_MS);
}

const number = (value, digits = 0) => new Intl.NumberFormat(language(), { maximumFractionDigits: digits }).format(value);

function duration(seconds) {
  const [day, hour, minute] = [86_400, 3600, 60];
  if (seconds >= day) return `${Math.floor(seconds / day)} d ${Math.floor((seconds % day) / hour)} h`;
  if (seconds >= hour) return `${Math.floor(seconds / hour)} h ${Math.floor((seconds % hour) / minute)} min`;
  if (seconds >= minute) return `${Math.floor(seconds / minute)} min`;
  return `${Math.floor(seconds)} s`;
}

function bytes(count) {
  if (count < 1024) return `${number(count)} B`;
  const power = Math.min(4, Math.floor(Math.log2(count) / 10));
  return `${number(count / 1024 ** power, 1)} ${['', 'K', 'M', 'G', 'T'][power]}iB`;
}

function rate(of) {
  if (!before) return '–';
  const per = (state.figures[of] - before.figures[of]) * 1000 / (state.uptime_ms - before.uptime_ms);
  return `${number(Math.max(0, per), per < 10 ? 1 : 0)}${say('perSecond')}`;
}

function element(tag, text = '', name = '') {
  const made = document.createElement(tag);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}

function render() {
  if (!state) return;
  const { figures, store } = state;
  $('state').textContent = state.is_stopping ? say('stopping') : `${state.version} · ${say('uptime', duration(state.uptime_ms / 1000))}`;
  const kept = store.kind === 'memory' ? say('memory') : say(store.is_open ? 'storeOpen' : 'storeShut');
  const shown = [
    ['connections', number(figures.connections), say('most', number(figures.max_connections))],
    ['sessions', number(figures.sessions), ''],
    ['in', rate('messages_in'), number(figures.messages_in)],
    ['out', rate('messages_out'), number(figures.messages_out)],
    ['deliveries', rate('deliveries'), number(figures.deliveries)],
    ['slow', number(figures.slow_consumers), ''],
    ['refusals', number(figures.refusals), ''],
    ['store', store.kind === 'memory' ? kept : bytes(store.bytes), store.kind === 'memory' ? '' : kept],
  ];
  $('figures').replaceChildren(...shown.map(([name, value, beside]) => {
    const box = element('div');
    box.dataset.figure = name;
    box.append(element('dt', say(name)), element('dd', value), element('dd', beside, 'beside'));
    return box;
  }));
  $('figures').dataset.store = store.is_open ? 'open' : 'shut';
  $('channel-count').textContent = count(state.channels.length, state.channel_count);
  $('client-count').textContent = count(state.clients.length, figures.sessions);
  fill($('channels'), state.channels, (channel) => channel.channel, channelRow);
  fill($('clients'), state.clients, (client) => String(client.connection), clientRow);
}

const count = (listed, all) => (listed < all ? `${number(listed)} ${say('most', number(all))}` : number(all));

/** Rows stay while what they show does, so that the focus and a finger stay where they are. */
function fill(body, items, nameOf, write) {
  const known = new Map([...body.rows].map((row) => [row.dataset.name, row]));
  items.forEach((item, at) => {
    const name = nameOf(item);
    const row = known.get(name) ?? element('tr');
    known.delete(name);
    row.dataset.name = name;
    write(row, item);
    if (body.rows[at] !== row) body.insertBefore(row, body.rows[at] ?? null);
  });
  for (const row of known.values()) row.remove();
}

/** Writes the cells of a row: texts, or the button that stands there already. */
function cells(row, labels, texts, makeButton) {
  if (!row.cells.length) {
    for (const _ of texts) row.append(element('td'));
    const button = element('button', '', 'row-button');
    button.type = 'button';
    makeButton(button);
  }
  texts.forEach((text, at) => {
    const cell = row.cells[at];
    cell.dataset.label = say(labels[at]);
    if (!cell.firstElementChild && cell.textContent !== text) cell.textContent = text;
  });
}

function channelRow(row, { channel, subscribers, members }) {
  cells(row, ['channel', 'subscribers', 'members'], [channel, number(subscribers), number(members)], (button) => {
    button.textContent = channel;
    button.translate = false;
    button.addEventListener('click', () => listen(channel));
    row.cells[0].append(button);
  });
  row.toggleAttribute('aria-current', listening?.channel === channel);
}

function clientRow(row, client) {
  const { connection, route, user, address, seconds, channels, channel_count: all, waiting } = client;
  const who = client.client ?? route;
  const listed = channels.join(', ') + (channels.length < all ? ` +${number(all - channels.length)}` : '');
  const texts = [who, user ?? '', address ?? '', duration(seconds), listed, bytes(waiting), ''];
  const labels = ['client', 'user', 'address', 'since', 'channels', 'waiting', 'disconnect'];
  cells(row, labels, texts, (button) => {
    button.className = 'quiet';
    button.addEventListener('click', () => sendAway(connection, row.cells[1].textContent || row.cells[0].textContent));
    row.cells[6].append(button);
  });
  row.cells[6].firstElementChild.textContent = say('disconnect');
  row.cells[6].firstElementChild.setAttribute('aria-label', `${say('disconnect')} ${who}`);
}

async function sendAway(connection, who) {
  if (!confirm(say('sure', who))) return;
  try {
    await disconnect(connection);
  } catch (error) {
    $('state').textContent = error.message;
  }
  poll(run);
}

$('find-form').addEventListener('submit', (event) => event.preventDefault());
$('find').addEventListener('input', () => poll(run));

// The messages of one channel.

$('tail-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const channel = $('tail-name').value.trim();
  if (channel) listen(channel);
});

$('tail-stop').addEventListener('click', () => stopTail('ended'));

function stopTail(word) {
  listening?.abort.abort();
  listening = null;
  $('tail-stop').hidden = true;
  $('tail-state').textContent = word ? say(word) : '';
  render();
}

async function listen(channel) {
  stopTail();
  const own = { channel, abort: new AbortController() };
  listening = own;
  $('tail-name').value = channel;
  $('tail-channel').textContent = channel;
  $('tail').replaceChildren();
  const begun = () => {
    if (listening !== own) return;
    $('tail-stop').hidden = false;
    $('tail-state').textContent = say('listening');
  };
  try {
    await tail(channel, own.abort.signal, begun, (message) => { if (listening === own) append(message); });
    if (listening === own) stopTail('ended');
  } catch (error) {
    if (listening !== own) return;
    stopTail();
    $('tail-state').textContent = say('noTail', error.message);
  }
}

function append({ time, client, user, key, removed, text, bytes: length }) {
  const row = element('li');
  const head = [clock(new Date(time)), user ?? client ?? '', key ?? '', removed ? say('removed') : ''];
  row.append(element('span', head.filter(Boolean).join(' · '), 'head'));
  const isCut = text !== undefined && new TextEncoder().encode(text).length < length;
  const said = text === undefined ? say('binary', number(length)) : text + (isCut ? say('cut', number(length)) : '');
  row.append(element('span', said, text === undefined ? 'said binary' : 'said'));
  const list = $('tail');
  const isAtEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 8;
  list.append(row);
  while (list.children.length > MAX_TAIL) list.firstElementChild.remove();
  if (isAtEnd) list.scrollTop = list.scrollHeight;
}

speak(WORDS, () => {
  document.title = `${say('title')} · Vaivén`;
  render();
});
$('key').focus();
