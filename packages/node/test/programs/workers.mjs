// Threads that talk to themselves: some end by themselves, some are terminated in the middle of it, again and again.

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { dial, echo, handler, listen } from './pair.mjs';

const MESSAGES = 2000;

if (isMainThread) {
  const rounds = Number(process.argv[2] ?? 5);
  for (let round = 0; round < rounds; round++) {
    const modes = ['ends', 'is terminated', 'exits'];
    await Promise.all(
      modes.map(async (mode) => {
        const worker = new Worker(new URL(import.meta.url), { workerData: mode });
        const [done] = await Promise.all([
          new Promise((resolve) => worker.once('message', resolve)),
          new Promise((resolve, reject) => {
            worker.once('exit', resolve);
            worker.once('error', reject);
            if (mode === 'is terminated') {
              worker.once('message', () => worker.terminate());
            }
          }),
        ]);
        if (done !== MESSAGES) {
          throw new Error(`${mode}: ${done} messages came back`);
        }
      }),
    );
  }
  console.log('done');
} else {
  const server = await listen(echo);
  let count = 0;
  const own = handler({
    message() {
      count++;
      if (count === MESSAGES) {
        parentPort.postMessage(count);
        if (workerData === 'ends') {
          own.link.close(1000, '');
          server.close();
        } else if (workerData === 'exits') {
          process.exit();
        }
      }
      own.link.sendBinary(Buffer.alloc(count % 40_000));
      return false;
    },
  });
  const link = await dial(server.address().port, own);
  for (let index = 0; index < 8; index++) {
    link.sendText('begin');
  }
}
