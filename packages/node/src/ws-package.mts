/** `vaiven/ws` for `import`: the names of ws-package.ts, of which there is one copy whoever loads it. */

import ws from './ws-package.js';

export { createWebSocketStream, Sender, Server, WebSocket, WebSocketServer } from './ws-package.js';
export default ws.default;
