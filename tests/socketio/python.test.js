// python-socketio against the server, in an environment of its own that is made when it is not there.
//
// PYTHON   the interpreter that makes it (default: python3)

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { ROOT, Server } from './support.js';

const run = promisify(execFile);
const HERE = join(import.meta.dirname, 'python');
const REQUIREMENTS = join(HERE, 'requirements.txt');
const ENVIRONMENT = join(ROOT, 'target/socketio-python');
const INSTALLED = join(ENVIRONMENT, 'requirements.txt');

/** An interpreter that has what the client needs. */
async function interpreter() {
  const python = join(ENVIRONMENT, 'bin/python');
  if (!existsSync(INSTALLED) || readFileSync(INSTALLED, 'utf8') !== readFileSync(REQUIREMENTS, 'utf8')) {
    await run(process.env.PYTHON ?? 'python3', ['-m', 'venv', '--clear', ENVIRONMENT]);
    await run(python, ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--requirement', REQUIREMENTS]);
    copyFileSync(REQUIREMENTS, INSTALLED);
  }
  return python;
}

let server;
let python;
before(async () => {
  python = await interpreter();
  server = await Server.start('suite');
});
after(() => server?.end());

for (const transport of ['polling', 'websocket']) {
  test(`python-socketio over ${transport}`, async () => {
    const { stdout } = await run(python, [join(HERE, 'client.py'), server.url, transport]);
    assert.equal(stdout.match(/^ok /gm)?.length, 8, stdout);
  });
}
