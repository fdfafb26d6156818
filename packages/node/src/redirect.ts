/** What of a request's fields may follow a redirect to another URL. */

import type { OutgoingHttpHeaders } from 'node:http';

/**
 * The fields for the request behind a redirect, their names in lower case. Fields that hold credentials stay behind
 * unless the next URL may see them, and another host has its own name in `Host`.
 */
export function headersBehind(
  headers: OutgoingHttpHeaders,
  first: URL,
  next: URL,
  mayHaveCredentials: boolean,
): OutgoingHttpHeaders {
  const kept: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(headers)) kept[name.toLowerCase()] = value;
  if (mayHaveCredentials) return kept;
  delete kept.authorization;
  delete kept.cookie;
  if (!isSameHost(first, next)) delete kept.host;
  return kept;
}

/** Whether the credentials for the first URL may be shown to the next. */
export function isTrusted(first: URL, next: URL): boolean {
  return isSameHost(first, next) && !(first.protocol === 'wss:' && next.protocol !== 'wss:');
}

/** The host of a socket in the file system is its path. */
function isSameHost(first: URL, next: URL): boolean {
  const isLocal = first.protocol === 'ws+unix:';
  if (isLocal !== (next.protocol === 'ws+unix:')) return false;
  return isLocal ? first.pathname.split(':')[0] === next.pathname.split(':')[0] : first.host === next.host;
}
