// Node's HTTP/2 in the clear: echoes bodies and trailers, and WebSockets over extended CONNECT (frames by `ws`).
import { createServer } from 'node:http2';
import { createRequire } from 'node:module';

const { WebSocket } = createRequire(import.meta.url)('ws');
const server = createServer({ settings: { enableConnectProtocol: true } });

server.on('stream', (stream, headers) => {
  stream.on('error', () => {});
  if (headers[':method'] === 'CONNECT') {
    if (headers[':protocol'] !== 'websocket') {
      stream.respond({ ':status': 400 }, { endStream: true });
      return;
    }
    stream.respond({ ':status': 200 });
    const socket = new WebSocket(null, undefined, {});
    socket.setSocket(stream, Buffer.alloc(0), {
      maxPayload: 1 << 20,
      skipUTF8Validation: false,
      allowSynchronousEvents: true,
    });
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    return;
  }
  let trailers = {};
  stream.on('trailers', (received) => {
    trailers = { 'x-sum': received['x-sum'] ?? '' };
  });
  stream.respond({ ':status': 200, 'x-protocol': 'node' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  stream.pipe(stream);
});
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('listening'));
