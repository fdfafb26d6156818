// What tsc leaves to do: the same as CommonJS, and as one minified file for pages without a bundler.

import { copyFileSync, readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const dist = fileURLToPath(new URL('../dist/', import.meta.url));
const common = { entryPoints: [`${dist}index.js`], bundle: true, target: 'es2022' };

await build({ ...common, format: 'cjs', platform: 'node', outfile: `${dist}cjs/index.js` });
// The types are the same; the folder says which kind of module they describe.
writeFileSync(`${dist}cjs/package.json`, '{ "type": "commonjs" }\n');
for (const name of readdirSync(dist).filter((name) => name.endsWith('.d.ts'))) {
  copyFileSync(dist + name, `${dist}cjs/${name}`);
}
await build({
  ...common,
  format: 'iife',
  globalName: 'Vaiven',
  minify: true,
  outfile: `${dist}vaiven-client.min.js`,
});
