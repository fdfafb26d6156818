// The words of a page, in the language of whoever reads it.
//
// An element says which word it shows: `data-i18n` as its text, `data-i18n-label` as its label, `data-i18n-placeholder`
// as its placeholder. What depends on more than the language is written anew by those who listen.

import { recall, remember } from './storage.js';

const LANGUAGES = ['es', 'en'];
const known = recall('language', null);
const preferred = (navigator.languages ?? [navigator.language]).map((tag) => tag.slice(0, 2).toLowerCase());

let words = {};
let current = [known, ...preferred].find((tag) => LANGUAGES.includes(tag)) ?? 'en';
const listeners = [];

export const language = () => current;

/** A word of the page. */
export function say(key, ...values) {
  const word = words[current][key];
  return typeof word === 'function' ? word(...values) : word;
}

/** Writes the page in its language, and calls `listener` whenever that becomes another one. */
export function speak(dictionary, listener) {
  words = dictionary;
  listeners.push(listener);
  for (const button of document.querySelectorAll('[data-language]')) {
    button.addEventListener('click', () => {
      current = button.dataset.language;
      remember('language', current);
      write();
    });
  }
  write();
}

function write() {
  document.documentElement.lang = current;
  for (const e of document.querySelectorAll('[data-i18n]')) e.textContent = say(e.dataset.i18n);
  for (const e of document.querySelectorAll('[data-i18n-label]')) {
    e.setAttribute('aria-label', say(e.dataset.i18nLabel));
    e.title = e.matches('button, input') ? say(e.dataset.i18nLabel) : '';
  }
  for (const e of document.querySelectorAll('[data-i18n-placeholder]')) e.placeholder = say(e.dataset.i18nPlaceholder);
  for (const e of document.querySelectorAll('[data-language]')) {
    e.setAttribute('aria-pressed', e.dataset.language === current);
  }
  for (const listener of listeners) listener();
}

/** A time of the day, and the day if it is another one. */
export function clock(date) {
  const isToday = date.toDateString() === new Date().toDateString();
  const day = isToday ? {} : { day: 'numeric', month: 'short' };
  return new Intl.DateTimeFormat(current, { ...day, hour: 'numeric', minute: '2-digit' }).format(date);
}
