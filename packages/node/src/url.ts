/**
 * The URL that a WebSocket is made with: a string and a base URL to a URL record (WebSockets Standard, constructor
 * steps 1 to 7).
 */

import { unescape as percentDecoded } from 'node:querystring';

let base: URL | undefined;

/**
 * Sets the URL against which the URLs of new sockets are resolved, as a page's address does in a browser. Where it
 * is one of HTTP, its origin is sent as `Origin`. `undefined` takes it away: then URLs have to be absolute.
 */
export function setBaseURL(url: string | URL | undefined): void {
  base = url === undefined ? undefined : new URL(url);
}

/** What goes into the `Origin` field of a request, if anything: a program without a base URL has no origin. */
export function ownOrigin(): string | undefined {
  return base?.protocol === 'http:' || base?.protocol === 'https:' ? base.origin : undefined;
}

/**
 * Resolves the URL and turns `http:` into `ws:`; throws the standard's SyntaxError where a socket of the class with this
 * name cannot use it.
 */
export function parseURL(url: string, className: string): URL {
  const record = resolve(url, className);
  if (record.protocol === 'http:') record.protocol = 'ws:';
  else if (record.protocol === 'https:') record.protocol = 'wss:';
  if (record.protocol !== 'ws:' && record.protocol !== 'wss:') {
    throw syntaxError(className, url, `its scheme is "${record.protocol}"; use ws:, wss:, http: or https:`);
  }
  // An empty fragment is one too, and `hash` does not show it. In a serialised URL every other # is escaped.
  if (record.href.includes('#')) {
    throw syntaxError(className, url, 'it has a fragment; take away the # and what follows');
  }
  return record;
}

/**
 * The URL as npm `ws` reads it: also of a socket in the file system, and with the SyntaxError of the language.
 * `from` is the URL whose redirect led here.
 */
export function parseLooseURL(address: string | URL, from?: URL): URL {
  if (!URL.canParse(String(address), from?.href)) throw new SyntaxError(`Invalid URL: ${address}`);
  const url = new URL(address, from);
  if (url.protocol === 'http:') url.protocol = 'ws:';
  else if (url.protocol === 'https:') url.protocol = 'wss:';
  if (!['ws:', 'wss:', 'ws+unix:'].includes(url.protocol)) {
    throw new SyntaxError(
      'The URL\'s protocol must be one of "ws:", "wss:", "http:", "https:", or "ws+unix:"',
    );
  }
  if (url.protocol === 'ws+unix:' && url.pathname === '')
    throw new SyntaxError("The URL's pathname is empty");
  if (url.hash !== '') throw new SyntaxError('The URL contains a fragment identifier');
  return url;
}

/** User name and password as `Authorization: Basic` joins them. */
export function credentialsOf(url: URL): string | undefined {
  if (url.username === '' && url.password === '') return undefined;
  return `${percentDecoded(url.username)}:${percentDecoded(url.password)}`;
}

/** The port that the URL leads to. */
export function portOf(url: URL): number {
  return url.port === '' ? (url.protocol === 'wss:' ? 443 : 80) : Number(url.port);
}

/** The host without the brackets of an IPv6 address. */
export function hostOf(url: URL): string {
  return url.hostname.startsWith('[') ? url.hostname.slice(1, -1) : url.hostname;
}

function resolve(url: string, className: string): URL {
  try {
    return new URL(url, base);
  } catch {
    const isRelative = base === undefined && URL.canParse(url, 'ws://host/');
    throw syntaxError(
      className,
      url,
      isRelative
        ? 'it is relative and there is no base URL; write it in full or call setBaseURL first'
        : 'it is no valid URL',
    );
  }
}

function syntaxError(className: string, url: string, why: string): DOMException {
  return new DOMException(
    `Failed to construct '${className}': the URL '${url}' cannot be used: ${why}.`,
    'SyntaxError',
  );
}
