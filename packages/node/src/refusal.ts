/** Answers to requests that do not become a WebSocket: refusals of the native core's, and some of the server's own. */

import * as http from 'node:http';
import type { Duplex } from 'node:stream';
import { checkUpgrade, type Refusal, type Upgrade } from './handshake';

const MAX_FIELDS = 100;
const MAX_TARGET = 8 * 1024;
const COMMON = [
  ...['Connection', 'close'],
  ...['Content-Type', 'text/plain; charset=utf-8'],
  ...['Cache-Control', 'no-store'],
  ...['X-Content-Type-Options', 'nosniff'],
];

/** A refusal with the fields that each has. */
export function refusal(status: number, code: string, message: string, ...headers: string[]): Refusal {
  return { status, code, message, headers: [...COMMON, ...headers] };
}

export const NOT_FOUND = refusal(
  404,
  'not_found',
  'Nothing is served at this path. Check the path of the URL.',
);
export const CLOSED = refusal(503, 'closed', 'The server accepts no more connections.');
/** Node did not take the request for an upgrade, although the fields ask for one. */
const NO_UPGRADE = refusal(
  400,
  'connection',
  'The header Connection is malformed. It says Upgrade and nothing else.',
);
export const DRAINING = refusal(
  503,
  'draining',
  'The server is shutting down. Connect again in some seconds.',
  'Retry-After',
  '5',
);

/** What a request offers that is a right opening handshake, or the refusal that it gets. */
export function judge(request: http.IncomingMessage): Upgrade | { refusal: Refusal } {
  const { httpVersion, method = '', rawHeaders, url = '' } = request;
  if (url.length > MAX_TARGET) {
    return { refusal: refusal(414, 'target', `The URL is longer than ${MAX_TARGET} bytes. Shorten it.`) };
  }
  if (rawHeaders.length / 2 > MAX_FIELDS) {
    return {
      refusal: refusal(431, 'fields', `There are more than ${MAX_FIELDS} header fields. Send fewer.`),
    };
  }
  // Node's parser lets these versions through, and may be one of the program's own.
  if (httpVersion !== '1.0' && httpVersion !== '1.1') return { refusal: UNKNOWN_VERSION };
  try {
    return checkUpgrade(method, httpVersion, rawHeaders);
  } catch {
    return { refusal: MALFORMED };
  }
}

/** Writes a refusal to the stream of a request and ends it, so that nothing behind the request is answered. */
export function refuse(socket: Duplex, { status, message, headers }: Refusal): void {
  const body = `${message}\n`;
  const fields = [...headers, 'Content-Length', String(Buffer.byteLength(body))];
  respond(socket, status, fields, body);
}

/** The answer that `verifyClient` asks for. */
export function refuseAsTold(
  socket: Duplex,
  status: number,
  message: string | undefined,
  headers: http.OutgoingHttpHeaders | undefined,
): void {
  const body = message || (http.STATUS_CODES[status] ?? '');
  const fields = [...COMMON, 'Content-Length', String(Buffer.byteLength(body))];
  for (const [name, value] of Object.entries(headers ?? {})) {
    http.validateHeaderName(name);
    for (const one of Array.isArray(value) ? value : [value]) {
      http.validateHeaderValue(name, String(one));
      fields.push(name, String(one));
    }
  }
  respond(socket, status, fields, body);
}

function respond(socket: Duplex, status: number, fields: readonly string[], body: string): void {
  const lines = [`HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ''}`];
  const told = new Set<string>();
  // What is told later goes before what is told by default: the application's own Content-Type is the one.
  for (let at = fields.length - 2; at >= 0; at -= 2) {
    const name = fields[at] as string;
    if (COMMON.includes(name) && told.has(name.toLowerCase())) continue;
    told.add(name.toLowerCase());
    lines.splice(1, 0, `${name}: ${fields[at + 1]}`);
  }
  socket.once('finish', () => socket.destroy());
  socket.end(`${lines.join('\r\n')}\r\n\r\n${body}`);
}

/** Answers an ordinary request: the server speaks WebSocket and nothing else. */
export function answerRequest(request: http.IncomingMessage, response: http.ServerResponse): void {
  const judged = judge(request);
  const { status, message, headers } = judged.refusal ?? NO_UPGRADE;
  const body = `${message}\n`;
  response.writeHead(status, [...headers, 'Content-Length', String(Buffer.byteLength(body))]);
  response.end(body);
}

/** What Node's parser says of bytes that are no request, as an answer. */
export function answerParseError(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy();
    return;
  }
  refuse(socket, PARSE_ERRORS[error.code ?? ''] ?? MALFORMED);
}

const MALFORMED = refusal(400, 'malformed', 'The request is malformed. Nothing of it was read.');
const UNKNOWN_VERSION = refusal(505, 'http_version', 'The version of HTTP is not known here. Use HTTP/1.1.');
const UNKNOWN_METHOD = refusal(
  405,
  'method',
  'A WebSocket handshake is a GET request. Use the method GET.',
  'Allow',
  'GET',
);

/** Answers a request to be a tunnel, which Node hands over as it does an upgrade. */
export function answerConnect(_: http.IncomingMessage, socket: Duplex): void {
  refuse(socket, UNKNOWN_METHOD);
}

const PARSE_ERRORS: Record<string, Refusal> = {
  HPE_INVALID_METHOD: UNKNOWN_METHOD,
  HPE_INVALID_VERSION: UNKNOWN_VERSION,
  HPE_HEADER_OVERFLOW: refusal(431, 'fields', 'The header fields are longer than 16 KiB. Send less.'),
  ERR_HTTP_REQUEST_TIMEOUT: refusal(408, 'timeout', 'The request did not arrive within 10 s.'),
};
