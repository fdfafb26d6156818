/** permessage-deflate in a client's opening handshake: options by the names of npm `ws` to an offer and an agreement. */

import { OpeningError } from './errors';
import type { Deflate } from './link';
import { native } from './native';
import type { DeflateOptions } from './options';

type Option = boolean | DeflateOptions | undefined;

/** Bits of the native core's `takeover`. */
const SERVER_NO_CONTEXT_TAKEOVER = 1;
const CLIENT_NO_CONTEXT_TAKEOVER = 2;

/** What the field Sec-WebSocket-Extensions offers; nothing where compression is not wanted. */
export function offerDeflate(option: Option): string | undefined {
  return option === false ? undefined : native.offerDeflate(...wanted(option));
}

/** What the server's answer agrees to; throws where it breaks a rule. */
export function confirmDeflate(option: Option, answer: string): Deflate {
  if (option === false) {
    throw invalid('Server sent a Sec-WebSocket-Extensions header but no extension was requested');
  }
  const { threshold = 1024, zlibDeflateOptions } = typeof option === 'object' ? option : {};
  try {
    const agreed = native.confirmDeflate(...wanted(option), answer);
    return {
      serverNoContextTakeover: (agreed & SERVER_NO_CONTEXT_TAKEOVER) !== 0,
      clientNoContextTakeover: (agreed & CLIENT_NO_CONTEXT_TAKEOVER) !== 0,
      serverMaxWindowBits: (agreed >> 2) & 15,
      clientMaxWindowBits: agreed >> 6,
      level: Math.min(Math.max(zlibDeflateOptions?.level ?? 1, 1), 9),
      threshold,
    };
  } catch (cause) {
    // In the words of `ws`; the core says more exactly what is wrong.
    const isUnoffered = /not offered \(RFC 6455/.test((cause as Error).message);
    throw invalid(
      isUnoffered
        ? 'Server indicated an extension that was not requested'
        : 'Invalid Sec-WebSocket-Extensions header',
      cause,
    );
  }
}

/** The native core's numbers for the options. */
function wanted(option: Option): [takeover: number, serverBits: number, clientBits: number] {
  const told = typeof option === 'object' ? option : {};
  const { clientMaxWindowBits = true, serverMaxWindowBits = 15 } = told;
  const clientBits =
    clientMaxWindowBits === true ? 15 : clientMaxWindowBits === false ? 0 : clientMaxWindowBits;
  for (const bits of [serverMaxWindowBits, clientBits || 15]) {
    if (!Number.isInteger(bits) || bits < 8 || bits > 15) {
      throw new TypeError(
        `the option 'perMessageDeflate' has a window of ${bits} bits; it must be from 8 to 15`,
      );
    }
  }
  const takeover =
    (told.serverNoContextTakeover ? SERVER_NO_CONTEXT_TAKEOVER : 0) |
    (told.clientNoContextTakeover ? CLIENT_NO_CONTEXT_TAKEOVER : 0);
  return [takeover, serverMaxWindowBits, clientBits];
}

function invalid(message: string, cause?: unknown): OpeningError {
  return Object.assign(
    new OpeningError('WS_ERR_INVALID_RESPONSE', message),
    cause === undefined ? {} : { cause },
  );
}
