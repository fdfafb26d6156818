/** The globals that a browser has for WebSockets. */

import { CloseEvent, ErrorEvent } from './events';
import { MessageEvent } from './message-event';
import { WebSocket } from './websocket';
import { WebSocketError } from './websocket-error';
import { WebSocketStream } from './websocket-stream';

const GLOBALS = [WebSocket, WebSocketStream, WebSocketError, CloseEvent, ErrorEvent, MessageEvent];

/** Makes them this package's. */
export function replaceGlobals(): void {
  for (const value of GLOBALS) install(value);
}

/** Makes those this package's that are missing. The events come with the class that fires them. */
export function addGlobals(): void {
  if (!('WebSocket' in globalThis)) replaceGlobals();
  for (const value of GLOBALS) {
    if (!(value.name in globalThis)) install(value);
  }
}

function install(value: { readonly name: string }): void {
  const attributes = { configurable: true, enumerable: false, writable: true };
  Object.defineProperty(globalThis, value.name, { value, ...attributes });
}
