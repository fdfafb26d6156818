/** permessage-deflate in the opening handshake: options by the names of npm `ws` to an offer, an answer, an agreement. */

import { OpeningError } from './errors';
import { acceptDeflate, type DeflateConfig, offerDeflate as offer } from './handshake';
import type { Deflate } from './link';
import { native } from './native';
import type { DeflateOptions } from './options';

type Option = boolean | DeflateOptions | undefined;

/** What the field Sec-WebSocket-Extensions offers; nothing where compression is not wanted. */
export function offerDeflate(option: Option): string | undefined {
  return option === false ? undefined : offer(configOf(option));
}

/** What the server's answer agrees to; throws where it breaks a rule. */
export function confirmDeflate(option: Option, answer: string): Deflate | undefined {
  if (option === false) {
    throw invalid('Server sent a Sec-WebSocket-Extensions header but no extension was requested');
  }
  try {
    return native.confirmDeflate(configOf(option), answer) ?? undefined;
  } catch (cause) {
    const error = invalid(`Invalid Sec-WebSocket-Extensions header: ${(cause as Error).message}`);
    error.cause = cause;
    throw error;
  }
}

/** A server's choice among a client's offers, where compression is wanted and one of them fits. */
export function chooseDeflate(
  option: Option,
  offers: string | null,
): { agreed: Deflate; answer: string } | undefined {
  if (!option || offers === null) return undefined;
  return acceptDeflate(configOf(option), offers) ?? undefined;
}

/** The native core's form of the options; throws where one of them cannot be. */
export function configOf(option: Option): DeflateConfig {
  const told = typeof option === 'object' ? option : {};
  const { clientMaxWindowBits = true, serverMaxWindowBits = 15, threshold = 1024, zlibDeflateOptions } = told;
  const clientBits =
    clientMaxWindowBits === true ? 15 : clientMaxWindowBits === false ? 0 : clientMaxWindowBits;
  for (const bits of [serverMaxWindowBits, clientBits || 15]) {
    if (!Number.isInteger(bits) || bits < 8 || bits > 15) {
      throw new TypeError(
        `the option 'perMessageDeflate' has a window of ${bits} bits; it must be from 8 to 15`,
      );
    }
  }
  return {
    serverNoContextTakeover: told.serverNoContextTakeover === true,
    clientNoContextTakeover: told.clientNoContextTakeover === true,
    serverMaxWindowBits,
    clientMaxWindowBits: clientBits,
    level: Math.min(Math.max(zlibDeflateOptions?.level ?? 1, 1), 9),
    threshold,
  };
}

function invalid(message: string): OpeningError {
  return new OpeningError('WS_ERR_INVALID_RESPONSE', message);
}
