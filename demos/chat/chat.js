// The chat page: a room is the channel of its name, and the plain WebSocket endpoint `c/ROOM` beside this page.
//
// What is said in a room is meant for people and for programs that they write. A message of this page is
// `{"name":"Ana","text":"hola"}`; a text alone, such as a bare `socket.send('hola')` in a console, is a guest's. A picture
// is a JPEG file. What is not kept, who is who and who is writing, stands in people.js.

import { client, isConnected, showState } from '../shared/link.js';
import { say, speak } from '../shared/language.js';
import { knownName, rememberName, tidyName } from '../shared/names.js';
import { recall, remember } from '../shared/storage.js';
import * as conversation from './conversation.js';
import * as people from './people.js';
import { fit, imageIn } from './pictures.js';
import { WORDS } from './words.js';

const MAX_TEXT_BYTES = 60 * 1024; // the server's default limit for one message, less what is said beside it
const MAX_UNCONFIRMED = 50; // messages written and not yet seen in the room
const MAX_ROOMS = 8; // rooms remembered
const MAX_OWN_IDS = 20; // earlier visits of this window that are known as one's own
const PIECE = 50; // messages that are shown on entering, and each time that older ones are

const $ = (id) => document.getElementById(id);
const myName = () => tidyName($('name').value) || say('guest');

let room = '';
let rooms = recall('rooms', []);
if (!Array.isArray(rooms)) rooms = [];
rooms = rooms.filter((name) => typeof name === 'string' && name);

let channel = null;
/** The channels that were entered; each is listened to once. */
const entered = new Map();
/** The position of the oldest message that is shown, and of the newest. */
let oldest = null;
let newest = null;
let isReadingOlder = false;

/** A room's name as a channel and an address take it: no spaces, controls or characters with a meaning there. */
function roomName(text) {
  return text.normalize('NFC').trim().replace(/[\s\p{C}*>:/?#\\]+/gu, '-').slice(0, 48);
}

function roomAddress(name) {
  const url = new URL(`c/${encodeURIComponent(name)}`, location.href.split('#')[0]);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.search = '';
  return url.href;
}

function roomInAddressBar() {
  try {
    return roomName(decodeURIComponent(location.hash.slice(1)));
  } catch {
    return '';
  }
}

function enter(name) {
  if (name === room) return;
  people.tellWriting(false);
  channel?.unsubscribe();
  room = name;
  rooms = [room, ...rooms.filter((r) => r !== room)].slice(0, MAX_ROOMS);
  remember('rooms', rooms);
  unconfirmed = [];
  [oldest, newest] = [null, null];
  conversation.clear(room);
  $('room-name').textContent = room;
  $('snippet').textContent = `const s = new WebSocket('${roomAddress(room)}'); `
    + `s.onmessage = (e) => console.log(e.data); s.onopen = () => s.send('hola')`;
  showRooms();
  channel = entered.get(room) ?? listenTo(client.channel(room, { last: PIECE, presence: true }));
  people.watchPeople(channel, myName);
  channel.subscribe().catch((error) => {
    // Who has left the room already is not interested.
    if (room === name && error.code !== 'unsubscribed') conversation.note(say('refusedRoom', error.message));
  });
}

function listenTo(next) {
  const whileHere = (listener) => (detail) => { if (next === channel) listener(detail); };
  next.on('subscribed', whileHere(subscribed));
  next.on('message', whileHere(receive));
  next.on('presence', whileHere(people.peopleChanged));
  entered.set(next.name, next);
  return next;
}

function subscribed({ position, recovered, missed }) {
  if (recovered === false) conversation.note(say('lost'));
  else if (missed > 0 && newest) conversation.note(say('caughtUp', missed));
  // Where the count is another one, what is shown says nothing of the order of what follows.
  if (position && newest?.epoch !== position.epoch) [oldest, newest] = [null, position];
  people.arrived();
}

function showRooms() {
  $('rooms').replaceChildren(...[...rooms].sort((a, b) => a.localeCompare(b)).map((name) => {
    const link = document.createElement('a');
    link.href = `#${encodeURIComponent(name)}`;
    link.textContent = name;
    link.translate = false;
    if (name === room) link.setAttribute('aria-current', 'page');
    const item = document.createElement('li');
    item.append(link);
    return item;
  }));
}

/** Messages of this page that have not come back from the room, in the order in which they were written. */
let unconfirmed = [];

function send(content) {
  if (unconfirmed.length >= MAX_UNCONFIRMED) {
    warn('tooMany');
    return false;
  }
  const message = { ...content, item: conversation.add({ ...content, isMine: true }) };
  message.onAgain = () => {
    unconfirmed = [...unconfirmed.filter((other) => other !== message), message];
    transmit(message);
  };
  unconfirmed.push(message);
  transmit(message);
  conversation.toBottom();
  return true;
}

/** Gives a message to the client, which keeps it until the server has it, however often the connection is lost. */
function transmit(message) {
  const { name, text, bytes } = message;
  setFate(message, isConnected() ? 'sent' : 'queued');
  channel.publish(bytes ?? { name, text }).then(
    () => setFate(message, 'kept'),
    ({ code }) => {
      if (code === 'queue_full') warn('tooMany');
      setFate(message, code === 'uncertain' ? 'unsure' : 'refused');
    },
  );
}

function setFate(message, fate) {
  message.fate = fate;
  conversation.showFate(message);
}

/** The names that the server gave to this window, now and before it was loaded anew. */
function isMe(id) {
  let known = [];
  try {
    known = JSON.parse(sessionStorage.getItem('vaiven.me')) ?? [];
    if (client.id && !known.includes(client.id)) {
      known = [client.id, ...known].slice(0, MAX_OWN_IDS);
      sessionStorage.setItem('vaiven.me', JSON.stringify(known));
    }
  } catch {
    // Without storage an earlier visit is somebody else's.
  }
  return id !== undefined && (id === client.id || known.includes(id));
}

function receive(message) {
  const { client: by, offset, time } = message;
  if (offset !== undefined && newest) {
    // After a gap the latest messages come again.
    if (offset <= newest.offset) return;
    newest = { ...newest, offset };
    if (!oldest) setOldest(offset);
  }
  const content = conversation.read(message);
  if (!content) {
    if (typeof message.data.name === 'string') people.heardOf(by, { ...message.data, name: tidyName(message.data.name) });
    return;
  }
  people.stopped(by);
  if (by === client.id && cameBack(content)) return;
  conversation.add({ ...content, time, isMine: isMe(by) });
}

/** Takes the message that just came back off the list; the room decides its place in the order. */
function cameBack({ text, bytes }) {
  const sameBytes = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);
  const isIt = (message) => (bytes ? message.bytes && sameBytes(message.bytes, bytes) : message.text === text);
  const index = unconfirmed.findIndex(isIt);
  if (index < 0) return false;
  const [message] = unconfirmed.splice(index, 1);
  setFate(message, 'kept');
  conversation.moveToEnd(message.item);
  return true;
}

function setOldest(offset) {
  oldest = { ...newest, offset };
  $('older').hidden = offset <= 1;
}

async function readOlder() {
  if (isReadingOlder || $('older').hidden) return;
  isReadingOlder = true;
  const here = channel;
  try {
    const { publications, more } = await here.history({ since: oldest, limit: PIECE, reverse: true });
    if (here !== channel) return;
    const messages = publications.map((publication) => {
      const content = conversation.read(publication);
      return content && { ...content, time: publication.time, isMine: isMe(publication.client) };
    });
    conversation.prepend(messages.filter(Boolean).reverse());
    if (publications.length > 0) setOldest(publications.at(-1).offset);
    if (!more) $('older').hidden = true;
  } catch {
    // The button is still there, for when the connection is back.
  } finally {
    isReadingOlder = false;
  }
}

function warn(key) {
  if (key) $('notice').dataset.i18n = key;
  else delete $('notice').dataset.i18n;
  $('notice').textContent = key ? say(key) : '';
}

async function sendImage(file) {
  if (!file) return;
  warn(null);
  if (!file.type.startsWith('image/')) {
    warn('onlyImages');
    return;
  }
  const [here, name] = [room, myName()];
  let bytes = null;
  try {
    bytes = await fit(file, name);
  } catch {
    warn('unreadable');
    return;
  }
  if (!bytes) warn('imageTooLarge');
  else if (here === room) send({ name, bytes });
}

function submit() {
  const text = $('text').value.trim();
  if (!text) return;
  warn(null);
  if (new TextEncoder().encode(JSON.stringify(text)).length > MAX_TEXT_BYTES) {
    warn('textTooLarge');
    return;
  }
  if (!send({ name: myName(), text })) return;
  people.tellWriting(false);
  $('text').value = '';
  grow();
}

function grow() {
  $('text').style.height = '';
  $('text').style.height = `${Math.min($('text').scrollHeight, 144)}px`;
}

function openDrawer(open) {
  document.body.classList.toggle('drawer', open);
  $('drawer-open').setAttribute('aria-expanded', open);
  document.querySelector('main').inert = open;
  (open ? $('drawer-close') : $('drawer-open')).focus();
}
const closeDrawer = () => { if (document.body.classList.contains('drawer')) openDrawer(false); };

async function copy(text, label) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without https there is no clipboard to write to, but the old way still works.
    const field = Object.assign(document.createElement('textarea'), { value: text, className: 'sr' });
    document.body.append(field);
    field.select();
    document.execCommand('copy');
    field.remove();
  }
  const key = label.dataset.i18n;
  label.textContent = say('copied');
  setTimeout(() => { label.textContent = say(key); }, 1600);
}

function listenToComposer() {
  $('composer').addEventListener('submit', (event) => { event.preventDefault(); submit(); });
  $('text').addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
  $('text').addEventListener('input', () => {
    grow();
    people.tellWriting($('text').value.trim() !== '');
  });
  $('text').addEventListener('paste', (event) => {
    if (!event.clipboardData?.files.length) return;
    event.preventDefault();
    sendImage(imageIn(event.clipboardData));
  });
  $('name').addEventListener('change', () => {
    $('name').value = myName();
    rememberName($('name').value);
    people.introduce();
  });
  $('name').addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    $('text').focus();
  });
  $('file').addEventListener('change', () => { sendImage($('file').files[0]); $('file').value = ''; });
}

function listenToPage() {
  $('join').addEventListener('submit', (event) => {
    event.preventDefault();
    const name = roomName($('join-room').value);
    if (!name) return;
    $('join-room').value = '';
    location.hash = encodeURIComponent(name);
    closeDrawer();
  });
  $('rooms').addEventListener('click', (event) => { if (event.target.closest('a')) closeDrawer(); });
  $('unread').addEventListener('click', () => { conversation.toBottom(); $('text').focus(); });
  $('older').addEventListener('click', readOlder);
  $('scroller').addEventListener('scroll', () => {
    if (conversation.atBottom() && !document.hidden) conversation.seen();
    else if ($('scroller').scrollTop < 80 && $('log').childElementCount >= PIECE) readOlder();
  }, { passive: true });
  $('copy-link').addEventListener('click', () => copy(location.href, $('copy-link').querySelector('span')));
  $('copy-snippet').addEventListener('click', () => copy($('snippet').textContent, $('copy-snippet')));
  $('drawer-open').addEventListener('click', () => openDrawer(true));
  for (const id of ['drawer-close', 'scrim']) $(id).addEventListener('click', closeDrawer);
  document.querySelector('[data-skip]').addEventListener('click', (event) => { event.preventDefault(); $('text').focus(); });
}

function listenToWindow() {
  addEventListener('hashchange', () => { const name = roomInAddressBar(); if (name) enter(name); });
  addEventListener('keydown', (event) => { if (event.key === 'Escape') closeDrawer(); });
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && conversation.atBottom()) conversation.seen();
  });
  const drag = (event) => {
    if (![...(event.dataTransfer?.types ?? [])].includes('Files')) return;
    event.preventDefault();
    $('drop').hidden = event.type !== 'dragover';
    if (event.type === 'drop') sendImage(imageIn(event.dataTransfer));
  };
  addEventListener('dragover', drag);
  addEventListener('drop', drag);
  document.addEventListener('dragleave', (event) => { if (!event.relatedTarget) $('drop').hidden = true; });
  matchMedia('(max-width: 47.99rem)').addEventListener('change', closeDrawer);
}

client.on('state', ({ state }) => {
  for (const message of unconfirmed) {
    if (message.fate === 'sent' && state === 'reconnecting') setFate(message, 'queued');
    if (message.fate === 'queued' && state === 'connected') setFate(message, 'sent');
  }
});

$('name').value = knownName();
$('console').open = matchMedia('(min-height: 50rem)').matches;
listenToComposer();
listenToPage();
listenToWindow();
speak(WORDS, () => {
  for (const message of unconfirmed) conversation.showFate(message);
  conversation.rewrite();
  people.showPeople();
  showState();
});
if (!roomInAddressBar()) history.replaceState(null, '', '#sala');
enter(roomInAddressBar());
if (matchMedia('(hover: hover)').matches) $('text').focus();
