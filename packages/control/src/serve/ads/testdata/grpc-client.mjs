/**
 * A gRPC client of another make, run by Node: what it does is the first argument, the server's address the second.
 * Prints one line of JSON per event.
 */
import { Client, credentials, Metadata } from '@grpc/grpc-js';

const [what, address, token = ''] = process.argv.slice(2);
const path = '/test.Service/Stream';
const raw = (bytes) => bytes;
const client = new Client(address, credentials.createInsecure(), {
  'grpc.keepalive_time_ms': 200,
  'grpc.keepalive_timeout_ms': 1000,
  'grpc.keepalive_permit_without_calls': 1,
  'grpc.max_receive_message_length': -1,
});
const metadata = new Metadata();
if (token !== '') metadata.set('authorization', `Bearer ${token}`);
const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

const method = what === 'unknown-method' ? '/test.Service/Nothing' : path;
const call = client.makeBidiStreamRequest(method, raw, raw, metadata);
call.on('data', (message) => {
  say({ message: message.toString('latin1').slice(0, 40), length: message.length });
  if (what === 'cancel') call.cancel();
});
call.on('status', ({ code, details }) => {
  say({ code, details });
  client.close();
});
call.on('error', () => {});

switch (what) {
  case 'echo':
    call.write(Buffer.from('one'));
    call.write(Buffer.from('two'));
    call.end();
    break;
  case 'idle':
    call.write(Buffer.from('one'));
    setTimeout(() => call.end(), 700);
    break;
  case 'large':
    call.write(Buffer.alloc(300_000, 'x'));
    call.end();
    break;
  case 'oversized':
    call.write(Buffer.alloc(2_000_000, 'x'));
    break;
  default:
    call.write(Buffer.from('one'));
}
