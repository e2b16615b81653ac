import { describe, expect, test } from 'bun:test';
import { createRandom } from '@sluice/runtime';
import { turns } from '@sluice/testkit';
import { FLAG } from '../telemetry/response-flags.ts';
import { forwardTo, testRoute } from './test-doubles.ts';
import { freshWorlds } from './test-fresh-world.ts';
import { answering, reply, World } from './test-world.ts';

let world: World;
freshWorlds(() => (world = new World()));

function proxy() {
  const upstream = world.upstream(answering(reply('ok')));
  const cluster = world.cluster('a', [upstream.port]);
  return { upstream, cluster, port: world.listen(() => testRoute(forwardTo('a')), { codec: 'h1' }) };
}

describe('what a client may send', () => {
  const cases: readonly [string, string, number][] = [
    ['100,000 headers', `GET / HTTP/1.1\r\nHost: a\r\n${'x: y\r\n'.repeat(100_000)}\r\n`, 431],
    ['a header of 100 KB', `GET / HTTP/1.1\r\nHost: a\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`, 431],
    ['a target of 100 KB', `GET /${'y'.repeat(100_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414],
    ['two lengths', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab', 400],
    [
      'length and chunked',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      400,
    ],
    ['no host', 'GET / HTTP/1.1\r\n\r\n', 400],
    ['a NUL', 'GET / HTTP/1.1\r\nHost: a\r\nx: \0\r\n\r\n', 400],
    ['TLS on a plain port', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', 400],
    ['HTTP/2 where it is not spoken', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
  ];
  for (const [what, bytes, status] of cases) {
    test(`${what}: ${status}, closed, logged, never forwarded`, async () => {
      const { port, upstream } = proxy();
      const client = await world.client(port);
      client.send(Buffer.from(bytes, 'latin1'));
      const response = await client.response();
      expect(response.status).toBe(status);
      expect(response.head).toContain('connection: close');
      await client.untilClosed();
      await world.log.until(1);
      expect(world.log.lines[0]).toMatchObject({ status, flags: FLAG.DPE, details: 'http1.codec_error' });
      expect(upstream.connectionCount).toBe(0);
    });
  }

  test('a chunk that lies ends the request with 400 and the upstream connection with it', async () => {
    const upstream = world.upstream(() => {});
    world.cluster('a', [upstream.port]);
    const client = await world.client(world.listen(() => testRoute(forwardTo('a'))));
    client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
    await upstream.until(() => upstream.texts.join('').includes('abc'));
    client.send('zz\r\n');
    expect((await client.response()).status).toBe(400);
    await world.log.until(1);
    expect(world.log.lines[0]!.flags & FLAG.DPE).toBe(FLAG.DPE);
    await upstream.until(() => upstream.openCount === 0);
  });

  test('one octet at a time is served', async () => {
    const { port } = proxy();
    const client = await world.client(port);
    for (const octet of 'GET / HTTP/1.1\r\nHost: a\r\n\r\n') {
      client.send(octet);
      await turns();
    }
    expect((await client.response()).body).toBe('ok');
  });

  test('half a request and gone leaves nothing behind', async () => {
    const { port, cluster } = proxy();
    for (const part of [
      '',
      'G',
      'GET / HTTP/1.1\r\n',
      'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc',
    ]) {
      for (const end of ['end', 'reset'] as const) {
        const client = await world.client(port);
        client.send(part);
        await turns();
        client[end]();
      }
    }
    while (world.connections.size > 0) await turns();
    expect(cluster.limits.requests.current).toBe(0);
    expect(cluster.limits.pendingRequests.current).toBe(0);
  });
});

test('resets at random points of requests and responses leave counters at zero and others served', async () => {
  const random = createRandom('resets');
  const upstream = world.upstream((peer, text) => {
    if (!text.endsWith('\r\n\r\n') && !text.endsWith('zzz')) return;
    peer.clear();
    const draw = random.int(5);
    if (draw === 0) peer.reset();
    else if (draw === 1) {
      peer.send('HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf');
      peer.reset();
    } else peer.send(reply('x'.repeat(random.int(3000))));
  });
  const cluster = world.cluster('a', [upstream.port]);
  const port = world.listen(() => testRoute(forwardTo('a')));
  const whole = [
    'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n${'z'.repeat(2000)}`,
  ];
  for (let round = 0; round < 120; round++) {
    const client = await world.client(port);
    const request = whole[random.int(2)]!;
    client.send(request.slice(0, 1 + random.int(request.length)));
    for (let turn = random.int(4); turn > 0; turn--) await turns();
    if (random.int(2) === 0) client.reset();
    else client.end();
  }
  while (world.connections.size > 0) await turns();
  await upstream.until(() => cluster.limits.connections.current <= upstream.openCount);
  expect(cluster.limits.requests.current).toBe(0);
  expect(cluster.limits.pendingRequests.current).toBe(0);
  expect(cluster.endpoints[0]!.activeRequests).toBe(0);
  const survivor = world.upstream(answering(reply('alive')));
  world.cluster('a', [survivor.port]);
  const client = await world.client(port);
  client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  expect((await client.response()).body).toBe('alive');
});
