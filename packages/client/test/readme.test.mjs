// README.md: its example prints what stands below it, and its table has every code.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Server } from './servers.mjs';

const FOLDER = fileURLToPath(new URL('..', import.meta.url));
const README = readFileSync(`${FOLDER}README.md`, 'utf8');
const EXAMPLES = [...README.matchAll(/```js\n(.*?)```\n\n```text\n(.*?)```/gs)];

describe('README.md', () => {
  test('has examples that print what stands below them', async (t) => {
    assert.equal(EXAMPLES.length, README.match(/^```js$/gm).length);
    assert.ok(EXAMPLES.length > 0);
    const server = await Server.start(t);
    for (const [, program, output] of EXAMPLES) {
      const filled = program.replaceAll('ws://127.0.0.1:8080/v1', server.url);
      assert.notEqual(filled, program);
      const options = { cwd: FOLDER, timeout: 30_000 };
      const printed = await promisify(execFile)(
        process.execPath,
        ['--input-type=module', '--eval', filled],
        options,
      );
      assert.deepEqual(printed, { stdout: output, stderr: '' });
    }
  });

  test('explains every code of the client and of the protocol', () => {
    const codes = readFileSync(`${FOLDER}src/errors.ts`, 'utf8').matchAll(/^ {2}\| '(\w+)'/gm);
    const rows = README.slice(README.indexOf('## Errors'))
      .split('\n')
      .filter((line) => line.startsWith('|'));
    for (const [, code] of codes) {
      assert.ok(
        rows.some((row) => row.split('|')[1].includes(`\`${code}\``)),
        code,
      );
    }
  });
});
