/**
 * `import 'vaiven/global'`: `WebSocket` is this package's from then on, and the events that belong to it are global
 * where the runtime lacks them, as in a browser.
 */

import { CloseEvent, ErrorEvent } from './events';
import { WebSocket } from './websocket';
import { WebSocketError } from './websocket-error';
import { WebSocketStream } from './websocket-stream';

function install(name: string, value: unknown): void {
  Object.defineProperty(globalThis, name, { value, configurable: true, enumerable: false, writable: true });
}

install('WebSocket', WebSocket);
for (const [name, value] of Object.entries({ CloseEvent, ErrorEvent, WebSocketError, WebSocketStream })) {
  if (!(name in globalThis)) install(name, value);
}
