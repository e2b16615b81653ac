import { afterEach, expect, test } from 'bun:test';
import { createServer, type Http2Server, type ServerHttp2Stream } from 'node:http2';
import { createServer as createTcpServer, type Server } from 'node:net';
import { FakeClock, TimerWheel } from '@sluice/runtime';
import { turns } from '@sluice/testkit';
import { frameGrpcMessage, GrpcMessageDecoder, GrpcStatus, type GrpcStreamSink } from '@sluice/wire';
import { http2Transport, type Http2Transport } from './grpc-http2.ts';

const servers: (Http2Server | Server)[] = [];
const transports: Http2Transport[] = [];
afterEach(() => {
  for (const transport of transports.splice(0)) transport.close();
  for (const server of servers.splice(0)) server.close();
});

class Sink implements GrpcStreamSink {
  messages: string[] = [];
  status: { code: number; message: string } | null = null;
  #waits: (() => void)[] = [];
  onMessage(message: Uint8Array): void {
    this.messages.push(Buffer.from(message).toString());
    this.#wake();
  }
  onStatus(code: number, message: string): void {
    expect(this.status).toBeNull();
    this.status = { code, message };
    this.#wake();
  }
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((done) => this.#waits.push(done));
  }
  #wake(): void {
    for (const done of this.#waits.splice(0)) done();
  }
}

async function serve(onStream: (stream: ServerHttp2Stream, path: string) => void): Promise<string> {
  const server = createServer();
  server.on('stream', (stream, headers) => onStream(stream as ServerHttp2Stream, String(headers[':path'])));
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return `127.0.0.1:${(server.address() as { port: number }).port}`;
}

function setup(target: string) {
  const clock = new FakeClock();
  const timers = new TimerWheel(clock);
  clock.attach(timers);
  const transport = http2Transport({
    target,
    timers,
    pingIntervalMs: 1000,
    pingTimeoutMs: 500,
    connectTimeoutMs: 2000,
  });
  transports.push(transport);
  return { clock, transport };
}

function echo(stream: ServerHttp2Stream): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'grpc-message': 'all%20said' }));
  const decoder = new GrpcMessageDecoder(
    { onMessage: (message) => void stream.write(frameGrpcMessage(message)), onFramingError: () => {} },
    1 << 20,
  );
  stream.on('data', (data: Buffer) => decoder.execute(data, 0, data.length));
  stream.on('end', () => stream.end());
}

test('messages go both ways and the status comes last', async () => {
  const { transport } = setup(await serve(echo));
  const sink = new Sink();
  const stream = transport.open('/a.B/C', [['x-token', 't']], sink);
  stream.send(Buffer.from('one'));
  await sink.until(() => sink.messages.length === 1);
  stream.send(Buffer.from('two'));
  stream.halfClose();
  await sink.until(() => sink.status !== null);
  expect(sink.messages).toEqual(['one', 'two']);
  expect(sink.status).toEqual({ code: 0, message: 'all said' });
});

test('a trailers-only error is its status', async () => {
  const { transport } = setup(
    await serve((stream) =>
      stream.respond(
        { ':status': 200, 'grpc-status': '12', 'grpc-message': 'no such method' },
        { endStream: true },
      ),
    ),
  );
  const sink = new Sink();
  transport.open('/a.B/C', [], sink);
  await sink.until(() => sink.status !== null);
  expect(sink.status).toEqual({ code: GrpcStatus.unimplemented, message: 'no such method' });
});

test('no server is UNAVAILABLE, and a later stream connects anew', async () => {
  const target = await serve(echo);
  const { transport } = setup('127.0.0.1:1');
  const sink = new Sink();
  transport.open('/a.B/C', [], sink);
  await sink.until(() => sink.status !== null);
  expect(sink.status!.code).toBe(GrpcStatus.unavailable);
  const again = setup(target);
  const second = new Sink();
  again.transport.open('/a.B/C', [], second).halfClose();
  await second.until(() => second.status !== null);
  expect(second.status!.code).toBe(0);
});

test('cancel ends the stream at once, and only once', async () => {
  const { transport } = setup(await serve(echo));
  const sink = new Sink();
  const stream = transport.open('/a.B/C', [], sink);
  stream.cancel();
  expect(sink.status).toEqual({ code: GrpcStatus.cancelled, message: 'cancelled' });
  stream.send(Buffer.from('late'));
  stream.cancel();
});

test('a peer that has gone silent is found by a ping', async () => {
  const server = createTcpServer((socket) => void socket.on('error', () => {}));
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { transport, clock } = setup(`127.0.0.1:${(server.address() as { port: number }).port}`);
  const sink = new Sink();
  transport.open('/a.B/C', [], sink);
  while (sink.status === null) {
    clock.advance(100);
    await turns();
  }
  expect(sink.status.code).toBe(GrpcStatus.unavailable);
});
