/**
 * The package's face for `require`. `require('vaiven')` itself is the socket as npm `ws` has it, callable as
 * `require('ws')` is; the names hang on it.
 */

import { createWebSocketStream } from './duplex';
import { Sender } from './sender';
import { WebSocketServer } from './server';
import { WsWebSocket } from './ws';

export { CloseEvent, ErrorEvent } from './events';
export { MessageEvent } from './message-event';
export type { ClientOptions, DeflateOptions } from './options';
export { ReconnectingEvent, ReopenEvent } from './reconnecting-events';
export type { Attempt, PerAttempt, ReconnectingOptions } from './reconnecting-options';
export {
  ReconnectingWebSocket,
  type ReconnectingWebSocketEventMap,
  type SendResult,
} from './reconnecting-websocket';
export type { EndCause } from './reconnection';
export type { ServerOptions } from './server-options';
export type { CloseReport, WebSocketOpenInfo } from './stream-connection';
export { setBaseURL } from './url';
export { WebSocket, type WebSocketEventMap } from './websocket';
export { type WebSocketCloseInfo, WebSocketError } from './websocket-error';
export { WebSocketStream, type WebSocketStreamOptions } from './websocket-stream';
export { createWebSocketStream, Sender, WebSocketServer, WebSocketServer as Server, WsWebSocket as default };

module.exports = Object.assign(WsWebSocket, exports);
