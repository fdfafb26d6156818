// The opening handshake as the classes ask for it; the rules themselves are tested in vaiven-proto.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptDeflate, checkOrigin, checkResponse, checkUpgrade, offerDeflate } from '../dist/handshake.js';

const SERVER = {
  serverNoContextTakeover: true,
  clientNoContextTakeover: true,
  serverMaxWindowBits: 12,
  clientMaxWindowBits: 12,
  level: 1,
  threshold: 1024,
};
const CLIENT = {
  serverNoContextTakeover: false,
  clientNoContextTakeover: false,
  serverMaxWindowBits: 15,
  clientMaxWindowBits: 15,
  level: 1,
  threshold: 1024,
};
const REQUEST = {
  Host: 'example.com',
  Upgrade: 'websocket',
  Connection: 'Upgrade',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
  'Sec-WebSocket-Version': '13',
};
const RESPONSE = {
  Upgrade: 'websocket',
  Connection: 'Upgrade',
  'Sec-WebSocket-Accept': 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
};
const NONCE = Buffer.from('the sample nonce');

const raw = (fields) => Object.entries(fields).flat();

test('a right request gives what it offers', () => {
  const request = {
    ...REQUEST,
    Origin: 'https://example.com',
    'Sec-WebSocket-Protocol': 'chat, superchat',
    'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits',
  };
  assert.deepEqual(checkUpgrade('GET', '1.1', raw(request)), {
    accept: 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
    host: 'example.com',
    origin: 'https://example.com',
    subprotocols: ['chat', 'superchat'],
    extensions: 'permessage-deflate; client_max_window_bits',
  });
  const least = checkUpgrade('GET', '1.1', raw(REQUEST));
  assert.deepEqual([least.origin, least.subprotocols, least.extensions], [null, [], null]);
});

test('a wrong request gives the refusal that it gets', () => {
  for (const [method, version, change, status] of [
    ['POST', '1.1', {}, 405],
    ['GET', '1.0', {}, 400],
    ['GET', '1.1', { Upgrade: 'h2c' }, 426],
    ['GET', '1.1', { 'Sec-WebSocket-Version': '8' }, 426],
    ['GET', '1.1', { 'Sec-WebSocket-Key': 'short' }, 400],
    ['GET', '1.1', { 'Sec-WebSocket-Protocol': 'a,,b' }, 400],
    ['GET', '1.1', { 'Sec-WebSocket-Extensions': ';' }, 400],
  ]) {
    const { refusal } = checkUpgrade(method, version, raw({ ...REQUEST, ...change }));
    assert.equal(refusal?.status, status, JSON.stringify(change));
    assert.ok(refusal.message.length > 20 && refusal.code.length > 2);
    assert.ok(refusal.headers.includes('Connection'));
  }
});

test('every byte in a header value is judged and none crashes', () => {
  for (let byte = 0; byte < 256; byte++) {
    const request = { ...REQUEST, 'Sec-WebSocket-Protocol': `a${String.fromCharCode(byte)}` };
    try {
      const { refusal } = checkUpgrade('GET', '1.1', raw(request));
      assert.ok(refusal === undefined || refusal.status === 400, `byte ${byte}`);
    } catch (error) {
      assert.match(error.message, /line break or a NUL/, `byte ${byte}`);
    }
  }
});

test('an origin is judged by the list', () => {
  const check = (allowed, origin) => checkOrigin(allowed, origin, 'example.com', true)?.status ?? 101;
  assert.equal(check(['same-origin'], 'https://example.com'), 101);
  assert.equal(check(['same-origin'], 'http://example.com'), 403);
  assert.equal(check(['https://app.example'], 'https://app.example'), 101);
  assert.equal(check(['https://app.example'], 'https://example.com'), 403);
  assert.equal(check(['same-origin'], null), 403);
  assert.equal(check(['same-origin', 'absent'], null), 101);
  assert.equal(check(['*'], 'null'), 101);
  assert.equal(check([], 'null'), 403);
  assert.throws(() => check(['not an origin'], null));
});

test('both sides come to the same agreement on compression', () => {
  assert.equal(offerDeflate(CLIENT), 'permessage-deflate; client_max_window_bits');
  const { agreed, answer } = acceptDeflate(SERVER, offerDeflate(CLIENT));
  assert.deepEqual(agreed, { ...SERVER });
  const response = { ...RESPONSE, 'Sec-WebSocket-Extensions': answer };
  const agreement = checkResponse(NONCE, [], CLIENT, raw(response));
  assert.deepEqual(agreement.deflate, { ...SERVER });
  assert.equal(agreement.extensions, answer);
  assert.equal(acceptDeflate(SERVER, 'x-unknown'), null);
});

test('a right response gives what was agreed', () => {
  const response = { ...RESPONSE, 'Sec-WebSocket-Protocol': 'chat' };
  assert.deepEqual(checkResponse(NONCE, ['news', 'chat'], null, raw(response)), {
    subprotocol: 'chat',
    extensions: '',
    deflate: null,
  });
});

test('a wrong response gives the rule that it breaks', () => {
  for (const [change, name] of [
    [{ Upgrade: 'h2c' }, 'Upgrade'],
    [{ Connection: 'close' }, 'Connection'],
    [{ 'Sec-WebSocket-Accept': 'wrong' }, 'WrongAccept'],
    [{ 'Sec-WebSocket-Protocol': 'other' }, 'UnofferedSubprotocol'],
    [{ 'Sec-WebSocket-Extensions': 'x-other' }, 'UnofferedExtension'],
    [{ 'Sec-WebSocket-Extensions': ';' }, 'MalformedExtensions'],
    [{ 'Sec-WebSocket-Extensions': 'permessage-deflate; server_max_window_bits=16' }, 'InvalidExtension'],
    [{ 'Sec-WebSocket-Extensions': 'permessage-deflate, permessage-deflate' }, 'RepeatedExtension'],
  ]) {
    const { error } = checkResponse(NONCE, ['chat'], CLIENT, raw({ ...RESPONSE, ...change }));
    assert.equal(error?.name, name, JSON.stringify(change));
    assert.ok(error.message.length > 10);
  }
  const { 'Sec-WebSocket-Accept': _, ...without } = RESPONSE;
  assert.equal(checkResponse(NONCE, [], null, raw(without)).error.name, 'MissingAccept');
});
