/** The package's face for `import`: the names of index.ts, of which there is one copy whoever loads it. */

import vaiven from './index.js';

export type {
  Attempt,
  ClientOptions,
  CloseReport,
  DeflateOptions,
  EndCause,
  PerAttempt,
  ReconnectingOptions,
  ReconnectingWebSocketEventMap,
  SendResult,
  WebSocketCloseInfo,
  WebSocketEventMap,
  WebSocketOpenInfo,
  WebSocketStreamOptions,
} from './index.js';
export {
  CloseEvent,
  createWebSocketStream,
  ErrorEvent,
  MessageEvent,
  ReconnectingEvent,
  ReconnectingWebSocket,
  ReopenEvent,
  Sender,
  Server,
  setBaseURL,
  WebSocket,
  WebSocketError,
  WebSocketServer,
  WebSocketStream,
} from './index.js';
export default vaiven.default;
