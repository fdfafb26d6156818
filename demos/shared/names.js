// The name of whoever looks at the page: chosen once, the same in all demos.

import { language } from './language.js';
import { recall, remember } from './storage.js';

const BIRDS = { es: ['Gaviota', 'Garza', 'Cormorán', 'Pelícano', 'Albatros', 'Charrán', 'Petrel'],
  en: ['Gull', 'Heron', 'Cormorant', 'Pelican', 'Albatross', 'Tern', 'Petrel'] };

/** A name as it can be shown: one line of at most 24 characters. */
export const tidyName = (text) => text.replace(/[\p{C}:\s]+/gu, ' ').trim().replace(/^(.{24}).*$/u, '$1').trim();

/** The name that was chosen before; a bird, for whoever is new. */
export function knownName() {
  const known = recall('name', '');
  const birds = BIRDS[language()];
  return (typeof known === 'string' && tidyName(known)) || birds[Math.floor(Math.random() * birds.length)];
}

export const rememberName = (name) => remember('name', name);

/** A hue that belongs to a name; names that are alike have hues that are not. */
export const hue = (name) => ([...name].reduce((sum, c) => (sum * 31 + c.codePointAt(0)) % 360, 160) * 137) % 360;
