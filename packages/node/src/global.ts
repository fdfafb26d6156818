/**
 * `import 'vaiven/global'`: `WebSocket` and what belongs to it are globals from then on, like in a browser, where Node has
 * none of its own.
 */

import { addGlobals } from './globals';

addGlobals();
