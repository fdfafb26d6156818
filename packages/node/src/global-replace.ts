/** `import 'vaiven/global/replace'`: the same, and also in the place of those that Node has. */

import { replaceGlobals } from './globals';

replaceGlobals();
