// Builds the add-on with cargo, in release, and puts it where src/native.ts looks for a local build.

import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const packageFolder = dirname(dirname(fileURLToPath(import.meta.url)));
const workspace = join(packageFolder, '..', '..');

// One line of JSON for each thing that cargo makes; the last that is a shared library of ours is the add-on.
const messages = execFileSync(
  process.env.CARGO ?? 'cargo',
  ['build', '--release', '--package', 'vaiven-node', '--message-format', 'json-render-diagnostics'],
  { cwd: workspace, encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'inherit'] },
);
const library = messages
  .split('\n')
  .filter((line) => line.includes('"compiler-artifact"') && line.includes('vaiven_node'))
  .flatMap((line) => JSON.parse(line).filenames)
  .findLast((file) => /\.(so|dylib|dll)$/.test(file));
if (library === undefined || !existsSync(library)) {
  throw new Error('cargo built no add-on: is crates/vaiven-node part of the workspace?');
}

// Renamed into its place: a process that has the old one loaded keeps it.
const target = join(packageFolder, 'native', 'vaiven.node');
mkdirSync(dirname(target), { recursive: true });
copyFileSync(library, `${target}.new`);
renameSync(`${target}.new`, target);
console.log(`native/vaiven.node is ${library}`);
