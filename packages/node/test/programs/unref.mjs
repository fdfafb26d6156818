// Links that are not to keep the process alive let it end although they are open.

import { dial, handler, listen } from './pair.mjs';

const server = await listen(() => {
  const own = handler();
  setImmediate(() => own.link.unref());
  return own;
});
const link = await dial(server.address().port, handler());
server.close();
link.unref();
link.ref();
link.unref();
process.on('exit', () => console.log('exit'));
