// Who is in the room, and who is writing.
//
// The server tells who is there by the names that it gave its clients; what people call themselves they say to each other,
// in publications that are not kept: `{"name":"Ana"}`, and `{"name":"Ana","writing":true}`.

import { client } from '../shared/link.js';
import { say } from '../shared/language.js';
import { hue } from '../shared/names.js';

const INTRODUCTION_DELAY_MS = 800; // at most; who is in a full room does not answer a newcomer all at once
const MAX_INTRODUCED = 50; // in a larger room nobody introduces themselves to each newcomer
const WRITING_EVERY_MS = 2500;
const WRITING_LASTS_MS = 5000; // longer than two of these messages are apart
const MAX_SHOWN = 60;

const $ = (id) => document.getElementById(id);
const names = new Map();

let channel = null;
let present = new Map();
let count = 0;
let writers = new Map();
let introduction = 0;
let toldWritingAt = 0;
let myName = () => '';

/** What a client calls itself, as far as it has said so. */
export const nameOf = (id) => names.get(id) ?? null;

export function learnName(id, name) {
  if (!id || !name || names.get(id) === name) return;
  names.set(id, name);
  showPeople();
}

/** Watches the room of a channel; `name` gives what its visitor is called. */
export function watchPeople(next, name) {
  channel = next;
  myName = name;
  present = new Map();
  count = 0;
  clearTimeout(introduction);
  for (const timer of writers.values()) clearTimeout(timer);
  writers = new Map();
  toldWritingAt = 0;
  showPeople();
  showWriting();
}

/** The server has subscribed the page, for the first time or again. */
export async function arrived() {
  const here = channel;
  introduce();
  try {
    const list = await here.presence();
    if (here !== channel) return;
    present = new Map(list.clients.map((member) => [member.client, member]));
    count = list.count;
    showPeople();
  } catch {
    // A room without presence has no list.
  }
}

export function peopleChanged(change) {
  count = change.count;
  for (const member of change.left) {
    present.delete(member.client);
    stopped(member.client);
  }
  for (const member of change.joined) present.set(member.client, member);
  const hasNew = change.joined.some((member) => member.client !== client.id);
  if (hasNew && count <= MAX_INTRODUCED) {
    clearTimeout(introduction);
    introduction = setTimeout(introduce, Math.random() * INTRODUCTION_DELAY_MS);
  }
  showPeople();
}

/** What others say that is not kept. */
export function heardOf(id, { name, writing }) {
  learnName(id, name);
  if (id === client.id || writing === undefined) return;
  stopped(id);
  if (writing) writers.set(id, setTimeout(() => stopped(id), WRITING_LASTS_MS));
  showWriting();
}

export function stopped(id) {
  clearTimeout(writers.get(id));
  if (writers.delete(id)) showWriting();
}

export function introduce() {
  learnName(client.id, myName());
  tell({ name: myName() });
}

/** Tells others that somebody writes here, or not any more; nobody is told more often than they forget it. */
export function tellWriting(isWriting) {
  const now = Date.now();
  if (!isWriting && toldWritingAt === 0) return;
  if (isWriting && (now - toldWritingAt < WRITING_EVERY_MS || count < 2)) return;
  toldWritingAt = isWriting ? now : 0;
  tell({ name: myName(), writing: isWriting });
}

function tell(data) {
  // Whoever is offline, or may not publish, tells nobody; what people write tells the visitor about that.
  channel?.publish(data, { ephemeral: true }).catch(() => {});
}

export function showPeople() {
  const named = [...present.keys()].map((id) => ({ id, name: nameOf(id), isMe: id === client.id }));
  named.sort((a, b) => b.isMe - a.isMe || (a.name === null) - (b.name === null) || (a.name ?? '').localeCompare(b.name ?? ''));
  const items = named.slice(0, MAX_SHOWN).map(({ name, isMe }) => {
    const [item, dot, label] = ['li', 'span', 'span'].map((tag) => document.createElement(tag));
    item.className = name === null ? 'guest' : '';
    item.style.setProperty('--hue', hue(name ?? ''));
    label.textContent = name ?? say('guest');
    label.dir = 'auto';
    item.append(dot, label);
    if (isMe) item.append(Object.assign(document.createElement('span'), { className: 'me', textContent: say('me') }));
    return item;
  });
  const hidden = count - items.length;
  if (hidden > 0 && items.length > 0) {
    items.push(Object.assign(document.createElement('li'), { className: 'guest', textContent: say('others', hidden) }));
  }
  $('present').replaceChildren(...items);
  $('here').textContent = count > 0 ? say('here', count) : '';
  showWriting();
}

export function showWriting() {
  const who = [...writers.keys()].map((id) => nameOf(id) ?? say('guest'));
  const line = who.length > 0 ? say('writing', who) : '';
  if ($('writing').textContent !== line) $('writing').textContent = line;
}
