// A WebSocket by `ws` over HTTP/1.1: sends messages, prints what comes back.
import { createRequire } from 'node:module';

const { WebSocket } = createRequire(import.meta.url)('ws');
const [port, host, ...messages] = process.argv.slice(2);
const socket = new WebSocket(`ws://127.0.0.1:${port}/chat`, { headers: { host } });
let waits = messages.length;
socket.on('open', () => {
  for (const message of messages) socket.send(message);
});
socket.on('message', (data) => {
  console.log('message', data.toString());
  if (--waits === 0) socket.close(1000);
});
socket.on('close', (code) => console.log('closed', code));
socket.on('error', (error) => {
  console.log('failed', error.message);
  process.exit(1);
});
