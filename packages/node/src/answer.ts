/**
 * The two heads of the opening handshake: the fields of the client's request, and the rules for the server's answer
 * (RFC 6455 section 4.1, with the WebSockets Standard's rule on subprotocols).
 */

import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { OpeningError } from './errors';
import { confirmDeflate, offerDeflate } from './extensions';
import type { Deflate } from './link';
import { native } from './native';
import type { ClientOptions } from './options';

const MAX_FIELDS = 100;

/** What was agreed on. */
export interface Answer {
  protocol: string;
  /** The extensions in use, in the server's words. */
  extensions: string;
  deflate: Deflate | undefined;
}

/** The fields that make a request one for a WebSocket. */
export function offer(
  key: string,
  protocols: readonly string[],
  options: ClientOptions,
): OutgoingHttpHeaders {
  const extensions = offerDeflate(options.perMessageDeflate);
  return {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Key': key,
    'Sec-WebSocket-Version': options.protocolVersion ?? 13,
    ...(extensions === undefined ? {} : { 'Sec-WebSocket-Extensions': extensions }),
    ...(protocols.length === 0 ? {} : { 'Sec-WebSocket-Protocol': protocols.join(', ') }),
  };
}

/** Checks an answer of status 101; throws what is wrong with it. */
export function checkAnswer(
  key: string,
  protocols: readonly string[],
  options: ClientOptions,
  { headers, httpVersion, rawHeaders }: IncomingMessage,
): Answer {
  if (rawHeaders.length / 2 > MAX_FIELDS) throw invalid(`More than ${MAX_FIELDS} fields in the response`);
  if (httpVersion !== '1.1') throw invalid(`Invalid HTTP version ${httpVersion}`);
  if (headers.upgrade?.toLowerCase() !== 'websocket') throw invalid('Invalid Upgrade header');
  const connection = headers.connection?.toLowerCase().split(',') ?? [];
  if (!connection.some((token) => token.trim() === 'upgrade')) throw invalid('Invalid Connection header');
  if (headers['sec-websocket-accept'] !== native.acceptKey(key))
    throw invalid('Invalid Sec-WebSocket-Accept header');
  const extensions = headers['sec-websocket-extensions'];
  return {
    protocol: chosenProtocol(protocols, headers['sec-websocket-protocol']),
    extensions: extensions ?? '',
    deflate: extensions === undefined ? undefined : confirmDeflate(options.perMessageDeflate, extensions),
  };
}

function chosenProtocol(offered: readonly string[], chosen: string | undefined): string {
  if (chosen === undefined) {
    if (offered.length > 0) throw invalid('Server sent no subprotocol');
    return '';
  }
  if (offered.length === 0) throw invalid('Server sent a subprotocol but none was requested');
  if (!offered.includes(chosen)) throw invalid('Server sent an invalid subprotocol');
  return chosen;
}

function invalid(message: string): OpeningError {
  return new OpeningError('WS_ERR_INVALID_RESPONSE', message);
}
