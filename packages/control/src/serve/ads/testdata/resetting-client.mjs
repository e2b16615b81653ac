/** Opens stream after stream and resets each, by Node's HTTP/2: how a rapid reset looks. Says how the session ended. */
import { connect } from 'node:http2';

const [address, path] = process.argv.slice(2);
const session = connect(`http://${address}`);
let opened = 0;
session.on('error', () => {});
session.on('goaway', (code) => process.stdout.write(`${JSON.stringify({ goaway: code, opened })}\n`));
session.on('close', () => process.exit(0));

function next() {
  if (session.destroyed || session.closed || opened === 100) return;
  opened += 1;
  const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc' });
  stream.on('error', () => {});
  stream.on('data', () => stream.close(8));
  stream.on('close', () => setImmediate(next));
  stream.write(Buffer.from([0, 0, 0, 0, 1, 120]));
}
next();
