import { afterEach, expect, test } from 'bun:test';
import { connect } from 'node:http2';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { createLogger } from '@sluice/runtime';
import { cleanUp, onCleanUp, spawnCommand, waitFor } from '@sluice/testkit';
import { GrpcStatus } from '@sluice/wire';
import type { GrpcHandler, GrpcServerStream } from '@sluice/wire';
import { GrpcServer } from './grpc-server.ts';

/** Against grpc-js on Node: another implementation of gRPC and of HTTP/2 than ours. */
const script = join(import.meta.dir, 'testdata', 'grpc-client.mjs');
const path = '/test.Service/Stream';
const logged: string[] = [];

afterEach(async () => {
  logged.length = 0;
  await cleanUp();
});

async function serve(
  handler: GrpcHandler,
  options: { handshakeTimeoutMs?: number; idleTimeoutMs?: number; maxConnections?: number } = {},
): Promise<string> {
  const server = new GrpcServer({
    handlers: new Map([[path, handler]]),
    log: createLogger({ component: 'grpc', write: (line) => logged.push(line) }),
    maxStreams: 4,
    maxStreamsInAll: 3,
    maxMessageBytes: 1_000_000,
    maxQueuedBytes: 4_000_000,
    ...options,
  });
  const address = await server.listen('127.0.0.1', 0);
  onCleanUp(() => server.close());
  return address;
}

interface Event {
  readonly message?: string;
  readonly length?: number;
  readonly code?: number;
  readonly details?: string;
}

async function run(what: string, address: string): Promise<Event[]> {
  const client = spawnCommand(['node', script, what, address, 'secret']);
  await client.exited;
  const lines = client.lines.filter((line) => line.startsWith('{'));
  if (lines.length === 0) throw new Error(client.output);
  return lines.map((line) => JSON.parse(line) as Event);
}

/** Answers each message with itself, ends when the client does. */
const echo: GrpcHandler = (stream) => ({
  onMessage: (message) => void stream.send(message),
  onHalfClose: () => stream.end(GrpcStatus.ok, ''),
  onCancelled: () => {},
});

test('messages go both ways and the status follows', async () => {
  expect(await run('echo', await serve(echo))).toEqual([
    { message: 'one', length: 3 },
    { message: 'two', length: 3 },
    { code: 0, details: '' },
  ]);
});

test('a message of many frames arrives whole', async () => {
  const events = await run('large', await serve(echo));
  expect(events.map(({ length, code }) => length ?? code)).toEqual([300_000, 0]);
});

test('keep-alive pings of an idle stream are answered', async () => {
  expect((await run('idle', await serve(echo))).at(-1)).toEqual({ code: 0, details: '' });
});

test('metadata and the peer’s address reach the handler, and its refusal the client', async () => {
  let seen: GrpcServerStream | null = null;
  const address = await serve((stream) => {
    seen = stream;
    stream.end(GrpcStatus.unauthenticated, 'wrong token, 100 % sure');
    return { onMessage: () => {}, onHalfClose: () => {}, onCancelled: () => {} };
  });
  expect(await run('refused', address)).toEqual([{ code: 16, details: 'wrong token, 100 % sure' }]);
  const { metadata, peer } = seen as unknown as GrpcServerStream;
  expect(metadata.find(([name]) => name === 'authorization')?.[1]).toBe('Bearer secret');
  expect(peer.address).toStartWith('127.0.0.1:');
});

test('an unknown method is unimplemented', async () => {
  expect((await run('unknown-method', await serve(echo)))[0]?.code).toBe(GrpcStatus.unimplemented);
});

test('a client that cancels is told to the handler', async () => {
  let cancelled = 0;
  const address = await serve((stream) => ({
    onMessage: (message) => void stream.send(message),
    onHalfClose: () => {},
    onCancelled: () => (cancelled += 1),
  }));
  expect((await run('cancel', address)).at(-1)?.code).toBe(1);
  await waitFor(() => cancelled === 1, { what: 'the handler to hear of it' });
});

test('a message beyond the limit ends its stream, and the handler hears of it', async () => {
  let ended = 0;
  let messages = 0;
  const address = await serve(() => ({
    onMessage: () => (messages += 1),
    onHalfClose: () => {},
    onCancelled: () => (ended += 1),
  }));
  expect((await run('oversized', address)).at(-1)?.code).toBe(GrpcStatus.resourceExhausted);
  await waitFor(() => ended === 1, { what: 'the handler to hear of it' });
  expect(messages).toBe(0);
});

test('a fault of a handler ends its stream alone', async () => {
  let isBroken = true;
  const address = await serve((stream) => ({
    onMessage: (message) => {
      if (isBroken) throw new Error('a mistake of ours');
      stream.send(message);
    },
    onHalfClose: () => stream.end(GrpcStatus.ok, ''),
    onCancelled: () => {},
  }));
  expect((await run('echo', address)).at(-1)?.code).toBe(GrpcStatus.internal);
  expect(logged.join('')).toContain('a mistake of ours');
  isBroken = false;
  expect((await run('echo', address)).at(-1)?.code).toBe(0);
});

test('a session that resets stream after stream is closed', async () => {
  const address = await serve(echo);
  const client = spawnCommand([
    'node',
    join(import.meta.dir, 'testdata', 'resetting-client.mjs'),
    address,
    path,
  ]);
  const line = await client.waitForLine('goaway');
  expect((JSON.parse(line) as { opened: number }).opened).toBeLessThan(10);
  expect(logged.join('')).toContain('too many streams');
});

test('what is not gRPC is refused by HTTP status', async () => {
  const address = await serve(echo);
  const session = connect(`http://${address}`);
  onCleanUp(() => session.destroy());
  const status = await new Promise((resolve) => {
    const stream = session.request({ ':method': 'GET', ':path': path });
    stream.on('response', (headers) => resolve(headers[':status']));
    stream.on('error', resolve);
    stream.end();
  });
  expect(status).toBe(415);
});

test('a stranger that greets in half is not waited for, a client that is silent is', async () => {
  const address = await serve(echo, { handshakeTimeoutMs: 300 });
  const silent = connect(`http://${address}`);
  onCleanUp(() => silent.destroy());
  await new Promise<void>((resolve) => silent.once('remoteSettings', () => resolve()));
  const socket = connectSocket(Number(address.slice(address.lastIndexOf(':') + 1)), '127.0.0.1');
  socket.write('PRI * HTTP/2.0\r\n');
  await new Promise<void>((resolve) => socket.resume().once('close', () => resolve()));
  expect(silent.destroyed).toBe(false);
});

test('a stranger that greets and asks for nothing is let go, however much it pings', async () => {
  const address = await serve(echo, { idleTimeoutMs: 200 });
  const idle = connect(`http://${address}`);
  onCleanUp(() => idle.destroy());
  const goaway = new Promise<number>((resolve) => idle.once('goaway', (code) => resolve(code)));
  const closed = new Promise<void>((resolve) => idle.once('close', () => resolve()));
  await new Promise<void>((resolve) => idle.once('remoteSettings', () => resolve()));
  // Below what is a flood, and more often than any time that a silent socket is given.
  const pinging = setInterval(() => {
    if (!idle.destroyed && !idle.closed) idle.ping(() => {});
  }, 20);
  onCleanUp(() => clearInterval(pinging));
  expect(await goaway).toBe(0);
  await closed;
});

test('one with a stream stays as long as the stream does, and goes after it', async () => {
  const address = await serve(echo, { idleTimeoutMs: 200 });
  const session = connect(`http://${address}`);
  onCleanUp(() => session.destroy());
  const closed = new Promise<void>((resolve) => session.once('close', () => resolve()));
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
  });
  stream.resume();
  await new Promise<void>((resolve) => session.once('remoteSettings', () => resolve()));
  // Another that idles measures the time.
  const other = connect(`http://${address}`);
  onCleanUp(() => other.destroy());
  await new Promise<void>((resolve) => other.once('close', () => resolve()));
  expect(session.closed).toBe(false);
  stream.end();
  await closed;
});

test('a crowd is not let in: connections beyond the limit are closed as they come', async () => {
  const address = await serve(echo, { maxConnections: 2 });
  const port = Number(address.split(':')[1]);
  let closed = 0;
  for (let index = 0; index < 4; index++) {
    const socket = connectSocket(port, '127.0.0.1');
    onCleanUp(() => void socket.destroy());
    socket.on('error', () => {});
    socket.on('close', () => closed++);
    socket.resume();
  }
  await waitFor(() => closed === 2);
  expect(logged.join('')).toContain('connection refused: there are too many');
});
