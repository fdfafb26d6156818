/**
 * `vaiven/ws`: the package's face for programs that were written for npm `ws`, in which `WebSocket` is the socket of `ws`
 * under every name that `ws` has for it. In the package itself that name is the class of the standard.
 */

import { createWebSocketStream } from './duplex';
import { Sender } from './sender';
import { WebSocketServer as AnyServer } from './server';
import type { ServerOptions } from './server-options';
import { WsWebSocket } from './ws';

class WebSocket extends WsWebSocket {}

/** A server whose sockets are of this face's class. */
class WebSocketServer extends AnyServer {
  constructor(options: ServerOptions, listening?: () => void) {
    super({ WebSocket, ...options }, listening);
  }
}

export {
  createWebSocketStream,
  Sender,
  WebSocket,
  WebSocket as default,
  WebSocketServer,
  WebSocketServer as Server,
};

module.exports = Object.assign(WebSocket, exports);
