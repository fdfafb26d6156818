// Connects to a room, greets it, and logs what the room says: each message comes back to its sender too.
const socket = new WebSocket('ws://127.0.0.1:8080/c/sala');

socket.onopen = () => {
  console.log('connected');
  socket.send('Good morning, room!');
};

socket.onmessage = (event) => {
  console.log('received:', event.data);
};

socket.onerror = (error) => {
  console.error('could not connect:', error);
};

socket.onclose = (event) => {
  console.log('closed:', event.code, event.reason);
};
