// rust_socketio against the server, in a workspace of its own. Needs the headers of OpenSSL, which that client uses.
// Without bytes: it hears no acknowledgement that has some, from the official server either.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { ROOT, Server } from './support.js';

const run = promisify(execFile);
const TARGET = join(ROOT, 'target/socketio-rust');

let server;
before(async () => {
  const manifest = join(import.meta.dirname, 'rust/Cargo.toml');
  await run('cargo', ['build', '--quiet', '--locked', '--manifest-path', manifest, '--target-dir', TARGET]);
  server = await Server.start('suite');
});
after(() => server?.end());

for (const transport of ['polling', 'websocket', 'upgrade']) {
  test(`rust_socketio over ${transport}`, async () => {
    const { stdout } = await run(join(TARGET, 'debug/socketio-client'), [server.url, transport]);
    assert.equal(stdout.match(/^ok /gm)?.length, 3, stdout);
  });
}
