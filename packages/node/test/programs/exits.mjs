// What was sent before `process.exit()` leaves.

import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { dial, handler, listen } from './pair.mjs';

if (isMainThread) {
  const server = await listen(() =>
    handler({ message: (bytes, start, end) => console.log(bytes.utf8Slice(start, end)) }),
  );
  const worker = new Worker(new URL(import.meta.url), { workerData: server.address().port });
  worker.on('exit', () => setTimeout(() => process.exit(), 50));
} else {
  const link = await dial(workerData, handler());
  link.sendText('last words');
  parentPort.close();
  process.exit();
}
