// The example of chrome-remote-interface against a headless Chromium, whose path is the argument.

const { spawn } = require('node:child_process');
const { mkdtempSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const CDP = require('chrome-remote-interface');

const profile = mkdtempSync(join(tmpdir(), 'vaiven-devtools-'));
const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--remote-debugging-port=0'];
const browser = spawn(process.argv[2], [...flags, `--user-data-dir=${profile}`, 'about:blank'], {
  stdio: ['ignore', 'ignore', 'pipe'],
});
let log = '';
browser.stderr.on('data', function find(chunk) {
  log += chunk;
  const port = /DevTools listening on ws:\/\/[^:]+:(\d+)/.exec(log)?.[1];
  if (port === undefined) return;
  browser.stderr.off('data', find).resume();
  inspect(Number(port)).finally(() => browser.kill());
});
browser.on('exit', () => {
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  console.log('closed');
});

async function inspect(port) {
  const client = await CDP({ port });
  const { Page, Runtime } = client;
  await Page.enable();
  await Page.navigate({ url: 'data:text/html,<title>hola</title>' });
  await Page.loadEventFired();
  const { result } = await Runtime.evaluate({ expression: 'document.title' });
  console.log(result.value);
  const { data } = await Page.captureScreenshot();
  console.log(Buffer.from(data, 'base64').subarray(1, 4).toString());
  await client.close();
}
