// A WebSocket over one stream of an HTTP/2 connection (RFC 8441): sends messages, prints what comes back.
import { connect } from 'node:http2';
import { createRequire } from 'node:module';

const { WebSocket } = createRequire(import.meta.url)('ws');
const [port, host, ...messages] = process.argv.slice(2);
const session = connect(`http://127.0.0.1:${port}`);

session.on('remoteSettings', (settings) => {
  if (!settings.enableConnectProtocol) {
    console.log('not offered');
    process.exit(1);
  }
  const stream = session.request({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':scheme': 'http',
    ':path': '/chat',
    ':authority': host,
    'sec-websocket-version': '13',
  });
  stream.on('response', (headers) => {
    console.log('status', headers[':status']);
    const socket = new WebSocket(null, undefined, {});
    socket._isServer = false;
    socket.setSocket(stream, Buffer.alloc(0), {
      maxPayload: 1 << 20,
      skipUTF8Validation: false,
      allowSynchronousEvents: true,
    });
    let waits = messages.length;
    socket.on('message', (data) => {
      console.log('message', data.toString());
      if (--waits === 0) socket.close(1000);
    });
    // `ws` expects a socket that tells more than a stream of HTTP/2 does: the code of its close means nothing.
    socket.on('close', () => session.close());
    for (const message of messages) socket.send(message);
  });
});
