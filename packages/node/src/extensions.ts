/** permessage-deflate by the options' names of npm `ws`: what a client wants of it. */

import type { DeflateConfig } from './handshake';
import type { DeflateOptions } from './options';

/** What the option asks for; null where compression is not wanted. Throws where it asks for what there is not. */
export function deflateConfig(option: boolean | DeflateOptions | undefined): DeflateConfig | null {
  if (option === false) return null;
  const told = typeof option === 'object' && option !== null ? option : {};
  const { clientMaxWindowBits = true, serverMaxWindowBits = 15, threshold = 1024, zlibDeflateOptions } = told;
  return {
    serverNoContextTakeover: told.serverNoContextTakeover ?? false,
    clientNoContextTakeover: told.clientNoContextTakeover ?? false,
    serverMaxWindowBits: checked('serverMaxWindowBits', serverMaxWindowBits, 8, 15),
    clientMaxWindowBits:
      typeof clientMaxWindowBits === 'boolean'
        ? Number(clientMaxWindowBits) * 15
        : checked('clientMaxWindowBits', clientMaxWindowBits, 8, 15),
    // zlib's level 0 compresses nothing and its -1 stands for 6; 1 is the nearest that there is.
    level: Math.min(Math.max(zlibDeflateOptions?.level ?? 1, 1), 9),
    threshold: checked('threshold', threshold, 0, 2 ** 31 - 1),
  };
}

function checked(name: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new TypeError(
    `Invalid value for parameter "${name}" of perMessageDeflate: ${value}; it must be from ${least} to ${most}`,
  );
}
