// Takes binary messages as ArrayBuffer; without the assignment of binaryType they would be Blobs.
const socket = new WebSocket('ws://127.0.0.1:8080/c/sala');

socket.binaryType = 'arraybuffer';

socket.onmessage = (event) => {
  const buffer = event.data;
  console.log('bytes received:', buffer);
};
