// What the admin page asks of the server. The key goes into a header: never into a URL, a cookie or the browser's storage.

let key = '';

export const setKey = (value) => { key = value; };

/** The server's answer was a refusal. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, options = {}) {
  const headers = { Authorization: `Bearer ${key}`, ...options.headers };
  const response = await fetch(path, { ...options, headers, cache: 'no-store', credentials: 'omit' });
  if (response.ok) return response;
  const told = await response.json().catch(() => null);
  throw new Refused(response.status, told?.error?.message ?? response.statusText);
}

/** The state of the server; of its connections those that have `find` in their names. */
export async function readState(find) {
  const query = find ? `?${new URLSearchParams({ find })}` : '';
  return (await ask(`admin/state${query}`, { signal: AbortSignal.timeout(10_000) })).json();
}

export async function disconnect(connection) {
  const headers = { 'Content-Type': 'application/json' };
  await ask('admin/disconnect', { method: 'POST', headers, body: JSON.stringify({ connection }) });
}

/** Gives `take` each message of a channel, until `signal` or the server ends it. */
export async function tail(channel, signal, begun, take) {
  const response = await ask(`admin/tail?${new URLSearchParams({ channel })}`, { signal });
  begun();
  let rest = '';
  // EventSource sends no headers, so the stream is read by hand: each event is one `data` line of JSON.
  for await (const text of readText(response.body)) {
    const events = (rest + text).split('\n\n');
    rest = events.pop();
    for (const event of events) {
      if (event.startsWith('data: ')) take(JSON.parse(event.slice(6)));
    }
  }
}

async function* readText(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}
