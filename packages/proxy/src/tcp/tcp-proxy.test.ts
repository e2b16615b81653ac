import type { Socket } from 'bun';
import { describe, expect, test } from 'bun:test';
import { turns } from '@sluice/testkit';
import { forwardTo, testManager, testRoute } from '../http/test-doubles.ts';
import { freshWorlds } from '../http/test-fresh-world.ts';
import { plainTransport } from '../tls/transport.ts';
import { FLAG } from '../telemetry/response-flags.ts';
import { chainOf, ServingWorld } from './test-serving.ts';

let world: ServingWorld;
freshWorlds(() => (world = new ServingWorld()));

const count = (name: string): number => world.stats.counts[name] ?? 0;

describe('a TCP connection', () => {
  test('a client that has finished sending still receives, and the other way round', async () => {
    const ended = Promise.withResolvers<Socket>();
    const upstream = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      allowHalfOpen: true,
      socket: {
        data: (socket, data) => {
          if (data.toString() === 'all') socket.write('first');
        },
        end: (socket) => ended.resolve(socket),
      },
    });
    world.cluster('db', [upstream.port]);
    const client = await world.client(world.serve(chainOf(world.tcpTo('db'))));
    client.send('all');
    client.end();
    await client.until(() => client.text === 'first');
    const server = await ended.promise;
    server.write(' second');
    await client.until(() => client.text === 'first second');
    server.end();
    await client.untilClosed();
    await world.lines.until(1);
    expect(world.lines.lines[0]).toMatchObject({ bytesReceived: 3, bytesSent: 12, flags: 0 });
    upstream.stop(true);
  });

  test('a reset of one side resets the other', async () => {
    const upstream = world.upstream((peer) => peer.reset());
    world.cluster('db', [upstream.port]);
    const client = await world.client(world.serve(chainOf(world.tcpTo('db'))));
    client.send('x');
    await client.untilClosed();
    await world.lines.until(1);
    expect(world.lines.lines[0]!.flags & FLAG.UC).toBe(FLAG.UC);
  });

  test('bytes reach the counters while it lives', async () => {
    const upstream = world.upstream((peer, text) => {
      if (text === 'question') peer.send('answer');
    });
    world.cluster('db', [upstream.port]);
    const client = await world.client(world.serve(chainOf(world.tcpTo('db'))));
    client.send('question');
    await client.until(() => client.text === 'answer');
    expect(world.moved).toEqual({ sent: 0, received: 0 });
    world.clock.advance(5_001);
    expect(world.moved).toEqual({ sent: 6, received: 8 });
    client.reset();
    await world.lines.until(1);
    expect(world.moved).toEqual({ sent: 6, received: 8 });
  });

  test('it is logged once connected, at intervals and at its end, as asked', async () => {
    const upstream = world.upstream((peer) => peer.send('!'));
    world.cluster('db', [upstream.port]);
    const config = world.tcpTo('db', { logsOnConnected: true, accessLogFlushIntervalMs: 1_000 });
    const client = await world.client(world.serve(chainOf(config)));
    await world.lines.until(1);
    client.send('?');
    await client.until(() => client.text === '!');
    world.clock.advance(1_001);
    world.clock.advance(1_001);
    expect(world.lines.lines.map((line) => line.bytesSent)).toEqual([0, 1, 1]);
    client.reset();
    await world.lines.until(4);
    world.clock.advance(5_000);
    expect(world.lines.lines).toHaveLength(4);
  });

  test('its age ends it, and is counted', async () => {
    const upstream = world.upstream(() => {});
    world.cluster('db', [upstream.port]);
    const config = world.tcpTo('db', { maxDownstreamConnectionDurationMs: 1_000 });
    const client = await world.client(world.serve(chainOf(config)));
    client.send('x');
    await upstream.until(() => upstream.receivedBytes === 1);
    world.clock.advance(1_010);
    await client.untilClosed();
    await world.lines.until(1);
    expect(world.lines.lines[0]!.flags).toBe(FLAG.DT);
    expect(count('maxDurationReached')).toBe(1);
  });

  test('a client that sends faster than its upstream reads is paused and resumed, and all arrives', async () => {
    let reader: { pause(): void; resume(): void } | null = null;
    const upstream = world.upstream((peer) => {
      if (reader !== null) return;
      reader = peer.socket;
      reader.pause();
    });
    world.cluster('db', [upstream.port]);
    const client = await world.client(world.serve(chainOf(world.tcpTo('db'))));
    client.send('go');
    await upstream.until(() => upstream.receivedBytes === 2);
    const total = 24 * 1024 * 1024;
    client.send(new Uint8Array(total));
    while (count('readingPaused') === 0) await turns();
    reader!.resume();
    await upstream.until(() => upstream.receivedBytes === total + 2);
    expect(count('readingResumed')).toBe(count('readingPaused'));
  });

  test('an upstream that sends faster than its client reads is stopped: bounded memory', async () => {
    let sent = 0;
    const chunk = new Uint8Array(256 * 1024);
    const fill = (socket: Socket): void => {
      for (;;) {
        const taken = socket.write(chunk);
        sent += Math.max(0, taken);
        if (taken < chunk.length) return;
      }
    };
    const upstream = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: { open: fill, drain: fill, data() {} },
    });
    world.cluster('db', [upstream.port]);
    const client = await world.client(world.serve(chainOf(world.tcpTo('db'))));
    client.pause();
    let last = -1;
    for (let quiet = 0; quiet < 20; last = sent) {
      await new Promise((done) => setTimeout(done, 2));
      quiet = sent === last ? quiet + 1 : 0;
    }
    expect(sent).toBeLessThan(24 * 1024 * 1024);
    client.resume();
    await client.until(() => client.receivedBytes > sent / 2);
    upstream.stop(true);
  });

  test('a client that takes nothing of what waits for it is idle, and is not flushed to for ever', async () => {
    const chunk = new Uint8Array(256 * 1024);
    const fill = (socket: Socket): void => {
      while (socket.write(chunk) === chunk.length);
    };
    const upstream = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: { open: fill, drain: fill, data() {} },
    });
    world.cluster('db', [upstream.port]);
    const handler = chainOf(world.tcpTo('db', { idleTimeoutMs: 500 }));
    const client = await world.client(world.serve(handler));
    client.pause();
    const count = (): number => world.handles.reduce((sum, one) => sum + one.connectionCount, 0);
    while (count() > 0) {
      world.clock.advance(510);
      await turns();
    }
    await world.lines.until(1);
    expect(world.lines.lines[0]).toMatchObject({ details: 'tcp_session_idle_timeout' });
    upstream.stop(true);
  });

  test('the connection limit of the cluster ends it with UO', async () => {
    const upstream = world.upstream(() => {});
    const cluster = world.cluster('db', [upstream.port]);
    while (cluster.limits.connections.tryAcquire());
    const client = await world.client(world.serve(chainOf(world.tcpTo('db'))));
    await client.untilClosed();
    await world.lines.until(1);
    expect(world.lines.lines[0]!.flags).toBe(FLAG.UO);
  });

  test('a transport that asks for it begins with a PROXY header', async () => {
    const upstream = world.upstream(() => {});
    const proxyHeader = {
      key: 'p',
      bytes: (facts: { remotePort: number } | null) => Buffer.from(`PROXY from ${facts?.remotePort}\r\n`),
    };
    world.cluster('db', [upstream.port], { transportFor: () => ({ ...plainTransport, proxyHeader }) });
    const client = await world.client(world.serve(chainOf(world.tcpTo('db'))));
    client.send('then this');
    await upstream.until(() => upstream.texts.join('').endsWith('this'));
    expect(upstream.texts.join('')).toMatch(/^PROXY from \d+\r\nthen this$/);
  });
});

describe('a retired chain', () => {
  test('its WebSockets are not cut when draining begins, but at its end', async () => {
    const upstream = world.upstream((peer, text) => {
      if (text.endsWith('\r\n\r\n'))
        peer.send('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n');
      else if (text.includes('\r\n\r\n')) peer.send(text.slice(-1));
    });
    world.cluster('a', [upstream.port]);
    const upgrades = new Map([['websocket', true]]);
    const chain = chainOf(testManager(() => testRoute(forwardTo('a')), { upgrades }));
    const client = await world.client(world.serve(chain));
    client.send(
      'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: k\r\n\r\n',
    );
    await client.until(() => client.text.endsWith('\r\n\r\n'));
    world.server.retireChains([chain], 10_000);
    world.clock.advance(7_000);
    client.text = '';
    client.send('x');
    await client.until(() => client.text === 'x');
    world.clock.advance(600);
    world.clock.advance(2_600);
    await client.untilClosed();
  });

  test('its TCP connections live on for three quarters of the drain time and are gone at its end', async () => {
    const upstream = world.upstream((peer, text) => peer.send(text.slice(-1)));
    world.cluster('db', [upstream.port]);
    const [old, kept] = [chainOf(world.tcpTo('db')), chainOf(world.tcpTo('db'))];
    const retiring = await world.client(world.serve(old));
    const other = await world.client(world.serve(kept));
    for (const client of [retiring, other]) {
      client.send('a');
      await client.until(() => client.text === 'a');
    }
    world.server.retireChains([old], 10_000);
    world.clock.advance(7_400);
    retiring.send('b');
    await retiring.until(() => retiring.text === 'ab');
    world.clock.advance(2_700);
    await retiring.untilClosed();
    other.send('c');
    await other.until(() => other.text === 'ac');
  });

  test('its connections do not all end in one moment', async () => {
    const upstream = world.upstream((peer) => peer.send('.'));
    world.cluster('db', [upstream.port]);
    const chain = chainOf(world.tcpTo('db', { accessLoggers: [] }));
    const port = world.serve(chain);
    const clients = await Promise.all(Array.from({ length: 20 }, () => world.client(port)));
    for (const client of clients) client.send('x');
    for (const client of clients) await client.until(() => client.text === '.');
    world.server.retireChains([chain], 40_000);
    world.clock.advance(30_001);
    world.clock.advance(5_000);
    await turns();
    const open = world.handles[0]!.connectionCount;
    expect(open).toBeGreaterThan(2);
    expect(open).toBeLessThan(18);
    world.clock.advance(5_001);
    for (const client of clients) await client.untilClosed();
  });
});
