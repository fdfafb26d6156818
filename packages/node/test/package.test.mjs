// The packages as they are published, installed by npm from a registry of the test's own into a fresh folder.

import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { basename, delimiter, dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { platformPackage } from '../dist/platform.js';
import { PLATFORMS } from '../scripts/platforms.mjs';

const run = promisify(execFile);
const PACKAGE = fileURLToPath(new URL('../scripts/package.mjs', import.meta.url));
const FOLDERS = (process.env.PATH ?? '').split(delimiter);

const ECHO = `
  const { WebSocket, WebSocketServer } = require('vaiven');
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  server.on('connection', (socket) => socket.on('message', (data, binary) => socket.send(data, { binary })));
  server.on('listening', () => {
    const socket = new WebSocket('ws://127.0.0.1:' + server.address().port);
    socket.onopen = () => socket.send('hola');
    socket.onmessage = ({ data }) => {
      console.log(data);
      socket.close();
      server.close();
    };
  });
`;

function folder(t) {
  const path = mkdtempSync(join(tmpdir(), 'vaiven-test-'));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** The file that a command of the PATH is. */
function which(command) {
  for (const path of FOLDERS) {
    try {
      return realpathSync(join(path, command));
    } catch {}
  }
  throw new Error(`there is no ${command} in the PATH`);
}

/** A registry that has these tarballs, and nothing else. */
async function registry(t, tarballs) {
  const answers = new Map();
  const server = http.createServer(({ url }, response) => {
    const answer = answers.get(decodeURIComponent(url));
    response.writeHead(answer === undefined ? 404 : 200).end(answer ?? '{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const url = `http://127.0.0.1:${server.address().port}`;
  for (const path of tarballs) {
    const bytes = readFileSync(path);
    const text = execFileSync('tar', ['-xzOf', path, 'package/package.json'], { encoding: 'utf8' });
    const { name, version, ...manifest } = JSON.parse(text);
    const tarball = `${url}/${basename(path)}`;
    const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`;
    const versions = { [version]: { ...manifest, name, version, dist: { tarball, integrity } } };
    answers.set(`/${basename(path)}`, bytes);
    answers.set(`/${name}`, JSON.stringify({ name, 'dist-tags': { latest: version }, versions }));
  }
  return url;
}

/** A PATH of these commands alone, and of npm. */
function pathOf(t, commands) {
  const path = folder(t);
  for (const [name, file] of Object.entries({ node: process.execPath, sh: which('sh'), ...commands })) {
    symlinkSync(file, join(path, name));
  }
  return path;
}

/** Installs vaiven from these tarballs into a fresh folder, and gives the folder and what npm wrote. */
async function install(t, tarballs, environment) {
  const project = folder(t);
  writeFileSync(join(project, 'package.json'), '{ "private": true }');
  const parameters = ['install', 'vaiven', '--registry', await registry(t, tarballs), '--cache', folder(t)];
  const options = { cwd: project, env: { HOME: folder(t), ...environment }, timeout: 600_000 };
  const quiet = ['--no-audit', '--no-fund', '--foreground-scripts'];
  const { stdout } = await run(process.execPath, [which('npm'), ...parameters, ...quiet], options);
  return { project, stdout };
}

async function pack(t, ...kinds) {
  const into = folder(t);
  for (const kind of kinds) await run(process.execPath, [PACKAGE, kind, into]);
  return readdirSync(into).map((name) => join(into, name));
}

async function echo(project) {
  const { stdout } = await run(process.execPath, ['--eval', ECHO], { cwd: project, timeout: 60_000 });
  return stdout;
}

test('the package of this platform is enough where there is no Rust', async (t) => {
  const tarballs = await pack(t, 'main', 'platform');
  const { project, stdout } = await install(t, tarballs, { PATH: pathOf(t, {}) });
  assert.match(stdout, new RegExp(`${platformPackage()} is there`));
  // The packages of the other platforms, which the registry lacks, keep nobody from installing.
  assert.deepEqual(readdirSync(join(project, 'node_modules', '@vaiven')), [basename(platformPackage())]);
  assert.equal(await echo(project), 'hola\n');
});

test('without a package for the platform npm builds from source where there is Rust', async (t) => {
  const tarballs = await pack(t, 'main');
  // What rustup and cargo keep lies elsewhere in the home that they are told of here.
  const { HOME, CARGO_HOME = join(HOME, '.cargo'), RUSTUP_HOME = join(HOME, '.rustup') } = process.env;
  const cargo = dirname(FOLDERS.map((path) => join(path, 'cargo')).find((path) => isFile(path)) ?? '/');
  const PATH = [pathOf(t, {}), cargo, '/usr/bin', '/bin'].join(delimiter);
  const { project, stdout } = await install(t, tarballs, { PATH, CARGO_HOME, RUSTUP_HOME });
  assert.match(stdout, /is built with cargo/);
  assert.deepEqual(readdirSync(join(project, 'node_modules', 'vaiven', 'native')), ['vaiven.node']);
  assert.equal(await echo(project), 'hola\n');
});

test('without either npm says what is missing', async (t) => {
  const tarballs = await pack(t, 'main');
  const failed = install(t, tarballs, { PATH: pathOf(t, {}) });
  await assert.rejects(failed, ({ stderr, stdout }) => {
    assert.match(stderr + stdout, /npm installed no @vaiven\/.*rustup\.rs/s);
    return true;
  });
});

test('the platforms have names as npm and the loader know them', () => {
  for (const { name, os, cpu, libc } of PLATFORMS) {
    assert.ok(name.startsWith(`${os}-${cpu}`));
    const ending = { glibc: '-gnu', musl: '-musl' }[libc] ?? (os === 'win32' ? '-msvc' : '');
    assert.equal(name, `${os}-${cpu}${ending}`);
  }
  assert.ok(PLATFORMS.some(({ name }) => `@vaiven/${name}` === platformPackage()));
});

function isFile(path) {
  try {
    return realpathSync(path) !== '';
  } catch {
    return false;
  }
}
