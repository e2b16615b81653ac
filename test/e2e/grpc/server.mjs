/**
 * A gRPC server (grpc-js, on Node) for tests: `node server.mjs NAME [PORT]`. Messages are plain octets.
 * Prints `listening PORT`, then a line of JSON for each call that was cancelled.
 */
import { Server, ServerCredentials, Metadata, status } from '@grpc/grpc-js';

const [name = 'server', port = process.env['PORT'] ?? '0'] = process.argv.slice(2);
const octets = (value) => value;
const method = (path, requestStream, responseStream) => ({
  path: `/e2e.Echo/${path}`,
  requestStream,
  responseStream,
  requestSerialize: octets,
  requestDeserialize: octets,
  responseSerialize: octets,
  responseDeserialize: octets,
});

const service = {
  Unary: method('Unary', false, false),
  Collect: method('Collect', true, false),
  Stream: method('Stream', false, true),
  Chat: method('Chat', true, true),
  Hold: method('Hold', false, true),
  Fail: method('Fail', false, false),
  FailLate: method('FailLate', false, true),
  Meta: method('Meta', false, false),
};

function signed() {
  const trailer = new Metadata();
  trailer.set('x-server', name);
  return trailer;
}

const tell = (fields) => process.stdout.write(`${JSON.stringify(fields)}\n`);

const handlers = {
  Unary: (call, reply) => reply(null, call.request, signed()),
  Collect(call, reply) {
    let messages = 0;
    let bytes = 0;
    call.on('data', (data) => {
      messages++;
      bytes += data.length;
    });
    call.on('end', () => reply(null, Buffer.from(JSON.stringify({ messages, bytes })), signed()));
  },
  /** The request: `{count, size}`. */
  Stream(call) {
    const { count, size } = JSON.parse(call.request);
    const message = Buffer.alloc(size, 'x');
    let sent = 0;
    const more = () => {
      while (sent < count) {
        sent++;
        if (!call.write(message)) return;
      }
      call.end(signed());
    };
    call.on('drain', more);
    more();
  },
  Chat(call) {
    call.on('data', (data) => call.write(data));
    call.on('end', () => call.end(signed()));
  },
  /** Answers one message, then nothing until it is cancelled. */
  Hold(call) {
    call.on('cancelled', () => tell({ cancelled: call.request.toString() }));
    call.write(Buffer.from(JSON.stringify({ deadline: call.getDeadline() })));
  },
  Fail: (call, reply) => reply({ code: Number(call.request), details: 'nö: 100%', metadata: signed() }),
  FailLate(call) {
    for (const each of ['1', '2', '3']) call.write(Buffer.from(each));
    call.emit('error', { code: status.ABORTED, details: 'enough' });
  },
  Meta(call, reply) {
    const initial = new Metadata();
    const trailer = signed();
    for (const [key, values] of Object.entries(call.metadata.toJSON())) {
      if (!key.startsWith('x-e2e')) continue;
      for (const value of call.metadata.get(key)) {
        initial.add(key, value);
        trailer.add(key, value);
      }
      if (values.length === 0) tell({ empty: key });
    }
    call.sendMetadata(initial);
    reply(null, Buffer.alloc(0), trailer);
  },
};

const server = new Server({
  'grpc.max_receive_message_length': -1,
  'grpc.max_send_message_length': -1,
  ...JSON.parse(process.env['GRPC_SERVER_OPTIONS'] ?? '{}'),
});
server.addService(service, handlers);
// grpc.health.v1: SERVING, after so many milliseconds.
const healthyAt = performance.now() + Number(process.env['HEALTHY_AFTER_MS'] ?? 0);
server.addService(
  { Check: { ...method('', false, false), path: '/grpc.health.v1.Health/Check' } },
  { Check: (_call, reply) => reply(null, Buffer.of(8, performance.now() < healthyAt ? 2 : 1)) },
);
server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, bound) => {
  if (error) throw error;
  process.stdout.write(`listening ${bound}\n`);
});
