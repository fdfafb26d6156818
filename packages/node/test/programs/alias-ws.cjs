// Loaded before a program: whoever requires `ws` gets this package's face of that name.

const Module = require('node:module');
const { join } = require('node:path');

const resolve = Module._resolveFilename;
const own = join(__dirname, '..', '..', 'dist', 'ws-package.js');
Module._resolveFilename = function (request, ...rest) {
  return request === 'ws' ? own : resolve.call(this, request, ...rest);
};
