/**
 * `import 'vaiven/global'`: `WebSocket` and the events that belong to it are this package's from then on, as globals like
 * in a browser.
 */

import { CloseEvent, ErrorEvent } from './events';
import { MessageEvent } from './message-event';
import { WebSocket } from './websocket';
import { WebSocketError } from './websocket-error';
import { WebSocketStream } from './websocket-stream';

for (const value of [WebSocket, WebSocketStream, WebSocketError, CloseEvent, ErrorEvent, MessageEvent]) {
  Object.defineProperty(globalThis, value.name, {
    value,
    configurable: true,
    enumerable: false,
    writable: true,
  });
}
