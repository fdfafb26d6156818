// The conversation on the page: messages -> elements, in the order that the room gave them.
//
// Every piece of text becomes the text of a node, never markup.

import { clock, say } from '../shared/language.js';
import { hue } from '../shared/names.js';
import { authorOf, imageType } from './pictures.js';
import { learnName, nameOf } from './people.js';

const MAX_SHOWN = 500; // older messages leave the page, while nobody reads further up
const GROUP_MS = 5 * 60_000; // one author's messages closer than this stand together

const $ = (id) => document.getElementById(id);
const log = $('log');
const scroller = $('scroller');
let room = '';
let unread = 0;

export const atBottom = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 48;

/** What a publication says: `{name, text}`, `{name, bytes}`, or null where it is nothing to be shown. */
export function read({ data, client }) {
  if (data instanceof ArrayBuffer) {
    const bytes = new Uint8Array(data);
    const name = authorOf(bytes) ?? nameOf(client);
    return { name, bytes };
  }
  if (typeof data === 'string') return { name: null, text: data };
  if (typeof data?.text === 'string') {
    const name = typeof data.name === 'string' ? data.name.slice(0, 24) : null;
    learnName(client, name);
    return { name, text: data.text };
  }
  // Some program's message; what only introduces somebody is nobody's.
  return typeof data?.name === 'string' ? null : { name: null, text: JSON.stringify(data) };
}

/** Empties the page for a room. */
export function clear(name) {
  room = name;
  for (const item of [...log.children]) release(item);
  unread = 0;
  $('empty').hidden = false;
  $('older').hidden = true;
  showUnread();
}

/** Shows a message that has arrived. */
export function add(message) {
  const bottom = atBottom();
  const item = element(message);
  log.append(item);
  settle();
  if (message.isMine || (bottom && !document.hidden)) toBottom();
  else {
    if (bottom) toBottom({ keepUnread: true });
    unread += 1;
    showUnread();
  }
  return item;
}

/** Shows older messages above all others, in the order given; what is being read stays where it is. */
export function prepend(messages) {
  const fromBottom = scroller.scrollHeight - scroller.scrollTop;
  log.prepend(...messages.map(element));
  for (const item of [...log.children].slice(0, messages.length + 1)) group(item);
  $('empty').hidden = log.childElementCount > 0;
  scroller.scrollTop = scroller.scrollHeight - fromBottom;
}

/** Moves a message of this page to the end: that is where the room has put it. */
export function moveToEnd(item) {
  const bottom = atBottom();
  const next = item.nextElementSibling;
  if (next) {
    log.append(item);
    group(next);
  }
  settle();
  if (bottom) toBottom();
}

/** Shows a line that nobody has said. */
export function note(text) {
  const item = document.createElement('li');
  item.className = 'note';
  item.textContent = text;
  const bottom = atBottom();
  log.append(item);
  settle();
  if (bottom) toBottom();
}

/** Shows what becomes of a message of this page: nothing to say, or `queued`, `unsure`, `refused`. */
export function showFate({ item, fate, onAgain }) {
  const line = item.querySelector('.fate') ?? item.appendChild(document.createElement('p'));
  line.className = 'fate';
  item.classList.toggle('pending', fate === 'sent' || fate === 'queued');
  item.classList.toggle('failed', fate === 'unsure' || fate === 'refused');
  line.replaceChildren();
  if (fate === 'queued') line.textContent = say('queued');
  if (fate === 'unsure' || fate === 'refused') {
    const again = document.createElement('button');
    again.type = 'button';
    again.className = 'text';
    again.textContent = say('again');
    again.onclick = onAgain;
    line.append(`${say(fate)} `, again);
  }
  if (!line.hasChildNodes()) line.remove();
}

export function toBottom({ keepUnread = false } = {}) {
  scroller.scrollTop = scroller.scrollHeight;
  if (!keepUnread) seen();
}

export function seen() {
  if (unread === 0) return;
  unread = 0;
  showUnread();
}

export function showUnread() {
  document.title = `${unread ? `(${unread}) ` : ''}${room} · Vaivén`;
  $('unread').hidden = unread === 0 || atBottom();
  $('unread').querySelector('span').textContent = say('unread', unread);
  document.querySelector('link[rel=icon]').href = `demos/shared/icon${unread ? '-unread' : ''}.svg`;
}

/** Writes anew what depends on the language. */
export function rewrite() {
  for (const e of document.querySelectorAll('.guest .author')) e.textContent = say('guest');
  for (const e of log.querySelectorAll('time')) e.textContent = clock(new Date(e.dateTime));
  for (const e of log.querySelectorAll('[data-bytes]')) e.textContent = say('bytes', e.dataset.bytes);
  showUnread();
}

function element({ name, text, bytes, isMine = false, time = Date.now() }) {
  const [item, by, author, when] = ['li', 'p', 'span', 'time'].map((tag) => document.createElement(tag));
  const date = new Date(time);
  item.className = isMine ? 'mine' : name ? '' : 'guest';
  item.dataset.by = isMine ? ' me' : name ?? '';
  author.className = 'author';
  author.textContent = name ?? say('guest');
  author.style.setProperty('--hue', hue(name ?? ''));
  when.dateTime = date.toISOString();
  when.textContent = clock(date);
  by.className = 'by';
  by.append(author, when);
  item.append(by, text === undefined ? attachment(bytes, author.textContent) : paragraph(text));
  return item;
}

function paragraph(text) {
  const body = document.createElement('div');
  body.className = 'body';
  body.dir = 'auto';
  // Odd pieces are addresses.
  text.split(/(https?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]])/).forEach((piece, i) => {
    if (i % 2 === 0 || !URL.canParse(piece)) {
      body.append(piece);
      return;
    }
    const link = document.createElement('a');
    link.href = piece;
    link.rel = 'noopener noreferrer nofollow';
    link.target = '_blank';
    link.textContent = piece;
    body.append(link);
  });
  return body;
}

function attachment(bytes, who) {
  const body = document.createElement('div');
  const type = imageType(bytes);
  const url = URL.createObjectURL(new Blob([bytes], { type: type ?? 'application/octet-stream' }));
  body.className = 'body';
  body.dataset.url = url;
  if (!type) {
    body.append(fileLine(bytes.length, url));
    return body;
  }
  const image = document.createElement('img');
  image.alt = say('picture', who);
  const bottom = atBottom();
  image.onload = () => { if (bottom) toBottom({ keepUnread: document.hidden }); };
  image.onerror = () => {
    body.classList.remove('picture');
    body.replaceChildren(fileLine(bytes.length, url));
  };
  image.src = url;
  body.classList.add('picture');
  body.append(image);
  return body;
}

function fileLine(length, url) {
  const line = document.createDocumentFragment();
  const size = document.createElement('span');
  const link = document.createElement('a');
  size.dataset.bytes = length;
  size.textContent = say('bytes', length);
  link.href = url;
  link.download = `${room}.bin`;
  link.dataset.i18n = 'download';
  link.textContent = say('download');
  line.append(size, ' · ', link);
  return line;
}

/** Brings the end of the conversation in order after something was added there. */
function settle() {
  $('empty').hidden = log.childElementCount > 0;
  while (log.childElementCount > MAX_SHOWN && atBottom()) release(log.firstElementChild);
  for (const item of [...log.children].slice(-2)) group(item);
}

/** Name and time are shown once over messages of one author that follow closely. */
function group(item) {
  const before = item.previousElementSibling;
  const when = (e) => Date.parse(e.querySelector('time')?.dateTime ?? 0);
  const follows = before && before.dataset.by === item.dataset.by && when(item) - when(before) < GROUP_MS;
  item.classList.toggle('first', !follows);
  const by = item.querySelector('.by');
  if (by) by.hidden = Boolean(follows);
}

function release(item) {
  for (const e of item.querySelectorAll('[data-url]')) URL.revokeObjectURL(e.dataset.url);
  item.remove();
}
