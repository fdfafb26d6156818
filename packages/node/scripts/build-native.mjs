// Builds the add-on with cargo, in release, and puts it where src/native.ts looks for a local build: from the repository,
// or from the sources that the published package brings along.

import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const packageFolder = dirname(dirname(fileURLToPath(import.meta.url)));
const shipped = join(packageFolder, 'source');
const workspace = existsSync(shipped) ? shipped : join(packageFolder, '..', '..');

/** Builds it for this platform, or for one that Rust calls `target`. Gives where the library is. */
export function build(target) {
  const parameters = ['build', '--release', '--package', 'vaiven-node'];
  if (target !== undefined) parameters.push('--target', target);
  // One line of JSON for each thing that cargo makes; the last that is a shared library of ours is the add-on.
  const messages = execFileSync(
    process.env.CARGO ?? 'cargo',
    [...parameters, '--message-format', 'json-render-diagnostics'],
    { cwd: workspace, encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const library = messages
    .split('\n')
    .filter((line) => line.includes('"compiler-artifact"') && line.includes('vaiven_node'))
    .flatMap((line) => JSON.parse(line).filenames)
    .findLast((file) => /\.(so|dylib|dll)$/.test(file));
  if (library === undefined || !existsSync(library)) {
    throw new Error(`cargo built no add-on in ${workspace}`);
  }
  return library;
}

/** Makes a library the local build: renamed into its place, so that a process that has the old one loaded keeps it. */
export function place(library) {
  const local = join(packageFolder, 'native', 'vaiven.node');
  mkdirSync(dirname(local), { recursive: true });
  copyFileSync(library, `${local}.new`);
  renameSync(`${local}.new`, local);
  console.log(`native/vaiven.node is ${library}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) place(build());
