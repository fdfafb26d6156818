// The chat page: a room is the WebSocket endpoint `c/ROOM` beside this page.
//
// What is on the wire is meant for people. A message of this page is the text `Ana: hola`; a text without a
// name in front, such as a bare `socket.send('hola')` in a console, is shown as a guest's. A picture is a JPEG
// file that carries its author in the JPEG's own comment, so that whoever receives it just has a picture.

const MAX_MESSAGE_BYTES = 64 * 1024; // the server's default limit for one message
const MAX_FILE_BYTES = 40 * 1024 * 1024; // a picture this large is not worth decoding in a page
const MAX_LOG = 500; // older messages leave the page
const MAX_UNCONFIRMED = 50; // messages written and not yet seen in the room
const MAX_ROOMS = 8; // rooms remembered
const FIRST_DELAY_MS = 500; // full jitter: a random part of 0.5 s, 1 s, 2 s ... 30 s
const LONGEST_DELAY_MS = 30_000;
const STEADY_MS = 5_000; // a connection that lasted this long starts the delays afresh
const GROUP_MS = 5 * 60_000; // one author's messages closer than this stand together

const WORDS = {
  es: {
    skip: 'Ir a escribir', close: 'Cerrar', menu: 'Salas y ajustes', rooms: 'Salas', join: 'Entrar',
    joinLabel: 'Nombre de la sala', joinPlaceholder: 'Otra sala', language: 'Idioma',
    consoleTitle: 'Pruébalo desde la consola', copyLine: 'Copiar la línea',
    consoleText: 'Abre las herramientas del navegador (F12) y pega esta línea: hablarás en la sala como invitado.',
    retry: 'Conectar ya', copyLink: 'Copiar enlace', copied: 'Copiado', conversation: 'Conversación',
    messages: 'Mensajes', emptyLead: 'Desde que llegaste no ha hablado nadie.',
    emptyText: 'Escribe algo, o pasa el enlace: quien lo abra entra en esta sala. Nada de lo que se diga se guarda.',
    image: 'Enviar una imagen', message: 'Mensaje', placeholder: 'Mensaje', send: 'Enviar',
    writingAs: 'Escribes como', keys: 'Intro envía, Mayús + Intro baja de línea', name: 'Tu nombre',
    drop: 'Suelta la imagen para enviarla a la sala', guest: 'Invitado', you: 'Tú',
    connecting: 'Conectando…', connected: 'En línea', offline: 'Sin red: se reconecta cuando vuelva',
    waiting: (s) => (s > 0 ? `Reconectando en ${s}\u00a0s` : 'Reconectando…'),
    unread: (n) => (n === 1 ? '1 mensaje nuevo' : `${n} mensajes nuevos`),
    queued: 'Se enviará al reconectar', unsure: 'Puede que no haya llegado.', again: 'Enviar otra vez',
    bytes: (n) => `${n} bytes`, download: 'Descargar', picture: (who) => `Imagen de ${who}`,
    onlyImages: 'Solo se pueden enviar imágenes.', unreadable: 'Este navegador no puede leer esa imagen.',
    imageTooLarge: 'Esa imagen no cabe ni reduciéndola.', textTooLarge: 'El mensaje es demasiado largo.',
    tooMany: 'Hay muchos mensajes esperando. Prueba cuando vuelva la conexión.',
    closedWith: (code, reason) => `El servidor cerró la conexión: ${reason || code}`,
  },
  en: {
    skip: 'Skip to writing', close: 'Close', menu: 'Rooms and settings', rooms: 'Rooms', join: 'Join',
    joinLabel: 'Name of the room', joinPlaceholder: 'Another room', language: 'Language',
    consoleTitle: 'Try it from the console', copyLine: 'Copy the line',
    consoleText: 'Open the browser’s tools (F12) and paste this line: you will speak in the room as a guest.',
    retry: 'Connect now', copyLink: 'Copy link', copied: 'Copied', conversation: 'Conversation',
    messages: 'Messages', emptyLead: 'Nobody has spoken since you came in.',
    emptyText: 'Write something, or pass the link on: whoever opens it enters this room. Nothing said here is kept.',
    image: 'Send an image', message: 'Message', placeholder: 'Message', send: 'Send',
    writingAs: 'Writing as', keys: 'Enter sends, Shift + Enter breaks the line', name: 'Your name',
    drop: 'Drop the image to send it to the room', guest: 'Guest', you: 'You',
    connecting: 'Connecting…', connected: 'Online', offline: 'No network: reconnects when it is back',
    waiting: (s) => (s > 0 ? `Reconnecting in ${s}\u00a0s` : 'Reconnecting…'),
    unread: (n) => (n === 1 ? '1 new message' : `${n} new messages`),
    queued: 'Will be sent on reconnecting', unsure: 'This may not have arrived.', again: 'Send again',
    bytes: (n) => `${n} bytes`, download: 'Download', picture: (who) => `Image from ${who}`,
    onlyImages: 'Only images can be sent.', unreadable: 'This browser cannot read that image.',
    imageTooLarge: 'That image does not fit, even scaled down.', textTooLarge: 'The message is too long.',
    tooMany: 'Many messages are waiting. Try again once the connection is back.',
    closedWith: (code, reason) => `The server closed the connection: ${reason || code}`,
  },
};
const NAMES = { es: ['Gaviota', 'Garza', 'Cormorán', 'Pelícano', 'Albatros', 'Charrán', 'Petrel'],
  en: ['Gull', 'Heron', 'Cormorant', 'Pelican', 'Albatross', 'Tern', 'Petrel'] };

const $ = (id) => document.getElementById(id);
const utf8 = new TextEncoder();

function recall(key, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(`vaiven.${key}`)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

function remember(key, value) {
  try {
    localStorage.setItem(`vaiven.${key}`, JSON.stringify(value));
  } catch {
    // Private windows and strict settings forbid storage; the page works without.
  }
}

let language = recall('language', null) ?? (navigator.languages ?? [navigator.language])
  .map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => tag in WORDS) ?? 'en';
if (!(language in WORDS)) language = 'en';
const say = (key, ...args) => {
  const word = WORDS[language][key];
  return typeof word === 'function' ? word(...args) : word;
};

function speak(next) {
  language = next;
  document.documentElement.lang = language;
  for (const e of document.querySelectorAll('[data-i18n]')) e.textContent = say(e.dataset.i18n);
  for (const e of document.querySelectorAll('[data-i18n-label]')) {
    e.setAttribute('aria-label', say(e.dataset.i18nLabel));
    e.title = e.matches('button, input') ? say(e.dataset.i18nLabel) : '';
  }
  for (const e of document.querySelectorAll('[data-i18n-placeholder]')) e.placeholder = say(e.dataset.i18nPlaceholder);
  for (const e of document.querySelectorAll('[data-language]')) e.setAttribute('aria-pressed', e.dataset.language === language);
  for (const e of document.querySelectorAll('.guest .author')) e.textContent = say('guest');
  for (const e of document.querySelectorAll('time')) e.textContent = clock(new Date(e.dateTime));
  for (const e of document.querySelectorAll('[data-bytes]')) e.textContent = say('bytes', e.dataset.bytes);
  for (const item of unconfirmed) showFate(item);
  showState();
  showUnread();
}

const clock = (date) => new Intl.DateTimeFormat(language, { hour: 'numeric', minute: '2-digit' }).format(date);

/** Keeps one room connected: dials, and dials again after a growing random delay. */
class Connection {
  constructor(url, { onState, onOpen, onMessage, onLost }) {
    Object.assign(this, { url, onState, onOpen, onMessage, onLost, attempt: 0, socket: null, timer: 0, retryAt: 0 });
    this.dial();
  }

  get isOpen() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  dial() {
    clearTimeout(this.timer);
    const socket = new WebSocket(this.url);
    let openedAt = 0;
    this.socket = socket;
    socket.binaryType = 'arraybuffer';
    this.onState(this.attempt === 0 ? 'connecting' : 'waiting');
    socket.onopen = () => {
      openedAt = performance.now();
      this.onState('connected');
      this.onOpen();
    };
    socket.onmessage = (event) => this.onMessage(event.data);
    socket.onclose = (event) => {
      if (openedAt && performance.now() - openedAt > STEADY_MS) this.attempt = 0;
      this.socket = null;
      this.onLost(event);
      this.wait();
    };
  }

  wait() {
    if (navigator.onLine === false) {
      this.onState('offline');
      return;
    }
    const ceiling = Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.attempt);
    const delay = Math.random() * ceiling;
    this.attempt += 1;
    this.retryAt = Date.now() + delay;
    this.timer = setTimeout(() => this.dial(), delay);
    this.onState('waiting');
  }

  /** Dials now, unless a socket is open or being opened. */
  hurry() {
    if (!this.socket) this.dial();
  }

  networkLost() {
    clearTimeout(this.timer);
    if (!this.isOpen) this.onState('offline');
  }

  end() {
    clearTimeout(this.timer);
    if (!this.socket) return;
    this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
    this.socket.close(1000);
    this.socket = null;
  }
}

let room = '';
let rooms = recall('rooms', []);
let connection = null;
let state = 'connecting';
let ticking = 0;
if (!Array.isArray(rooms)) rooms = [];
rooms = rooms.filter((name) => typeof name === 'string' && name);

/** A room's name as the server accepts it: no spaces, controls or characters with a meaning in addresses. */
function roomName(text) {
  return text.normalize('NFC').trim().replace(/[\s\p{C}*>/?#\\]+/gu, '-').slice(0, 48);
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
  connection?.end();
  room = name;
  rooms = [room, ...rooms.filter((r) => r !== room)].slice(0, MAX_ROOMS);
  remember('rooms', rooms);
  clearLog();
  $('room-name').textContent = room;
  $('snippet').textContent = `const s = new WebSocket('${roomAddress(room)}'); `
    + `s.onmessage = (e) => console.log(e.data); s.onopen = () => s.send('hola')`;
  showRooms();
  connection = new Connection(roomAddress(room), {
    onState: (next) => { state = next; showState(); },
    onOpen: sendWaiting,
    onMessage: receive,
    onLost: lost,
  });
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

function showState() {
  clearTimeout(ticking);
  document.body.dataset.state = state;
  const left = Math.max(0, Math.ceil(((connection?.retryAt ?? 0) - Date.now()) / 1000));
  const text = state === 'waiting' ? say('waiting', left) : say(state);
  if ($('state-text').textContent !== text) $('state-text').textContent = text;
  // A screen reader hears that the connection is lost, not every second of the wait.
  $('state-text').setAttribute('aria-live', state === 'waiting' && left > 0 ? 'off' : 'polite');
  $('retry').hidden = !(state === 'waiting' && left > 1);
  if (state === 'waiting' && left > 0) ticking = setTimeout(showState, 250);
}

function lost(event) {
  for (const item of unconfirmed) {
    if (item.fate === 'sent') setFate(item, 'unsure');
  }
  // 1001 and 1012 are a server going away, 1006 a line that broke: the state says all there is to say.
  if (![1000, 1001, 1005, 1006, 1012].includes(event.code)) note(say('closedWith', event.code, event.reason));
}

/** Messages of this page that have not come back from the room. `fate`: queued, sent, unsure. */
let unconfirmed = [];

function send(content) {
  if (unconfirmed.length >= MAX_UNCONFIRMED) {
    warn('tooMany');
    return false;
  }
  const item = { ...content, fate: 'queued', element: show({ ...content, mine: true }) };
  item.element.classList.add('pending');
  unconfirmed.push(item);
  transmit(item);
  toBottom();
  return true;
}

function transmit(item) {
  const open = connection?.isOpen;
  if (open) connection.socket.send(item.text === undefined ? item.bytes : `${item.name}: ${item.text}`);
  setFate(item, open ? 'sent' : 'queued');
}

function sendWaiting() {
  for (const item of unconfirmed) if (item.fate === 'queued') transmit(item);
}

function setFate(item, fate) {
  item.fate = fate;
  showFate(item);
}

function showFate(item) {
  const line = item.element.querySelector('.fate') ?? item.element.appendChild(document.createElement('p'));
  line.className = 'fate';
  item.element.classList.toggle('failed', item.fate === 'unsure');
  line.replaceChildren();
  if (item.fate === 'queued') line.textContent = say('queued');
  if (item.fate === 'unsure') {
    const again = document.createElement('button');
    again.type = 'button';
    again.className = 'text';
    again.textContent = say('again');
    again.onclick = () => transmit(item);
    line.append(`${say('unsure')} `, again);
  }
}

/** Takes the message that just came back off the list; the room decides its place in the order. */
function cameBack(matches) {
  const index = unconfirmed.findIndex((item) => item.fate !== 'queued' && matches(item));
  if (index < 0) return false;
  const [item] = unconfirmed.splice(index, 1);
  item.element.classList.remove('pending', 'failed');
  item.element.querySelector('.fate')?.remove();
  const bottom = atBottom();
  if (item.element.nextElementSibling) $('log').append(item.element);
  regroup();
  if (bottom) toBottom();
  return true;
}

function receive(data) {
  if (typeof data === 'string') {
    if (cameBack((item) => item.text !== undefined && `${item.name}: ${item.text}` === data)) return;
    const [, name, text] = /^([^\s:][^:\n]{0,23}): ([^]+)$/u.exec(data) ?? [null, null, data];
    arrived({ name, text });
  } else {
    const bytes = new Uint8Array(data);
    if (cameBack((item) => item.bytes && sameBytes(item.bytes, bytes))) return;
    arrived({ name: jpegComment(bytes), bytes });
  }
}

const sameBytes = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);

function arrived(content) {
  const bottom = atBottom();
  show(content);
  if (bottom && !document.hidden) toBottom();
  else {
    if (bottom) toBottom({ keepUnread: true });
    unread += 1;
    showUnread();
  }
}

let unread = 0;

function show({ name, text, bytes, mine = false }) {
  const now = new Date();
  const item = document.createElement('li');
  const author = document.createElement('span');
  const time = document.createElement('time');
  const by = document.createElement('p');
  item.className = mine ? 'mine' : name ? '' : 'guest';
  item.dataset.by = mine ? ' me' : name ?? '';
  author.className = 'author';
  author.textContent = name ?? say('guest');
  author.style.setProperty('--hue', hue(name ?? ''));
  time.dateTime = now.toISOString();
  time.textContent = clock(now);
  by.className = 'by';
  by.append(author, time);
  item.append(by, text === undefined ? attachment(bytes, author.textContent) : paragraph(text));
  $('log').append(item);
  trim();
  regroup();
  return item;
}

function paragraph(text) {
  const body = document.createElement('div');
  body.className = 'body';
  body.dir = 'auto';
  // Odd pieces are addresses; every piece becomes the text of a node, never markup.
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

function note(text) {
  const item = document.createElement('li');
  item.className = 'note';
  item.textContent = text;
  const bottom = atBottom();
  $('log').append(item);
  trim();
  if (bottom) toBottom();
}

/** Name and time are shown once over messages of one author that follow closely. */
function regroup() {
  $('empty').hidden = $('log').childElementCount > 0;
  const [previous, last] = [...$('log').children].slice(-2);
  for (const item of last ? [previous, last] : [previous]) {
    const before = item?.previousElementSibling;
    const when = (e) => Date.parse(e?.querySelector('time')?.dateTime ?? 0);
    const follows = before && before.dataset.by === item.dataset.by && when(item) - when(before) < GROUP_MS;
    item?.classList.toggle('first', !follows);
    if (item?.querySelector('.by')) item.querySelector('.by').hidden = Boolean(follows);
  }
}

function trim() {
  while ($('log').childElementCount > MAX_LOG) {
    const oldest = $('log').firstElementChild;
    unconfirmed = unconfirmed.filter((item) => item.element !== oldest);
    release(oldest);
  }
}

function release(item) {
  for (const e of item.querySelectorAll('[data-url]')) URL.revokeObjectURL(e.dataset.url);
  item.remove();
}

function clearLog() {
  for (const item of [...$('log').children]) release(item);
  unconfirmed = [];
  unread = 0;
  $('empty').hidden = false;
  showUnread();
}

const atBottom = () => {
  const box = $('scroller');
  return box.scrollHeight - box.scrollTop - box.clientHeight < 48;
};

function toBottom({ keepUnread = false } = {}) {
  $('scroller').scrollTop = $('scroller').scrollHeight;
  if (!keepUnread) seen();
}

function seen() {
  if (unread === 0) return;
  unread = 0;
  showUnread();
}

function showUnread() {
  document.title = `${unread ? `(${unread}) ` : ''}${room} · Vaivén`;
  $('unread').hidden = unread === 0 || atBottom();
  $('unread').querySelector('span').textContent = say('unread', unread);
  drawIcon(unread > 0);
}

const hue = (name) => [...name].reduce((sum, c) => (sum * 31 + c.codePointAt(0)) % 360, 160);

let iconDrawn = null;
function drawIcon(dot) {
  if (iconDrawn === dot) return;
  iconDrawn = dot;
  const wave = (y) => `M6 ${y}C20 ${y - 16} 26 ${y - 12} 32 ${y}S44 ${y + 16} 58 ${y}`;
  const svg = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64">'
    + `<path d="${wave(22)}${wave(42)}" fill="none" stroke="#1b9b88" stroke-width="7" stroke-linecap="round"/>`
    + `${dot ? '<circle cx="49" cy="15" r="14" fill="#e0662a"/>' : ''}</svg>`;
  const link = document.querySelector('link[rel=icon]') ?? document.createElement('link');
  if (link.href) URL.revokeObjectURL(link.href);
  Object.assign(link, { rel: 'icon', type: 'image/svg+xml' });
  link.href = URL.createObjectURL(new Blob([svg], { type: 'image/svg+xml' }));
  document.head.append(link);
}

const SIGNATURES = [['image/jpeg', 0, [0xff, 0xd8, 0xff]], ['image/png', 0, [0x89, 0x50, 0x4e, 0x47]],
  ['image/gif', 0, [0x47, 0x49, 0x46, 0x38]], ['image/webp', 8, [0x57, 0x45, 0x42, 0x50]],
  ['image/avif', 4, [0x66, 0x74, 0x79, 0x70, 0x61, 0x76, 0x69]]];

const imageType = (bytes) => SIGNATURES
  .find(([, at, magic]) => magic.every((byte, i) => bytes[at + i] === byte))?.[0] ?? null;

/** The author in a JPEG comment `by NAME` directly behind the start marker, or null. */
function jpegComment(bytes) {
  if (bytes.length < 6 || bytes[0] !== 0xff || bytes[1] !== 0xd8 || bytes[2] !== 0xff || bytes[3] !== 0xfe) return null;
  const text = new TextDecoder().decode(bytes.subarray(6, 4 + bytes[4] * 256 + bytes[5]));
  return text.startsWith('by ') ? authorName(text.slice(3)) || null : null;
}

async function withComment(jpeg, name) {
  const comment = utf8.encode(`by ${name}`);
  const length = comment.length + 2;
  const file = new Blob([jpeg.slice(0, 2), new Uint8Array([0xff, 0xfe, length >> 8, length & 255]), comment, jpeg.slice(2)]);
  return new Uint8Array(await file.arrayBuffer());
}

/** Draws the picture anew, smaller until it fits one message. That also leaves behind where it was taken. */
async function fit(file, name) {
  const bitmap = await createImageBitmap(file);
  const canvas = document.createElement('canvas');
  try {
    for (const edge of [1600, 1200, 900, 640, 440, 300, 160]) {
      const scale = Math.min(1, edge / Math.max(bitmap.width, bitmap.height));
      canvas.width = Math.max(1, Math.round(bitmap.width * scale));
      canvas.height = Math.max(1, Math.round(bitmap.height * scale));
      const pen = canvas.getContext('2d');
      pen.fillStyle = '#fff';
      pen.fillRect(0, 0, canvas.width, canvas.height);
      pen.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
      for (const quality of [0.86, 0.72, 0.55]) {
        const jpeg = await new Promise((done) => { canvas.toBlob(done, 'image/jpeg', quality); });
        if (!jpeg) return null;
        const bytes = await withComment(jpeg, name);
        if (bytes.length <= MAX_MESSAGE_BYTES) return bytes;
      }
    }
    return null;
  } finally {
    bitmap.close();
  }
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
    bytes = file.size > MAX_FILE_BYTES ? null : await fit(file, name);
  } catch {
    warn('unreadable');
    return;
  }
  if (!bytes) warn('imageTooLarge');
  else if (here === room) send({ name, bytes });
}

const imageIn = (transfer) => [...(transfer?.files ?? [])].find((f) => f.type.startsWith('image/')) ?? transfer?.files?.[0];

const authorName = (text) => text.replace(/[\p{C}:\s]+/gu, ' ').trim().replace(/^(.{24}).*$/u, '$1').trim();
const myName = () => authorName($('name').value) || say('guest');

function warn(key) {
  if (key) $('notice').dataset.i18n = key;
  else delete $('notice').dataset.i18n;
  $('notice').textContent = key ? say(key) : '';
}

function submit() {
  const text = $('text').value.trim();
  if (!text) return;
  warn(null);
  if (utf8.encode(`${myName()}: ${text}`).length > MAX_MESSAGE_BYTES) {
    warn('textTooLarge');
    return;
  }
  if (!send({ name: myName(), text })) return;
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

function listen() {
  $('composer').addEventListener('submit', (event) => { event.preventDefault(); submit(); });
  $('text').addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    submit();
  });
  $('text').addEventListener('input', grow);
  $('text').addEventListener('paste', (event) => {
    if (!event.clipboardData?.files.length) return;
    event.preventDefault();
    sendImage(imageIn(event.clipboardData));
  });
  $('name').addEventListener('change', () => { $('name').value = myName(); remember('name', $('name').value); });
  $('name').addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    $('text').focus();
  });
  $('file').addEventListener('change', () => { sendImage($('file').files[0]); $('file').value = ''; });
  $('join').addEventListener('submit', (event) => {
    event.preventDefault();
    const name = roomName($('join-room').value);
    if (!name) return;
    $('join-room').value = '';
    location.hash = encodeURIComponent(name);
    closeDrawer();
  });
  $('rooms').addEventListener('click', (event) => { if (event.target.closest('a')) closeDrawer(); });
  $('retry').addEventListener('click', () => connection.hurry());
  $('unread').addEventListener('click', () => { toBottom(); $('text').focus(); });
  $('scroller').addEventListener('scroll', () => { if (atBottom() && !document.hidden) seen(); }, { passive: true });
  $('copy-link').addEventListener('click', () => copy(location.href, $('copy-link').querySelector('span')));
  $('copy-snippet').addEventListener('click', () => copy($('snippet').textContent, $('copy-snippet')));
  $('drawer-open').addEventListener('click', () => openDrawer(true));
  for (const id of ['drawer-close', 'scrim']) $(id).addEventListener('click', closeDrawer);
  document.querySelector('[data-skip]').addEventListener('click', (event) => { event.preventDefault(); $('text').focus(); });
  for (const button of document.querySelectorAll('[data-language]')) {
    button.addEventListener('click', () => { remember('language', button.dataset.language); speak(button.dataset.language); });
  }
}

function listenToWindow() {
  addEventListener('hashchange', () => { const name = roomInAddressBar(); if (name) enter(name); });
  addEventListener('online', () => connection.hurry());
  addEventListener('offline', () => connection.networkLost());
  addEventListener('keydown', (event) => { if (event.key === 'Escape') closeDrawer(); });
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) return;
    connection.hurry();
    if (atBottom()) seen();
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

const names = NAMES[language];
const known = recall('name', '');
$('name').value = (typeof known === 'string' && authorName(known)) || names[Math.floor(Math.random() * names.length)];
listen();
listenToWindow();
if (!roomInAddressBar()) history.replaceState(null, '', '#sala');
enter(roomInAddressBar());
speak(language);
if (matchMedia('(hover: hover)').matches) $('text').focus();
