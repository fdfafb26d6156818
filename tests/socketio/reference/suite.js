// What the tests in this folder ask of a server beyond the other modes: one whose heartbeat is fast, and
// whose handlers do what a test tells them.

import { Server } from 'socket.io';

/** How long a session can be recovered, in the mode that has it on. */
export const RECOVERABLE_MS = 1_500;
/** How long the server waits for acknowledgements. */
const ACK_TIMEOUT_MS = 200;

export function suite(http, options) {
  const io = new Server(http, {
    pingInterval: 400,
    pingTimeout: 400,
    maxHttpBufferSize: 100_000,
    ...options,
  });
  const onConnection = (socket) => {
    greet(socket);
    talk(socket);
    rooms(socket);
  };
  for (const namespace of ['/', '/other', /^\/dynamic-\d+$/]) io.of(namespace).on('connection', onConnection);
  io.of('/guarded').use(guard).on('connection', onConnection);
  io.of('/silent');
}

/** Lets in who has the word, at once or, with `slow`, after a while. */
function guard(socket, next) {
  const { token } = socket.handshake.auth;
  if (token === 'sesame') return next();
  if (token === 'slow') return void setTimeout(next, 200);
  const error = new Error('not allowed');
  error.data = { code: 'wrong-token', token: token ?? null };
  next(error);
}

/** As many events as the client asks for, right after the CONNECT packet; and what the handshake was. */
function greet(socket) {
  for (let number = 1; number <= (socket.handshake.auth.welcomes ?? 0); number += 1) socket.emit('welcome', number);
  socket.on('whoami', (ack) => {
    const { auth, query } = socket.handshake;
    ack({ id: socket.id, namespace: socket.nsp.name, rooms: [...socket.rooms], data: socket.data, auth, query });
  });
  socket.on('remember', (data, ack) => {
    socket.data = { remembered: data };
    ack();
  });
}

/** Events, acknowledgements and ends. */
function talk(socket) {
  socket.on('echo', (...values) => {
    const ack = values.pop();
    ack(...values);
  });
  socket.on('say', (event, ...values) => socket.emit(event, ...values));
  socket.on('say-volatile', (event, ...values) => socket.volatile.emit(event, ...values));
  socket.on('ask', (event, ...values) => {
    socket.timeout(ACK_TIMEOUT_MS).emit(event, ...values, (error, ...answers) => {
      if (error) socket.emit('unanswered', event);
      else socket.emit('answered', ...answers);
    });
  });
  // Answers nothing, whether asked or not.
  socket.on('silence', () => {});
  socket.on('leave-me', (closes) => socket.disconnect(closes));
  socket.on('disconnect', (reason) => socket.nsp.to('watchers').emit('left', socket.id, reason));
}

/** Rooms of the namespace. */
function rooms(socket) {
  socket.on('join', (room, ack) => {
    socket.join(room);
    ack();
  });
  socket.on('leave', (room, ack) => {
    socket.leave(room);
    ack();
  });
  socket.on('to', (room, event, ...values) => socket.to(room).emit(event, ...values));
  socket.on('to-volatile', (room, event, ...values) => socket.to(room).volatile.emit(event, ...values));
  socket.on('in', (room, event, ...values) => socket.nsp.in(room).emit(event, ...values));
  socket.on('except', (room, event, ...values) => socket.nsp.except(room).emit(event, ...values));
  socket.on('broadcast', (event, ...values) => socket.broadcast.emit(event, ...values));
  socket.on('all', (event, ...values) => socket.nsp.emit(event, ...values));
  socket.on('poll-room', (room, event, ack) => {
    socket.nsp.in(room).timeout(ACK_TIMEOUT_MS).emit(event, (error, answers) => ack({ late: Boolean(error), answers }));
  });
  socket.on('kick-room', (room) => socket.nsp.in(room).disconnectSockets());
}
