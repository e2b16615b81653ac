import type { Socket } from 'bun';
import { describe, expect, test } from 'bun:test';
import { refusingPort, turns, untilStill } from '@sluice/testkit';
import { H2ErrorCode } from '@sluice/wire';
import type { TestCluster } from '../http/test-doubles.ts';
import { freshWorlds } from '../http/test-fresh-world.ts';
import { DATA, framed, headers, HEADERS, ok, reset } from '../http/test-h2-frames.ts';
import type { TunnelConfig } from '../listener/listener.ts';
import { FLAG } from '../telemetry/response-flags.ts';
import { connect, TunnelWorld } from './test-tunnels.ts';

let world: TunnelWorld;
freshWorlds(() => (world = new TunnelWorld()));

const post: TunnelConfig = { ...connect, method: 'POST', path: '/tcp' };
const count = (name: string): number => world.stats.counts[name] ?? 0;

describe('a tunnel through a proxy of HTTP/1.1', () => {
  test('carries what follows the answer to CONNECT, and nothing before it', async () => {
    const seen: string[] = [];
    const upstream = world.upstream((peer, text) => {
      seen.push(text);
      if (text.endsWith('\r\n\r\n')) setImmediate(() => peer.send('HTTP/1.1 200 Fine\r\nx: y\r\n\r\nhello '));
      if (text.endsWith('question')) peer.send('answer');
    });
    world.cluster('proxy', [upstream.port]);
    const client = await world.client(world.tunnel(connect));
    client.send('question');
    await client.until(() => client.text === 'hello answer');
    expect(seen[0]).toBe('CONNECT db.test:5432 HTTP/1.1\r\nhost: db.test:5432\r\n\r\n');
    client.reset();
    await world.lines.until(1);
    expect(world.lines.lines[0]).toMatchObject({ bytesReceived: 8, bytesSent: 12, attempts: 1 });
    world.expectNothingHeld();
  });

  test('says more to the proxy, from where the connection came and where it went', async () => {
    let head = '';
    const upstream = world.upstream((peer, text) => {
      head = text;
      peer.send('HTTP/1.1 200 OK\r\n\r\n!');
    });
    world.cluster('proxy', [upstream.port]);
    const port = world.tunnel({
      ...connect,
      authority: () => '10.0.0.1:80',
      headers: [
        { kind: 'append', name: 'X-From', nameId: 0, value: 'web', format: null, keepEmptyValue: false },
      ],
    });
    const client = await world.client(port);
    await client.until(() => client.text === '!');
    expect(head).toBe('CONNECT 10.0.0.1:80 HTTP/1.1\r\nhost: 10.0.0.1:80\r\nX-From: web\r\n\r\n');
  });

  test('each side ends by itself', async () => {
    const ended = Promise.withResolvers<void>();
    const server = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      allowHalfOpen: true,
      socket: {
        data: (socket, data) => {
          if (data.toString().endsWith('\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\n\r\n');
        },
        end: (socket) => {
          ended.resolve();
          socket.write('last words');
          socket.end();
        },
      },
    });
    world.owns(server);
    world.cluster('proxy', [server.port]);
    const client = await world.client(world.tunnel(connect));
    client.send('all');
    client.end();
    await ended.promise;
    await client.untilClosed();
    expect(client.text).toBe('last words');
    await world.lines.until(1);
    expect(world.lines.lines[0]).toMatchObject({ bytesReceived: 3, bytesSent: 10, flags: 0 });
    world.expectNothingHeld();
  });

  test('a proxy that refuses is passed over for the next, and named when it was the last', async () => {
    const refusing = world.upstream((peer) => peer.send('HTTP/1.1 403 No\r\ncontent-length: 2\r\n\r\nno'));
    const willing = world.upstream((peer, text) => {
      if (text.endsWith('\r\n\r\n')) peer.send('HTTP/1.1 200 OK\r\n\r\nyes');
    });
    world.cluster('proxy', [refusing.port, willing.port]);
    const client = await world.client(world.tunnel(connect, { maxConnectAttempts: 2 }));
    await client.until(() => client.text === 'yes');
    world.cluster('proxy', [refusing.port]);
    const refused = await world.client(world.tunnel(connect));
    refused.send('lost');
    await refused.untilClosed();
    expect(refused.text).toBe('');
    await world.lines.until(1);
    expect(world.lines.lines[0]).toMatchObject({
      flags: FLAG.UF | FLAG.URX,
      details: 'upstream_reset_before_response_started{connect-failed}',
      bytesReceived: 0,
    });
    expect(world.failures).toEqual(['the proxy answered CONNECT with 403']);
    world.expectNothingHeld();
  });

  test('one that nobody answers at, and one that dies before it answers, fail', async () => {
    world.cluster('proxy', [refusingPort()]);
    await (await world.client(world.tunnel(connect))).untilClosed();
    const dying = world.upstream((peer) => peer.reset());
    world.cluster('proxy', [dying.port]);
    await (await world.client(world.tunnel(connect))).untilClosed();
    await world.lines.until(2);
    for (const line of world.lines.lines) expect(line.flags).toBe(FLAG.UF | FLAG.URX);
    world.expectNothingHeld();
  });

  test('a reset of one side resets the other', async () => {
    const upstream = world.upstream((peer, text) => {
      if (text.endsWith('bye')) peer.reset();
      else if (text.endsWith('\r\n\r\n')) peer.send('HTTP/1.1 200 OK\r\n\r\n');
    });
    world.cluster('proxy', [upstream.port]);
    const client = await world.client(world.tunnel(connect));
    client.send('bye');
    await client.untilClosed();
    await world.lines.until(1);
    expect(world.lines.lines[0]!.flags & FLAG.UC).toBe(FLAG.UC);
    const other = await world.client(world.tunnel(connect));
    await upstream.until(() => upstream.openCount === 1);
    await turns();
    other.reset();
    await upstream.until(() => upstream.openCount === 0);
    await world.lines.until(2);
    world.expectNothingHeld();
  });

  test('a client that leaves while the proxy thinks leaves nothing behind', async () => {
    const upstream = world.upstream(() => {});
    world.cluster('proxy', [upstream.port]);
    const client = await world.client(world.tunnel(connect));
    await upstream.until(() => upstream.texts.join('').endsWith('\r\n\r\n'));
    client.reset();
    await upstream.until(() => upstream.openCount === 0);
    await world.lines.until(1);
    world.expectNothingHeld();
  });

  test('a proxy that never answers is waited for no longer than an idle connection', async () => {
    const upstream = world.upstream(() => {});
    world.cluster('proxy', [upstream.port]);
    const client = await world.client(world.tunnel(connect, { idleTimeoutMs: 1_000 }));
    client.send('x');
    await upstream.until(() => upstream.texts.join('').endsWith('\r\n\r\n'));
    world.clock.advance(1_010);
    await client.untilClosed();
    await upstream.until(() => upstream.openCount === 0);
    await world.lines.until(1);
    expect(world.lines.lines[0]!.details).toBe('tcp_session_idle_timeout');
    world.expectNothingHeld();
  });

  test('more tunnels than requests are allowed are refused', async () => {
    const upstream = world.upstream((peer) => peer.send('HTTP/1.1 200 OK\r\n\r\n!'));
    const cluster = world.cluster('proxy', [upstream.port]);
    cluster.limits.requests.max = 1;
    const port = world.tunnel(connect);
    const first = await world.client(port);
    await first.until(() => first.text === '!');
    await (await world.client(port)).untilClosed();
    await world.lines.until(1);
    expect(world.lines.lines[0]!.flags).toBe(FLAG.UO);
    first.reset();
    await world.lines.until(2);
    world.expectNothingHeld();
  });

  test('by POST, the bytes are bodies, and a connection that ended whole serves the next', async () => {
    const bodies: string[] = [];
    const upstream = world.upstream((peer, text) => {
      if (!text.endsWith('0\r\n\r\n')) {
        if (text.endsWith('\r\n\r\n'))
          peer.send('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n');
        return;
      }
      bodies.push(text);
      peer.clear();
      peer.send('3\r\nbye\r\n0\r\n\r\n');
    });
    world.cluster('proxy', [upstream.port]);
    const port = world.tunnel(post);
    for (let turn = 0; turn < 2; turn++) {
      const client = await world.client(port);
      await client.until(() => client.text === 'hi');
      client.send('abc');
      client.end();
      await client.untilClosed();
      expect(client.text).toBe('hibye');
    }
    const { stats, endpoints } = world.clusters.get('proxy') as TestCluster;
    expect([stats.counts['requestStarted'], endpoints[0]!.stats.requests]).toEqual([2, 2]);
    expect(bodies[1]).toBe(
      'POST /tcp HTTP/1.1\r\nhost: db.test:5432\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    );
    expect(upstream.connectionCount).toBe(1);
    await world.lines.until(2);
    world.expectNothingHeld();
  });

  test('a kept connection that had ended meanwhile is no failure of the proxy', async () => {
    const upstream = world.upstream((peer, text, number) => {
      if (number === 1 && text.includes('POST') && text.split('POST').length > 2) peer.reset();
      else if (text.endsWith('0\r\n\r\n')) peer.send('0\r\n\r\n');
      else if (text.endsWith('\r\n\r\n'))
        peer.send('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n');
    });
    world.cluster('proxy', [upstream.port]);
    const port = world.tunnel(post);
    const first = await world.client(port);
    await first.until(() => first.text === 'hi');
    first.end();
    await first.untilClosed();
    const second = await world.client(port);
    await second.until(() => second.text === 'hi');
    expect(upstream.connectionCount).toBe(2);
    second.reset();
    await world.lines.until(2);
    world.expectNothingHeld();
  });

  test('a slow client stops the proxy behind it', async () => {
    const block = Buffer.alloc(1024 * 1024, 'x');
    const wanted = 64 * block.length;
    let sent = 0;
    const fill = (socket: Socket<undefined>): void => {
      for (let taken = block.length; taken === block.length && sent < wanted; sent += taken)
        taken = socket.write(block);
    };
    const server = Bun.listen<undefined>({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        data: (socket) => {
          socket.write('HTTP/1.1 200 OK\r\n\r\n');
          fill(socket);
        },
        drain: fill,
      },
    });
    world.owns(server);
    world.cluster('proxy', [server.port]);
    const client = await world.client(world.tunnel(connect));
    client.pause();
    await untilStill(() => sent);
    expect(sent).toBeLessThan(wanted / 2);
    client.resume();
    while (sent < wanted) await turns();
    client.reset();
    await world.lines.until(1);
    world.expectNothingHeld();
  });

  test('a slow proxy stops the client, and all arrives', async () => {
    let reader: { pause(): void; resume(): void } | null = null;
    const upstream = world.upstream((peer) => {
      if (reader !== null) return;
      reader = peer.socket;
      reader.pause();
      peer.send('HTTP/1.1 200 OK\r\n\r\n!');
    });
    world.cluster('proxy', [upstream.port]);
    const client = await world.client(world.tunnel(connect));
    await client.until(() => client.text === '!');
    const head = upstream.receivedBytes;
    const total = 24 * 1024 * 1024;
    client.send(new Uint8Array(total));
    while (count('readingPaused') === 0) await turns();
    reader!.resume();
    await upstream.until(() => upstream.receivedBytes === total + head);
    expect(count('readingResumed')).toBe(count('readingPaused'));
  });
});

describe('a tunnel through a proxy of HTTP/2', () => {
  test('shares its connection with others', async () => {
    const upstream = await world.h2Proxy(({ stream }) => {
      stream.respond({ ':status': 200 });
      stream.on('data', (data: Buffer) => stream.write(`echo ${data.toString()}`));
    });
    const port = world.tunnel(connect);
    const clients = [await world.client(port), await world.client(port), await world.client(port)];
    for (const [index, client] of clients.entries()) client.send(`${index}`);
    for (const [index, client] of clients.entries())
      await client.until(() => client.text === `echo ${index}`);
    expect(upstream.connectionCount).toBe(1);
    expect(upstream.requests[0]).toMatchObject({ ':method': 'CONNECT', ':authority': 'db.test:5432' });
    expect(Object.keys(upstream.requests[0]!)).not.toContain('host');
    clients[0]!.reset();
    await world.lines.until(1);
    clients[1]!.send('more');
    await clients[1]!.until(() => clients[1]!.text === 'echo 1echo more');
    for (const client of clients.slice(1)) client.reset();
    await world.lines.until(3);
    world.expectNothingHeld();
  });

  test.each([
    ['CONNECT', connect, {}],
    ['POST', post, { ':path': '/tcp', ':scheme': 'http' }],
  ])('each side ends by itself, by %s', async (method, tunnel, more) => {
    const upstream = await world.h2Proxy(({ stream }) => {
      stream.respond({ ':status': 200 });
      let text = '';
      stream.on('data', (data: Buffer) => (text += data.toString()));
      stream.on('end', () => stream.end(`read ${text}`));
    });
    const client = await world.client(world.tunnel(tunnel));
    client.send('all');
    client.end();
    await client.untilClosed();
    expect(client.text).toBe('read all');
    expect(upstream.requests[0]).toMatchObject({ ':method': method, ':authority': 'db.test:5432', ...more });
    await world.lines.until(1);
    expect(world.lines.lines[0]).toMatchObject({ bytesReceived: 3, bytesSent: 8, flags: 0 });
    world.expectNothingHeld();
  });

  test('a refusal and a reset are told apart from an end', async () => {
    await world.h2Proxy(({ stream }) => {
      stream.respond({ ':status': 502 }, { endStream: true });
    });
    await (await world.client(world.tunnel(connect))).untilClosed();
    await world.lines.until(1);
    expect(world.lines.lines[0]!.flags).toBe(FLAG.UF | FLAG.URX);
    expect(world.failures).toEqual(['the proxy answered CONNECT with 502']);
    const resetting = world.upstream(
      framed((peer, { type, stream }) => {
        if (type === HEADERS) peer.send(headers(stream, ok, 0));
        if (type === DATA) peer.send(reset(stream, H2ErrorCode.INTERNAL_ERROR));
      }),
    );
    world.cluster('proxy', [resetting.port], { protocol: 'h2' });
    const client = await world.client(world.tunnel(connect));
    client.send('x');
    await client.untilClosed();
    await world.lines.until(2);
    expect(world.lines.lines[1]!.flags & FLAG.UC).toBe(FLAG.UC);
    world.expectNothingHeld();
  });

  test('large transfers pass both ways, within their windows', async () => {
    const size = 3 * 1024 * 1024;
    await world.h2Proxy(({ stream }) => {
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
    });
    const client = await world.client(world.tunnel(connect));
    client.send(Buffer.alloc(size, 'y'));
    await client.until(() => client.text.length === size);
    client.end();
    await client.untilClosed();
    await world.lines.until(1);
    expect(world.lines.lines[0]).toMatchObject({ bytesReceived: size, bytesSent: size, flags: 0 });
    world.expectNothingHeld();
  });
});
