// Uploads MEGABYTES over HTTP/2 by Node and prints the SHA-256 of what comes back beside that of what went out.
import { createHash } from 'node:crypto';
import { connect } from 'node:http2';

const [port, host, megabytes] = process.argv.slice(2);
const session = connect(`http://127.0.0.1:${port}`);
const stream = session.request({ ':method': 'POST', ':path': '/echo', ':authority': host });
const sent = createHash('sha256');
const received = createHash('sha256');
let left = Number(megabytes) * 16;

stream.on('response', (headers) => console.log('status', headers[':status']));
stream.on('data', (chunk) => received.update(chunk));
stream.on('end', () => {
  console.log(sent.digest('hex') === received.digest('hex') ? 'same' : 'different');
  session.close();
});
stream.on('error', (error) => {
  console.log('failed', error.message);
  process.exit(1);
});

function send() {
  while (left > 0) {
    left--;
    const chunk = Buffer.alloc(65_536, left & 255);
    sent.update(chunk);
    if (!stream.write(chunk)) {
      stream.once('drain', send);
      return;
    }
  }
  stream.end();
}
send();
