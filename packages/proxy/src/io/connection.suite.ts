/** What every implementation of `SocketProvider` must do; run by `bun-sockets.test.ts` and `node-sockets.test.ts`. */
import { afterAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeClock, TimerWheel } from '@sluice/runtime';
import { blackholePort, cleanUp, turns } from '@sluice/testkit';
import type { ConnectTarget, Connection, SocketListener, SocketProvider } from './connection.ts';
import { IoLoop } from './io-loop.ts';
import { Recorder } from './test-recorder.ts';
import { testSettings, TestTls } from './test-tls.ts';

export interface ProviderUnderTest {
  sockets: SocketProvider;
  ready(listener: SocketListener): Promise<void>;
}

interface Pair {
  client: Recorder;
  server: Recorder;
  c: Connection;
  s: Connection;
}

/** `isSecured`: everything that holds for a plain connection holds above TLS. */
export function connectionSuite(
  name: string,
  create: (loop: IoLoop) => ProviderUnderTest,
  isSecured = false,
): void {
  afterAll(cleanUp);
  const serverTls = isSecured ? new TestTls(testSettings('server')) : null;
  const clientTls = isSecured ? new TestTls(testSettings('client')) : null;
  const clock = new FakeClock();
  const wheel = new TimerWheel(clock);
  clock.attach(wheel);
  const failures: unknown[] = [];
  const loop = new IoLoop(wheel, (error) => failures.push(error));
  const { sockets, ready } = create(loop);

  async function listen(
    onAccept: (connection: Connection) => void,
    highWaterBytes = 65_536,
  ): Promise<SocketListener> {
    const bind = { address: '127.0.0.1', port: 0 };
    const listener = sockets.listen({ bind, highWaterBytes }, (connection) => {
      if (serverTls === null) onAccept(connection);
      else
        connection.startTls(serverTls, null, 0, {
          onSecured: onAccept,
          onTlsFailed: (_connection, { reason }) => failures.push(reason),
        });
    });
    await ready(listener);
    return listener;
  }

  function target(port: number, more: Partial<ConnectTarget> = {}): ConnectTarget {
    return {
      address: '127.0.0.1',
      port,
      sourceAddress: null,
      keepalive: null,
      connectTimeoutMs: 1000,
      highWaterBytes: 65_536,
      tls: clientTls,
      ...more,
    };
  }

  async function pair(use: (pair: Pair) => Promise<void>): Promise<void> {
    const server = new Recorder();
    const accepted = Promise.withResolvers<Connection>();
    const listener = await listen((connection) => {
      connection.handler = server;
      server.connection = connection;
      accepted.resolve(connection);
    });
    const client = new Recorder();
    const c = sockets.connect(target(listener.port), client);
    const s = await accepted.promise;
    await client.until(() => client.isConnected);
    try {
      await use({ client, server, c, s });
    } finally {
      c.terminate();
      s.terminate();
      listener.stop();
    }
  }

  const send = (connection: Connection, text: string): void =>
    connection.write(Buffer.from(text), 0, text.length);

  test(`${name}: bytes go both ways and addresses are plain`, () =>
    pair(async ({ client, server, c, s }) => {
      send(c, 'ping');
      await server.until(() => server.text === 'ping');
      send(s, 'pong');
      await client.until(() => client.text === 'pong');
      expect(s.remoteAddress).toBe('127.0.0.1');
      expect(s.remotePort).toBe(c.localPort);
      expect(c.remotePort).toBe(s.localPort);
      expect([c.bytesWritten, c.bytesRead, s.bytesRead]).toEqual([4, 4, 4]);
    }));

  test(`${name}: writes of one callback wait and leave together`, () =>
    pair(async ({ client, server, c, s }) => {
      const seen: number[] = [];
      server.onChunk = (connection) => {
        send(connection, 'head ');
        seen.push(connection.bytesWritten);
        const room = connection.reserve(4);
        room.set(Buffer.from('body'), connection.writeOffset);
        connection.commit(connection.writeOffset + 4);
        seen.push(connection.bytesWritten, connection.bufferedBytes);
      };
      send(c, 'x');
      await client.until(() => client.text === 'head body');
      expect(seen).toEqual([0, 0, 9]);
      expect(s.bytesWritten).toBe(9);
      expect(client.chunks.length).toBe(1);
    }));

  test(`${name}: a peer that does not read stops the writer, and order survives the queue`, () =>
    pair(async ({ client, server, c, s }) => {
      s.pause();
      const total = 12 * 1024 * 1024;
      const block = new Uint8Array(64 * 1024).map((_, i) => i & 0xff);
      let written = 0;
      while (c.isWritable && written < total) {
        c.write(block, 0, block.length);
        c.flush();
        written += block.length;
      }
      expect(c.isWritable).toBe(false);
      expect(c.bufferedBytes).toBeGreaterThan(0);
      expect(server.received).toBe(0);
      send(c, 'tail');
      s.resume();
      await client.until(() => client.drains === 1);
      await server.until(() => server.received === written + 4);
      expect(c.isWritable).toBe(true);
      expect(c.bufferedBytes).toBe(0);
      const all = Buffer.concat(server.chunks);
      expect(all.subarray(-4).toString()).toBe('tail');
      expect(all.subarray(written - 2, written)).toEqual(Buffer.from([0xfe, 0xff]));
    }));

  test(`${name}: half-close keeps the other direction, then both close`, () =>
    pair(async ({ client, server, c, s }) => {
      send(c, 'question');
      c.end();
      await server.until(() => server.hasEnded);
      expect(server.text).toBe('question');
      expect(s.isOpen).toBe(true);
      send(s, 'answer');
      s.end();
      await client.until(() => client.closeCause !== null);
      await server.until(() => server.closeCause !== null);
      expect(client.text).toBe('answer');
      expect([client.closeCause, server.closeCause]).toEqual(['remote', 'remote']);
      expect([client.hasEnded, server.hasEnded]).toEqual([true, true]);
    }));

  test(`${name}: terminate resets the peer`, () =>
    pair(async ({ client, server, c, s }) => {
      send(s, 'unread');
      await client.until(() => client.received > 0);
      c.terminate();
      await server.until(() => server.closeCause !== null);
      expect(client.closeCause).toBe('local');
      expect(server.closeCause).toBe('reset');
      send(s, 'late');
      expect(s.bufferedBytes).toBe(0);
    }));

  test(`${name}: close sends what waits first`, () =>
    pair(async ({ client, server, s }) => {
      const block = new Uint8Array(1024 * 1024);
      s.write(block, 0, block.length);
      s.close();
      await client.until(() => client.hasEnded);
      expect(client.received).toBe(block.length);
      await server.until(() => server.closeCause !== null);
      expect(server.closeCause).toBe('local');
    }));

  test(`${name}: a handler that throws loses its connection only`, () =>
    pair(async ({ client, server, c, s }) => {
      failures.length = 0;
      server.onChunk = () => {
        throw new Error('broken invariant');
      };
      send(c, 'x');
      await client.until(() => client.closeCause !== null);
      expect(failures.map(String)).toEqual(['Error: broken invariant']);
      expect(s.isOpen).toBe(false);
    }));

  test(`${name}: a producer that ignores backpressure is cut at the cap`, () =>
    pair(async ({ client, c, s }) => {
      s.pause();
      const block = new Uint8Array(512 * 1024);
      for (let i = 0; i < 64 && c.isOpen; i++) c.write(block, 0, block.length);
      await client.until(() => client.closeCause !== null);
      expect(client.closeCause).toBe('overflow');
    }));

  test(`${name}: a refused attempt is reported as such`, async () => {
    const listener = await listen(() => {});
    const port = listener.port;
    listener.stop();
    const client = new Recorder();
    sockets.connect(target(port), client);
    await client.until(() => client.failure !== null);
    expect([client.failure, client.isConnected, client.closeCause]).toEqual(['refused', false, null]);
  });

  test(`${name}: an attempt that hangs times out by the wheel, and can be cancelled in silence`, async () => {
    const blackhole = await blackholePort();
    const client = new Recorder();
    sockets.connect(target(blackhole, { connectTimeoutMs: 700 }), client);
    const cancelled = new Recorder();
    sockets.connect(target(blackhole, { connectTimeoutMs: 600 }), cancelled).terminate();
    await turns();
    clock.advance(690);
    expect(client.failure).toBeNull();
    clock.advance(20);
    await client.until(() => client.failure !== null);
    expect(client.failure).toBe('timeout');
    expect([cancelled.failure, cancelled.closeCause, cancelled.isConnected]).toEqual([null, null, false]);
    expect(wheel.size).toBe(0);
  });

  test(`${name}: bytes written before the connection stands are sent then`, async () => {
    const server = new Recorder();
    const listener = await listen((connection) => {
      connection.handler = server;
    });
    const client = new Recorder();
    const c = sockets.connect(target(listener.port, { sourceAddress: '127.0.0.7' }), client);
    send(c, 'early');
    await server.until(() => server.text === 'early');
    expect(c.localAddress).toBe('127.0.0.7');
    c.terminate();
    listener.stop();
  });

  if (isSecured) return;

  test(`${name}: Unix sockets`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-io-'));
    const path = join(folder, 's');
    const server = new Recorder();
    const listener = sockets.listen({ bind: { unixPath: path }, highWaterBytes: 65_536 }, (connection) => {
      connection.handler = server;
    });
    await ready(listener);
    const client = new Recorder();
    const c = sockets.connect(target(0, { address: path }), client);
    await client.until(() => client.isConnected);
    send(c, 'local');
    await server.until(() => server.text === 'local');
    c.terminate();
    listener.stop();
    const refused = new Recorder();
    sockets.connect(target(0, { address: join(folder, 'none') }), refused);
    await refused.until(() => refused.failure !== null);
    expect(refused.failure).toBe('refused');
    rmSync(folder, { recursive: true });
  });
}
