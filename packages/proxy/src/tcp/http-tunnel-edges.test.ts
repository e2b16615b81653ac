/** What a tunnel's proxy, its client and the values it is asked with can do wrong, and what must not follow from it. */
import { describe, expect, test } from 'bun:test';
import { blackholePort, turns, untilStill } from '@sluice/testkit';
import { MAX_UPSTREAM_WINDOW_BYTES } from '../cluster/compile-protocol.ts';
import { freshWorlds } from '../http/test-fresh-world.ts';
import { FLAG } from '../telemetry/response-flags.ts';
import { connect, TunnelWorld } from './test-tunnels.ts';

let world: TunnelWorld;
freshWorlds(() => (world = new TunnelWorld()));

describe('through a proxy of HTTP/1.1, a tunnel', () => {
  test.each(['a b', 'a\r\nX: y', 'a\u010d\u010aX', 'caf\u00e9', ''])(
    'asks for nothing in a name that a peer may have made up: %j',
    async (made) => {
      const upstream = world.upstream((peer) => peer.send('HTTP/1.1 200 OK\r\n\r\n'));
      world.cluster('proxy', [upstream.port]);
      await (await world.client(world.tunnel({ ...connect, authority: () => made }))).untilClosed();
      await world.lines.until(1);
      expect(world.lines.lines[0]!.flags).toBe(FLAG.UF | FLAG.URX);
      expect(world.failures).toEqual(['the hostname of the tunnel has no value that can be sent']);
      expect(upstream.connectionCount).toBe(0);
      world.expectNothingHeld();
    },
  );

  test('leaves out a header whose value would end its line', async () => {
    let head = '';
    const upstream = world.upstream((peer, text) => {
      head = text;
      peer.send('HTTP/1.1 200 OK\r\n\r\n!');
    });
    world.cluster('proxy', [upstream.port]);
    const add = { kind: 'append', nameId: 0, value: '', keepEmptyValue: false } as const;
    const headers = [
      { ...add, name: 'X-Sni', format: () => 'a\r\nX: y' },
      { ...add, name: 'X-From', format: () => 'web' },
    ];
    const client = await world.client(world.tunnel({ ...connect, headers }));
    await client.until(() => client.text === '!');
    expect(head).toBe('CONNECT db.test:5432 HTTP/1.1\r\nhost: db.test:5432\r\nX-From: web\r\n\r\n');
  });

  test.each([
    'content-length: 2',
    'transfer-encoding: chunked',
    'content-length: 2\r\ntransfer-encoding: chunked',
    'content-length: 2\r\ncontent-length: 3',
    'transfer-encoding: gzip',
  ])('an answer that announces a length to CONNECT has none: %j', async (fields) => {
    const upstream = world.upstream((peer) => peer.send(`HTTP/1.1 200 OK\r\n${fields}\r\n\r\nhello`));
    world.cluster('proxy', [upstream.port]);
    const client = await world.client(world.tunnel(connect));
    await Promise.race([client.untilClosed(), client.until(() => client.text === 'hello')]);
    expect(client.text).toBe('hello');
  });

  test('a client that leaves before there is a connection takes its request back', async () => {
    const blackhole = await blackholePort();
    const cluster = world.cluster('proxy', [blackhole]);
    const client = await world.client(world.tunnel(connect));
    while (cluster.limits.pendingRequests.current === 0) await turns();
    client.reset();
    await world.lines.until(1);
    expect(cluster.stats.counts['requestCancelled']).toBe(1);
    world.expectNothingHeld();
  });

  test('that was refused leaves nothing of the answer to the next', async () => {
    const body = 'HTTP/1.1 200 OK\r\n\r\n';
    const upstream = world.upstream((peer) =>
      peer.send(`HTTP/1.1 407 No\r\ncontent-length: ${2 * body.length}\r\n\r\n${body}`),
    );
    const { limits } = world.cluster('proxy', [upstream.port]);
    const port = world.tunnel(connect);
    for (let turn = 0; turn < 3; turn++) {
      const client = await world.client(port);
      await client.untilClosed();
      expect(client.text).toBe('');
    }
    while (limits.connections.current > 0) await turns();
    expect(upstream.connectionCount).toBe(3);
    world.expectNothingHeld();
  });

  test('outlives the times that its pool gives idle and old connections', async () => {
    const upstream = world.upstream((peer, text) =>
      peer.send(text.endsWith('x') ? 'echo' : 'HTTP/1.1 200 OK\r\n\r\n!'),
    );
    world.cluster('proxy', [upstream.port], { poolIdleTimeoutMs: 500, maxConnectionDurationMs: 2000 });
    const client = await world.client(world.tunnel(connect));
    await client.until(() => client.text === '!');
    world.clock.advance(5000);
    client.send('x');
    await client.until(() => client.text === '!echo');
  });
});

describe('through a proxy of HTTP/2, a tunnel', () => {
  test('a slow client is owed a whole window of the largest kind, and gets it all', async () => {
    const size = 24 * 1024 * 1024;
    let taken = 0;
    await world.h2Proxy(({ stream }) => {
      stream.respond({ ':status': 200 });
      stream.on('error', () => {});
      const block = Buffer.alloc(64 * 1024, 'z');
      const fill = (): void => {
        while (taken < size) {
          taken += block.length;
          if (!stream.write(block)) return void stream.once('drain', fill);
        }
        stream.end();
      };
      fill();
    });
    const cluster = world.clusters.get('proxy')!;
    const http2 = { ...cluster.http2, streamWindowBytes: MAX_UPSTREAM_WINDOW_BYTES };
    world.clusters.set('proxy', { ...cluster, http2 });
    const client = await world.client(world.tunnel(connect));
    client.pause();
    await untilStill(() => taken);
    expect(taken).toBeLessThan(size);
    client.resume();
    await client.untilClosed();
    expect(client.receivedBytes).toBe(size);
    client.reset();
    await world.lines.until(1);
    world.expectNothingHeld();
  });

  test('that is reset before its answer leaves the connection to the next', async () => {
    let asked = 0;
    const upstream = await world.h2Proxy(({ stream }) => {
      if (asked++ === 0) return stream.close(8);
      stream.respond({ ':status': 200, 'content-length': '2' });
      stream.write('hello');
    });
    await (await world.client(world.tunnel(connect))).untilClosed();
    const client = await world.client(world.tunnel(connect));
    await client.until(() => client.text === 'hello');
    expect(upstream.connectionCount).toBe(1);
    client.reset();
    await world.lines.until(2);
    world.expectNothingHeld();
  });

  test('outlives GOAWAY', async () => {
    let goAway: () => void = () => {};
    await world.h2Proxy(({ stream }) => {
      stream.respond({ ':status': 200 });
      stream.on('data', (data: Buffer) => stream.write(data));
      goAway = () => stream.session!.goaway(0);
    });
    const client = await world.client(world.tunnel(connect));
    client.send('a');
    await client.until(() => client.text === 'a');
    goAway();
    await turns(20);
    client.send('b');
    await client.until(() => client.text === 'ab');
  });
});
