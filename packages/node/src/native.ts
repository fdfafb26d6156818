/**
 * Finds and loads the native core, and says in types what it exports.
 *
 * A build of this checkout goes first, then the package of this platform that npm installed as an optional
 * dependency of `vaiven`.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** What crates/vaiven-node exports (functions.rs). */
export interface Native {
  /** The value of Sec-WebSocket-Accept, or null where the key is not the base64 of 16 bytes (RFC 6455 4.2.2). */
  acceptKey(key: string): string | null;
}

/** `linux-x64-gnu`, `darwin-arm64`, `win32-x64-msvc`: the end of the name of a platform's package. */
function platformName(): string {
  const { platform, arch } = process;
  if (platform === 'linux') {
    const header = (process.report?.getReport() as { header?: { glibcVersionRuntime?: string } } | undefined)
      ?.header;
    return `linux-${arch}-${header?.glibcVersionRuntime === undefined ? 'musl' : 'gnu'}`;
  }
  return platform === 'win32' ? `win32-${arch}-msvc` : `${platform}-${arch}`;
}

function load(): Native {
  const local = join(__dirname, '..', 'native', 'vaiven.node');
  const isLocal = existsSync(local);
  const wanted = isLocal ? local : `@vaiven/${platformName()}`;
  try {
    return require(wanted) as Native;
  } catch (cause) {
    const advice = isLocal
      ? 'build it again: npm run build:native'
      : 'install it without --omit=optional, or build it with cargo: npm run build:native in packages/node';
    throw new Error(`vaiven: the native core ${wanted} cannot be loaded; ${advice}`, { cause });
  }
}

export const native: Native = load();
