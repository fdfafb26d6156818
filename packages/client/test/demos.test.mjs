// The demos have the client in a file of their own, since the server's binary is built without npm.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

test('the demos have this client', () => {
  const [built, shown] = ['../dist/vaiven-client.min.js', '../../../demos/shared/vaiven-client.min.js'].map(
    (path) => readFileSync(new URL(path, import.meta.url), 'utf8'),
  );
  assert.ok(built === shown, 'copy dist/vaiven-client.min.js to demos/shared/');
});
