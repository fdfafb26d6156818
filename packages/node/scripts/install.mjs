// What `npm install vaiven` runs: nothing, where npm has installed the native core of this platform; else it is built from
// the sources that the package brings along, which takes Rust.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, place } from './build-native.mjs';

const { platformPackage } = createRequire(import.meta.url)('../dist/platform.js');

function isInstalled(name) {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}

function hasCargo() {
  try {
    execFileSync(process.env.CARGO ?? 'cargo', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

function buildAside() {
  // What a build leaves behind is a hundred times what is kept of it.
  const folder = mkdtempSync(join(tmpdir(), 'vaiven-'));
  process.env.CARGO_TARGET_DIR ??= folder;
  try {
    place(build());
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const name = platformPackage();
if (isInstalled(name)) {
  console.log(`vaiven: ${name} is there`);
} else if (hasCargo()) {
  console.log(`vaiven: there is no ${name}; the native core is built with cargo`);
  buildAside();
} else {
  console.error(
    `vaiven: npm installed no ${name}. Install without --omit=optional, or, where there is no such package, install ` +
      'Rust (https://rustup.rs) and try again: the native core is then built from source.',
  );
  process.exitCode = 1;
}
