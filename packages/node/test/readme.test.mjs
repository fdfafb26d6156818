// The examples of README.md print what stands below them.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { echo, startServer } from './peers.mjs';

const FOLDER = fileURLToPath(new URL('..', import.meta.url));
const ADDRESS = 'ws://127.0.0.1:8080/';
const EXAMPLES = [
  ...readFileSync(`${FOLDER}README.md`, 'utf8').matchAll(/```js\n(.*?)```\n\n```text\n(.*?)```/gs),
];

/** Runs a program against an echo server, and gives what it wrote. */
async function run(t, program) {
  const { url } = await startServer(t, echo);
  assert.ok(program.includes(ADDRESS) || program.includes('new WebSocketServer('));
  const filled = program.replaceAll(ADDRESS, url);
  const options = { cwd: FOLDER, timeout: 30_000 };
  return promisify(execFile)(process.execPath, ['--input-type=module', '--eval', filled], options);
}

describe('examples of README.md', () => {
  for (const [index, [, program, output]] of EXAMPLES.entries()) {
    test(`example ${index + 1} prints what stands below it`, async (t) => {
      assert.deepEqual(await run(t, program), { stdout: output, stderr: '' });
    });
  }

  test('are all there are in JavaScript', () => {
    const fences = readFileSync(`${FOLDER}README.md`, 'utf8').match(/^```js$/gm);
    assert.equal(EXAMPLES.length, fences.length);
    assert.ok(fences.length > 0);
  });
});

for (const name of ['README.md', 'README.es.md']) {
  test(`the example of the repository's ${name} prints what was sent`, async (t) => {
    const text = readFileSync(new URL(`../../../${name}`, import.meta.url), 'utf8');
    const examples = [...text.matchAll(/```js\n(import .*?)```/gs)];
    assert.equal(examples.length, 1);
    assert.deepEqual(await run(t, examples[0][1]), { stdout: 'hola\n', stderr: '' });
  });
}
