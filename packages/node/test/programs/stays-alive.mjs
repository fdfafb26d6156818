// The process lives as long as a link does: the server is not what keeps it. Prints what happens.

import { dial, handler, listen } from './pair.mjs';

const server = await listen(() => {
  const own = handler({ ended: () => console.log('server ended') });
  // In half a second the server's side ends it: until then only the links keep the process alive.
  setTimeout(() => own.link.close(1000, ''), 300).unref();
  return own;
});
const own = handler({
  closeFrame: () => console.log('client closed'),
  ended: () => console.log('client ended'),
});
await dial(server.address().port, own);
server.close();
process.on('exit', () => console.log('exit'));
