/**
 * The two heads of the opening handshake: the fields of the client's request, and the judgement of the server's answer
 * in the words of npm `ws`. The rules are the native core's, but for that of the WebSockets Standard on subprotocols.
 */

import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { OpeningError } from './errors';
import {
  type Agreement,
  checkResponse,
  type DeflateConfig,
  type HandshakeError,
  offerDeflate,
} from './handshake';

/** What the client asks for. */
export interface Request {
  /** The 16 random bytes of the key. */
  nonce: Uint8Array;
  protocols: readonly string[];
  deflate: DeflateConfig | null;
  version: number;
}

/** The fields that make a request one for a WebSocket. */
export function requestFields({ nonce, protocols, deflate, version }: Request): OutgoingHttpHeaders {
  return {
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Key': Buffer.from(nonce).toString('base64'),
    'Sec-WebSocket-Version': version,
    ...(deflate === null ? {} : { 'Sec-WebSocket-Extensions': offerDeflate(deflate) }),
    ...(protocols.length === 0 ? {} : { 'Sec-WebSocket-Protocol': protocols.join(', ') }),
  };
}

/** What an answer of status 101 agreed to; throws what is wrong with it. */
export function agree(request: Request, { httpVersion, rawHeaders }: IncomingMessage): Agreement {
  if (httpVersion !== '1.1') throw invalid(`Invalid HTTP version ${httpVersion}`);
  const { nonce, protocols, deflate } = request;
  const agreement = checkResponse(nonce, protocols, deflate, rawHeaders);
  if (agreement.error !== undefined) {
    const { message, name } = agreement.error;
    throw invalid(inWordsOfWs(name, request) ?? message, message);
  }
  if (protocols.length > 0 && agreement.subprotocol === '') throw invalid('Server sent no subprotocol');
  return agreement;
}

/** Programs compare these sentences; the core's says more exactly what is wrong. */
function inWordsOfWs(name: HandshakeError['name'], { protocols, deflate }: Request): string | undefined {
  switch (name) {
    case 'Upgrade':
    case 'Connection':
      return `Invalid ${name} header`;
    case 'MissingAccept':
    case 'RepeatedAccept':
    case 'WrongAccept':
      return 'Invalid Sec-WebSocket-Accept header';
    case 'UnofferedSubprotocol':
      return protocols.length === 0
        ? 'Server sent a subprotocol but none was requested'
        : 'Server sent an invalid subprotocol';
    case 'UnofferedExtension':
      return deflate === null
        ? 'Server sent a Sec-WebSocket-Extensions header but no extension was requested'
        : 'Server indicated an extension that was not requested';
    case 'MalformedExtensions':
    case 'RepeatedExtension':
    case 'InvalidExtension':
      return 'Invalid Sec-WebSocket-Extensions header';
    default:
      return undefined;
  }
}

function invalid(message: string, cause?: string): OpeningError {
  const error = new OpeningError('WS_ERR_INVALID_RESPONSE', message);
  return cause === undefined ? error : Object.assign(error, { cause: new Error(cause) });
}
