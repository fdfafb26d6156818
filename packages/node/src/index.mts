/** The package's face for `import`: the names of index.ts, of which there is one copy whoever loads it. */

import vaiven from './index.js';

export type { ClientOptions, DeflateOptions, WebSocketEventMap } from './index.js';
export {
  CloseEvent,
  createWebSocketStream,
  ErrorEvent,
  MessageEvent,
  Sender,
  Server,
  setBaseURL,
  WebSocket,
  WebSocketServer,
} from './index.js';
export default vaiven.default;
