// Socket.IO over WebSockets alone: acknowledgements, binary, a broadcast, whose frame is made once for all.

const { createServer } = require('node:http');
const { Server } = require('socket.io');
const { io } = require('socket.io-client');

const http = createServer();
const server = new Server(http);
server.on('connection', (socket) => {
  socket.on('join', (room, done) => done(socket.join(room)));
  socket.on('echo', (data, done) => done(data));
});

http.listen(0, async () => {
  const url = `http://localhost:${http.address().port}`;
  const sockets = ['a', 'b'].map((name) =>
    io(url, { transports: ['websocket'], forceNew: true, auth: { name } }),
  );
  for (const socket of sockets) await socket.emitWithAck('join', 'room');
  console.log(String(await sockets[0].emitWithAck('echo', Buffer.from('bytes'))));
  const heard = sockets.map((socket) => new Promise((resolve) => socket.on('news', resolve)));
  server.to('room').emit('news', 'hola');
  console.log((await Promise.all(heard)).join());
  for (const socket of sockets) socket.disconnect();
  await server.close();
  console.log('closed');
});
