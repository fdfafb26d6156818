// The connection of a page to its server, before the eyes of whoever looks at it.
//
// The page has `#state-text` and the button `#retry`; `data-state` of its body is connecting, connected, waiting, offline
// or closed.

/* global Vaiven */
import { language } from './language.js';

const WORDS = {
  es: { connecting: 'Conectando…', connected: 'En línea', offline: 'Sin red: se reconecta cuando vuelva',
    waiting: (s) => (s > 0 ? `Reconectando en ${s}\u00a0s` : 'Reconectando…'),
    closed: (why) => `El servidor cerró la conexión: ${why}` },
  en: { connecting: 'Connecting…', connected: 'Online', offline: 'No network: reconnects when it is back',
    waiting: (s) => (s > 0 ? `Reconnecting in ${s}\u00a0s` : 'Reconnecting…'),
    closed: (why) => `The server closed the connection: ${why}` },
};
const STATES = { idle: 'connecting', connecting: 'connecting', connected: 'connected', reconnecting: 'waiting', closed: 'closed' };

const text = document.getElementById('state-text');
const retry = document.getElementById('retry');

let change = { state: 'connecting' };
let retryAt = 0;
let ticking = 0;

/** The client, for the server that the page came from. */
export const client = new Vaiven.Client(new URL('v1', location.href.split('#')[0]));

export const isConnected = () => client.state === 'connected';

/** Writes the state; to be called again when the language is another one. */
export function showState() {
  clearTimeout(ticking);
  let state = STATES[change.state];
  if (state === 'waiting' && navigator.onLine === false) state = 'offline';
  const left = Math.max(0, Math.ceil((retryAt - Date.now()) / 1000));
  const word = WORDS[language()][state];
  const value = state === 'waiting' ? left : change.reason || change.code;
  const line = typeof word === 'function' ? word(value) : word;
  document.body.dataset.state = state;
  if (text.textContent !== line) text.textContent = line;
  // A screen reader hears that the connection is lost, not every second of the wait.
  text.setAttribute('aria-live', state === 'waiting' && left > 0 ? 'off' : 'polite');
  retry.hidden = !(state === 'closed' || (state === 'waiting' && left > 1));
  if (state === 'waiting' && left > 0) ticking = setTimeout(showState, 250);
}

client.on('state', (next) => {
  change = next;
  retryAt = Date.now() + (next.delay ?? 0);
  showState();
});
retry.addEventListener('click', () => {
  // What ended for good begins anew, subscriptions too.
  if (client.state === 'closed') location.reload();
  else client.connect();
});
addEventListener('online', showState);
addEventListener('offline', showState);
