/** gRPC-Web clients (fetch over HTTP/1, curl over HTTP/2) through the proxy to a real gRPC server. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test';
import { cleanUp } from '@sluice/testkit';
import { runGrpcClient, startGrpcProxy, startGrpcServer } from './grpc-fixture.ts';

setDefaultTimeout(60_000);
afterAll(cleanUp, 60_000);

const types = 'type.googleapis.com/envoy.extensions.filters.http';
const grpcWeb = {
  name: 'envoy.filters.http.grpc_web',
  typed_config: { '@type': `${types}.grpc_web.v3.GrpcWeb` },
};

let port = 0;
beforeAll(async () => {
  const server = await startGrpcServer('web');
  port = (await startGrpcProxy([server.port], { filters: [grpcWeb] })).port;
});

function frame(data: string | Uint8Array): Buffer {
  const message = Buffer.from(data as string);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

interface WebReply {
  readonly messages: Buffer[];
  /** Of the last frame; empty when the status was in the head. */
  readonly trailers: Readonly<Record<string, string>>;
}

function parse(body: Buffer): WebReply {
  const messages: Buffer[] = [];
  let trailers: Record<string, string> = {};
  for (let at = 0; at < body.length;) {
    const length = body.readUInt32BE(at + 1);
    const content = body.subarray(at + 5, at + 5 + length);
    if (content.length !== length) throw new Error('a frame was cut off');
    if (body[at] === 0x80) {
      const lines = content.toString().split('\r\n').filter(Boolean);
      trailers = Object.fromEntries(lines.map((line) => line.split(/:(.*)/).slice(0, 2)));
    } else messages.push(content);
    at += 5 + length;
  }
  return { messages, trailers };
}

/** Base64 whose groups may be padded anywhere. */
const fromText = (text: string): Buffer =>
  Buffer.concat((text.match(/[A-Za-z0-9+/]+={0,2}/g) ?? []).map((group) => Buffer.from(group, 'base64')));

async function call(method: string, body: Buffer, format: 'binary' | 'text', chunks = 1) {
  const type = format === 'text' ? 'application/grpc-web-text' : 'application/grpc-web+proto';
  const sent = format === 'text' ? Buffer.from(body.toString('base64')) : body;
  const size = Math.ceil(sent.length / chunks);
  const pieces = Array.from({ length: chunks }, (_, i) => sent.subarray(i * size, (i + 1) * size));
  const stream = new ReadableStream({
    async pull(controller) {
      const piece = pieces.shift();
      if (piece === undefined) controller.close();
      else controller.enqueue(piece);
      // The next piece in a turn of its own.
      await new Promise((done) => setImmediate(done));
    },
  });
  const response = await fetch(`http://127.0.0.1:${port}/e2e.Echo/${method}`, {
    method: 'POST',
    headers: { 'content-type': type, accept: type, 'x-grpc-web': '1' },
    body: chunks === 1 ? sent : stream,
  });
  const received = Buffer.from(await response.arrayBuffer());
  return { response, ...parse(format === 'text' ? fromText(received.toString('latin1')) : received) };
}

for (const format of ['binary', 'text'] as const) {
  describe(format, () => {
    test('a unary call', async () => {
      const { response, messages, trailers } = await call('Unary', frame('hello'), format);
      expect(response.status).toBe(200);
      expect(response.headers.get('content-type')).toBe(
        format === 'text' ? 'application/grpc-web-text+proto' : 'application/grpc-web+proto',
      );
      expect(messages.map(String)).toEqual(['hello']);
      expect(trailers).toMatchObject({ 'grpc-status': '0', 'x-server': 'web' });
    });

    test('a body that comes in pieces of any size', async () => {
      for (const chunks of [2, 3, 7, 13]) {
        const { messages, trailers } = await call('Unary', frame('in pieces'), format, chunks);
        expect([messages.map(String), trailers['grpc-status']]).toEqual([['in pieces'], '0']);
      }
    });

    test('a stream of a thousand responses', async () => {
      const request = frame(JSON.stringify({ count: 1000, size: 1001 }));
      const { messages, trailers } = await call('Stream', request, format);
      expect(messages.length).toBe(1000);
      expect(messages.every((message) => message.length === 1001)).toBe(true);
      expect(trailers['grpc-status']).toBe('0');
    });

    test('a message of 5 MB', async () => {
      const message = Buffer.alloc(5_000_000, 'abcdefg');
      const { messages } = await call('Unary', frame(message), format);
      expect(message.equals(messages[0]!)).toBe(true);
    });

    test('an error keeps status and message', async () => {
      const { response, trailers } = await call('Fail', frame('5'), format);
      const status = response.headers.get('grpc-status') ?? trailers['grpc-status'];
      const words = response.headers.get('grpc-message') ?? trailers['grpc-message'];
      expect([status, decodeURIComponent(words ?? '')]).toEqual(['5', 'nö: 100%']);
    });

    test('an error after messages', async () => {
      const { messages, trailers } = await call('FailLate', frame(''), format);
      expect(messages.map(String)).toEqual(['1', '2', '3']);
      expect(trailers).toMatchObject({ 'grpc-status': '10', 'grpc-message': 'enough' });
    });
  });
}

test('messages of a stream arrive as they are sent', async () => {
  const response = await fetch(`http://127.0.0.1:${port}/e2e.Echo/Hold`, {
    method: 'POST',
    headers: { 'content-type': 'application/grpc-web-text', accept: 'application/grpc-web-text' },
    body: frame('first only').toString('base64'),
  });
  const reader = response.body!.getReader();
  let text = '';
  while (!text.includes('=')) text += Buffer.from((await reader.read()).value!).toString('latin1');
  const [message] = parse(fromText(text)).messages;
  expect(JSON.parse(message!.toString())).toHaveProperty('deadline');
  await reader.cancel();
});

test.skipIf(Bun.which('curl') === null)('over HTTP/2 as well', async () => {
  const curl = Bun.spawn(
    [
      'curl',
      '--silent',
      '--http2-prior-knowledge',
      '--header',
      'content-type: application/grpc-web',
      '--data-binary',
      '@-',
      `http://127.0.0.1:${port}/e2e.Echo/Unary`,
    ],
    { stdin: frame('over two'), stdout: 'pipe' },
  );
  const { messages, trailers } = parse(Buffer.from(await new Response(curl.stdout).arrayBuffer()));
  expect([messages.map(String), trailers['grpc-status']]).toEqual([['over two'], '0']);
});

test('text that is no base64 is refused, and the connection serves on', async () => {
  const response = await fetch(`http://127.0.0.1:${port}/e2e.Echo/Unary`, {
    method: 'POST',
    headers: { 'content-type': 'application/grpc-web-text' },
    body: 'AA!A',
  });
  expect([response.status, response.headers.get('grpc-status')]).toEqual([400, '13']);
  expect((await call('Unary', frame('on'), 'text')).messages.map(String)).toEqual(['on']);
});

test('a plain gRPC client is served by the same listener', async () => {
  expect(await runGrpcClient(port, 'unary', { count: 10 })).toEqual({ count: 10, wrong: 0 });
});
