// What the official server is in each mode: the same as the example `conformance` of vaiven-socketio.

import { Server as Engine } from 'engine.io';
import { Server } from 'socket.io';
import * as msgpack from 'socket.io-msgpack-parser';
import { RECOVERABLE_MS, suite } from './suite.js';

const seconds = (count) => count * 1000;

/** Engine.IO alone: every message comes back. */
function eio(http) {
  const engine = new Engine({ pingInterval: 300, pingTimeout: 200, maxHttpBufferSize: 1e6 });
  engine.attach(http, { path: '/engine.io/' });
  engine.on('connection', (socket) => socket.on('message', (data) => socket.send(data)));
}

/** What the client's own tests of Engine.IO ask of a server. */
function eioclient(http) {
  const allowRequest = (request, done) => {
    done(null, !new URL(request.url, 'http://localhost').searchParams.has('deny'));
  };
  const engine = new Engine({ pingInterval: 500, maxHttpBufferSize: 100, allowRequest });
  engine.attach(http, { path: '/engine.io/' });
  engine.on('initial_headers', (headers) => {
    headers['set-cookie'] = [
      '1=1; Max-Age=86400',
      '2=2; Path=/; HttpOnly; Secure; SameSite=Strict',
      '3=3; Max-Age=0',
      `4=4; Expires=${new Date().toUTCString()}`,
    ];
  });
  const answers = new Map([
    ['give binary', () => Int8Array.of(0, 1, 2, 3, 4)],
    ['give utf8', () => 'пойду спать всем спокойной ночи'],
    ['sendHeaders', (socket) => JSON.stringify(socket.transport.dataReq?.headers)],
  ]);
  engine.on('connection', (socket) => {
    socket.send('hi');
    socket.on('message', (data) => socket.send(answers.get(data)?.(socket) ?? data));
  });
}

/** What the published tests of the protocol ask of a server. */
function sio(http) {
  const io = new Server(http, { pingInterval: 300, pingTimeout: 200, connectTimeout: seconds(1) });
  const onConnection = (socket) => {
    socket.emit('auth', socket.handshake.auth);
    socket.on('message', (...values) => socket.emit('message-back', ...values));
    socket.on('message-with-ack', (...values) => {
      const ack = values.pop();
      ack(...values);
    });
    socket.on('emit-with-ack', (...values) => {
      socket.emit('emit-with-ack', ...values, (...answer) => socket.emit('emit-with-ack', ...answer));
    });
  };
  for (const namespace of ['/', '/custom']) io.of(namespace).on('connection', onConnection);
}

const UTF8 = ['てすと', 'Я Б Г Д Ж Й', 'Ä ä Ü ü ß', 'utf8 — string', 'utf8 — string'];
const BYTES = Buffer.from('asdfasdf');

/** What the client's own tests of Socket.IO ask of a server. */
function client(http) {
  const allowRequest = (_request, done) => void setTimeout(done, 10, null, true);
  const io = new Server(http, { pingInterval: seconds(2), connectionStateRecovery: {}, allowRequest });
  for (const name of ['/asd', '/valid', '/timeout_socket']) io.of(name);
  io.of('/no').use((_socket, next) => next(new Error('Auth failed (custom namespace)')));
  io.of('/foo').on('connection', (socket) => socket.on('getId', (ack) => ack(socket.id)));
  io.of('/abc').on('connection', (socket) => socket.emit('handshake', socket.handshake));
  io.on('connection', (socket) => {
    let hasFirst = false;
    const handlers = {
      hi: () => socket.emit('hi'),
      echo: (value, ack) => ack(value),
      ack: () => socket.emit('ack', (a, b) => { if (a === 5 && b.test === true) socket.emit('got it'); }),
      getAckDate: (_value, ack) => ack(new Date()),
      getDate: () => socket.emit('takeDate', new Date()),
      getDateObj: () => socket.emit('takeDateObj', { date: new Date() }),
      getUtf8: () => { for (const text of UTF8) socket.emit('takeUtf8', text); },
      false: () => socket.emit('false', false),
      doge: () => socket.emit('doge', BYTES),
      getbin: () => socket.emit('takebin', BYTES),
      buffa: (bytes) => { if (Buffer.isBuffer(bytes)) socket.emit('buffack'); },
      jsonbuff: ({ hello, message, goodbye }) => {
        if (hello === 'lol' && Buffer.isBuffer(message) && goodbye === 'gotcha') socket.emit('jsonbuff-ack');
      },
      abuff1: (bytes) => { hasFirst = Buffer.isBuffer(bytes); },
      abuff2: () => { if (hasFirst) socket.emit('abuff2-ack'); },
      getHandshake: (ack) => ack(socket.handshake),
      getId: (ack) => ack(socket.id),
    };
    for (const [event, handler] of Object.entries(handlers)) socket.on(event, handler);
  });
}

/** What `vaiven verify --protocol socketio` talks to: a namespace is a channel, and who emits a message publishes it. */
function channels(http) {
  const io = new Server(http, { connectionStateRecovery: {} });
  const channel = io.of(/^\/c\/.+$/);
  channel.on('connection', (socket) => {
    socket.on('message', (data, ack) => {
      socket.nsp.emit('message', data);
      ack();
    });
  });
}

/** What the benchmarks measure. */
function perf(http) {
  const io = new Server(http);
  io.on('connection', (socket) => {
    socket.on('join', (room, ack) => {
      socket.join(room);
      ack('ok');
    });
    socket.on('pub', (room, text) => io.to(room).emit('msg', text));
  });
}

export const MODES = new Map([
  ['eio', eio],
  ['eioclient', eioclient],
  ['sio', sio],
  ['client', client],
  ['perf', perf],
  ['channels', channels],
  ['suite', (http) => suite(http, {})],
  ['suite-recovery', (http) => suite(http, { connectionStateRecovery: { maxDisconnectionDuration: RECOVERABLE_MS } })],
  ['suite-msgpack', (http) => suite(http, { parser: msgpack })],
]);
