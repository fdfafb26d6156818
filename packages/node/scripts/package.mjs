// Makes the packages that are published, as tarballs of npm's:
//
//   node scripts/package.mjs main FOLDER               vaiven itself: built TypeScript, and the sources of the native core
//   node scripts/package.mjs platform FOLDER [NAME]    @vaiven/NAME with the native core of that platform, or of this one
//
// The packages of platforms are optional dependencies of vaiven. They are written into its manifest here and not in
// package.json, as package-lock.json can name them only once they are published. `platform` packs the local build for
// this platform (npm run build:native) and builds for another one with cargo, which takes its linker.

import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from './build-native.mjs';
import { PLATFORMS } from './platforms.mjs';

const packageFolder = dirname(dirname(fileURLToPath(import.meta.url)));
const repository = join(packageFolder, '..', '..');
const LICENSES = ['LICENSE-APACHE', 'LICENSE-MIT'];
const SCRIPTS = ['build-native.mjs', 'install.mjs'];
/** The crates that the native core is made of. */
const CRATES = ['vaiven-proto', 'vaiven-node'];

const manifest = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8'));
const { version, license, repository: source, engines } = manifest;

/** Fills a folder, and has npm pack it. */
function pack(into, fill) {
  const staged = mkdtempSync(join(tmpdir(), 'vaiven-package-'));
  try {
    const described = fill(staged);
    writeFileSync(join(staged, 'package.json'), `${JSON.stringify(described, null, 2)}\n`);
    for (const name of LICENSES) cpSync(join(repository, name), join(staged, name));
    mkdirSync(into, { recursive: true });
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
    const options = { cwd: staged, encoding: 'utf8', shell: process.platform === 'win32' };
    const packed = execFileSync(npm, ['pack', '--silent', '--pack-destination', resolve(into)], options);
    console.log(join(into, packed.trim()));
  } finally {
    rmSync(staged, { recursive: true });
  }
}

function fillMain(staged) {
  for (const name of ['dist', 'README.md']) {
    cpSync(join(packageFolder, name), join(staged, name), { recursive: true });
  }
  for (const name of SCRIPTS) cpSync(join(packageFolder, 'scripts', name), join(staged, 'scripts', name));
  copySources(join(staged, 'source'));
  const { devDependencies: _, private: __, ...published } = manifest;
  const optional = PLATFORMS.map(({ name }) => [`@vaiven/${name}`, version]);
  return {
    ...published,
    files: ['dist', 'scripts', 'source', ...LICENSES],
    scripts: { install: 'node scripts/install.mjs' },
    optionalDependencies: Object.fromEntries(optional),
  };
}

/** A workspace of the native core's crates alone, with the versions that the repository's lock file has. */
function copySources(folder) {
  for (const crate of CRATES) {
    const from = join(repository, 'crates', crate);
    const into = join(folder, 'crates', crate);
    cpSync(join(from, 'src'), join(into, 'src'), { recursive: true });
    // Benchmarks are not brought along.
    const [text] = readFileSync(join(from, 'Cargo.toml'), 'utf8').split(/^\[\[bench\]\]$/m, 1);
    writeFileSync(join(into, 'Cargo.toml'), text);
  }
  const members = `members = [${CRATES.map((crate) => `"crates/${crate}"`).join(', ')}]`;
  const text = readFileSync(join(repository, 'Cargo.toml'), 'utf8')
    .replace(/^members = .*$/m, members)
    .replace(/^(default-members|exclude) = .*\n/gm, '');
  writeFileSync(join(folder, 'Cargo.toml'), text);
  cpSync(join(repository, 'Cargo.lock'), join(folder, 'Cargo.lock'));
}

function fillPlatform(staged, { name, os, cpu, libc, target }, isThis) {
  const local = join(packageFolder, 'native', 'vaiven.node');
  if (isThis && !existsSync(local)) throw new Error('there is no local build: npm run build:native');
  cpSync(isThis ? local : build(target), join(staged, 'vaiven.node'));
  writeFileSync(
    join(staged, 'README.md'),
    `# @vaiven/${name}\n\nThe native core of [vaiven](https://www.npmjs.com/package/vaiven) for ${target}. npm installs it with vaiven.\n`,
  );
  return {
    name: `@vaiven/${name}`,
    version,
    description: `The native core of vaiven for ${target}`,
    license,
    repository: source,
    main: 'vaiven.node',
    files: ['vaiven.node', ...LICENSES],
    engines,
    os: [os],
    cpu: [cpu],
    ...(libc === undefined ? {} : { libc: [libc] }),
  };
}

const [what, into, wanted] = process.argv.slice(2);
if (what === 'main' && into !== undefined) pack(into, fillMain);
else if (what === 'platform' && into !== undefined) {
  const { platformPackage } = createRequire(import.meta.url)('../dist/platform.js');
  const own = platformPackage().replace('@vaiven/', '');
  const platform = PLATFORMS.find(({ name }) => name === (wanted ?? own));
  if (platform === undefined)
    throw new Error(`${wanted ?? own} is none of the platforms of scripts/platforms.mjs`);
  pack(into, (staged) => fillPlatform(staged, platform, platform.name === own));
} else {
  console.error('usage: node scripts/package.mjs main FOLDER | platform FOLDER [NAME]');
  process.exitCode = 2;
}
