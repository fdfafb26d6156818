// A handler that throws ends the process as any uncaught exception does, with its own stack.

import { dial, handler, listen } from './pair.mjs';

const server = await listen(() =>
  handler({
    message() {
      throw new Error('thrown by a handler');
    },
  }),
);
const link = await dial(server.address().port, handler());
link.sendText('now');
