/**
 * `import 'vaiven/global'`: `WebSocket` is this package's from then on, and the events that belong to it are global
 * where the runtime lacks them, as in a browser.
 */

import { CloseEvent, ErrorEvent } from './events';
import { WebSocket } from './websocket';

function install(name: string, value: unknown): void {
  Object.defineProperty(globalThis, name, { value, configurable: true, enumerable: false, writable: true });
}

install('WebSocket', WebSocket);
if (!('CloseEvent' in globalThis)) install('CloseEvent', CloseEvent);
if (!('ErrorEvent' in globalThis)) install('ErrorEvent', ErrorEvent);
