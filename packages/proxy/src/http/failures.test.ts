import { describe, expect, test } from 'bun:test';
import { blackholePort, refusingPort } from '@sluice/testkit';
import { FLAG } from '../telemetry/response-flags.ts';
import { forwardTo, retryOn, testRoute } from './test-doubles.ts';
import { freshWorlds } from './test-fresh-world.ts';
import { answering, reply, World } from './test-world.ts';

let world: World;
freshWorlds(() => (world = new World()));

const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';
const post = 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody';

async function ask(port: number, request = get) {
  const client = await world.client(port);
  client.send(request);
  return client.response();
}

function problem(body: string) {
  return JSON.parse(body) as Record<string, unknown>;
}

describe('replies of the proxy', () => {
  test('no route: 404 NR, and a problem document that names the listener', async () => {
    const response = await ask(world.listen(() => null));
    expect(response.status).toBe(404);
    expect(response.head).toContain('x-sluice-reason: route-not-found');
    expect(response.head).toContain('content-type: application/problem+json');
    expect(problem(response.body)).toMatchObject({
      status: 404,
      reason: 'route-not-found',
      listener: 'test',
      requestId: expect.any(String),
    });
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({
      status: 404,
      flags: FLAG.NR,
      details: 'route_not_found',
      reason: 'route-not-found',
    });
  });

  test('at an edge only reason and request id are told', async () => {
    const response = await ask(world.listen(() => null, { isEdge: true }));
    expect(Object.keys(problem(response.body)).sort()).toEqual(['reason', 'requestId', 'status']);
  });

  test('a missing route table names the table', async () => {
    const response = await ask(world.listen(() => null, { routes: () => null, routeTableName: '9080' }));
    expect(response.status).toBe(404);
    expect(problem(response.body)['detail']).toContain('9080');
  });

  test('no cluster: 503 NC; no endpoint: 503 UH', async () => {
    expect((await ask(world.listen(() => testRoute(forwardTo('none'))))).head).toContain(
      'x-sluice-reason: cluster-not-found',
    );
    world.cluster('empty', []);
    expect((await ask(world.listen(() => testRoute(forwardTo('empty'))))).head).toContain(
      'x-sluice-reason: no-healthy-upstream',
    );
    await world.log.until(2);
    expect(world.log.lines.map((line) => line.flags)).toEqual([FLAG.NC, FLAG.UH]);
  });

  test('gRPC requests are answered in its terms', async () => {
    const port = world.listen(() => null);
    const response = await ask(
      port,
      'POST /s/m HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n',
    );
    expect(response.status).toBe(200);
    expect(response.head).toContain('grpc-status: 12');
    expect(response.head).toContain('grpc-message: ');
    expect(response.body).toBe('');
  });

  test('redirects and direct responses', async () => {
    const redirect = world.listen(() =>
      testRoute({
        kind: 'redirect',
        status: 301,
        scheme: null,
        httpsRedirect: true,
        host: null,
        port: null,
        rewrite: null,
        stripQuery: false,
      }),
    );
    expect((await ask(redirect, 'GET /x?y HTTP/1.1\r\nHost: shop:80\r\n\r\n')).head).toContain(
      'location: https://shop/x?y',
    );
    const direct = world.listen(() => testRoute({ kind: 'direct', status: 418, body: Buffer.from('tea') }));
    expect(await ask(direct)).toMatchObject({ status: 418, body: 'tea' });
  });

  test('a keep-alive connection survives a proxy-made reply', async () => {
    const client = await world.client(world.listen(() => null));
    for (let i = 0; i < 3; i++) {
      client.send(get);
      expect((await client.response()).status).toBe(404);
    }
  });
});

describe('connecting', () => {
  test('a refused endpoint is UF when there is no other', async () => {
    const cluster = world.cluster('a', [refusingPort()]);
    const response = await ask(world.listen(() => testRoute(forwardTo('a'))));
    expect(response.status).toBe(503);
    expect(response.head).toContain('x-sluice-reason: upstream-connect-failed');
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({
      flags: FLAG.UF,
      details: 'upstream_reset_before_response_started{remote_connection_failure}',
    });
    expect(cluster.endpoints[0]!.stats.connectFailures).toBe(1);
    expect(cluster.endpoints[0]!.avoidUntilMs).toBeGreaterThan(world.clock.nowMs());
    expect(cluster.limits.connections.current).toBe(0);
    expect(cluster.limits.pendingRequests.current).toBe(0);
    expect(cluster.limits.requests.current).toBe(0);
  });

  test('a refused endpoint is passed over at once when there is another', async () => {
    const good = world.upstream(answering(reply('ok')));
    world.cluster('a', [refusingPort(), good.port]);
    const port = world.listen(() => testRoute(forwardTo('a')));
    expect((await ask(port)).body).toBe('ok');
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({ status: 200, attempts: 1, flags: 0 });
    expect(world.log.lines[0]!.decisions[0]).toContain('pass-over');
  });

  test('an endpoint that never answers the SYN times out', async () => {
    const blackhole = await blackholePort();
    world.cluster('a', [blackhole], { connectTimeoutMs: 250 });
    const client = await world.client(world.listen(() => testRoute(forwardTo('a'))));
    client.send(get);
    await world.advanceUntil(() => client.text !== '');
    expect((await client.response()).head).toContain('x-sluice-reason: upstream-connect-timeout');
  });

  test('circuit breakers: pending and request limits answer UO', async () => {
    const upstream = world.upstream(() => {});
    for (const limit of ['pendingRequests', 'requests'] as const) {
      const cluster = world.cluster(limit, [upstream.port]);
      cluster.limits[limit].max = 0;
      const response = await ask(world.listen(() => testRoute(forwardTo(limit))));
      expect(response.status).toBe(503);
      expect(response.head).toContain('x-envoy-overloaded: true');
    }
    await world.log.until(2);
    expect(world.log.lines.map((line) => line.flags)).toEqual([FLAG.UO, FLAG.UO]);
  });
});

describe('upstream failures', () => {
  test('a close before any byte of a first-use connection is UC', async () => {
    const upstream = world.upstream((peer) => peer.reset());
    world.cluster('a', [upstream.port]);
    expect((await ask(world.listen(() => testRoute(forwardTo('a'))))).head).toContain(
      'x-sluice-reason: upstream-reset',
    );
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({
      status: 503,
      flags: FLAG.UC,
      details: 'upstream_reset_before_response_started{connection_termination}',
    });
  });

  for (const [what, end] of [
    ['a FIN', (peer: { end(): void }) => peer.end()],
    ['a reset', (peer: { reset(): void }) => peer.reset()],
  ] as const) {
    test(`${what} instead of an answer on a kept-alive connection is hidden for GET`, async () => {
      const upstream = world.upstream((peer, text, number) => {
        if (!text.endsWith('\r\n\r\n')) return;
        peer.clear();
        if (number === 1 && upstream.texts[0]!.split('GET').length > 2) end(peer as never);
        else peer.send(reply(`from ${number}`));
      });
      world.cluster('a', [upstream.port]);
      const client = await world.client(world.listen(() => testRoute(forwardTo('a'))));
      client.send(get);
      expect((await client.response()).body).toBe('from 1');
      client.send(get);
      expect((await client.response()).body).toBe('from 2');
      await world.log.until(2);
      expect(world.log.lines[1]).toMatchObject({ status: 200, flags: 0, attempts: 2 });
      expect(world.log.lines[1]!.decisions[0]).toContain('reconnect');
    });
  }

  test('it is not hidden for POST, which may have been processed', async () => {
    const upstream = world.upstream((peer, text, number) => {
      if (text.includes('POST')) peer.reset();
      else {
        peer.clear();
        peer.send(reply(`from ${number}`));
      }
    });
    world.cluster('a', [upstream.port]);
    const client = await world.client(world.listen(() => testRoute(forwardTo('a'))));
    client.send(get);
    await client.response();
    client.send(post);
    expect((await client.response()).status).toBe(503);
    expect(upstream.connectionCount).toBe(1);
  });

  test('a POST with an Idempotency-Key is repeated', async () => {
    const upstream = world.upstream((peer, text, number) => {
      if (text.includes('POST') && number === 1) peer.reset();
      else if (text.endsWith('body') || text.startsWith('GET')) {
        peer.clear();
        peer.send(reply(`from ${number}`));
      }
    });
    world.cluster('a', [upstream.port]);
    const client = await world.client(world.listen(() => testRoute(forwardTo('a'))));
    client.send(get);
    await client.response();
    client.send('POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: k\r\nContent-Length: 4\r\n\r\nbody');
    expect((await client.response()).body).toBe('from 2');
  });

  test('garbage is 502 UPE, and the connection is not used again', async () => {
    const upstream = world.upstream((peer) => peer.send('SSH-2.0-OpenSSH\r\n\r\n'));
    world.cluster('a', [upstream.port]);
    const response = await ask(world.listen(() => testRoute(forwardTo('a'))));
    expect(response.status).toBe(502);
    await world.log.until(1);
    expect(world.log.lines[0]!.flags).toBe(FLAG.UPE);
    await upstream.until(() => upstream.openCount === 0);
  });

  test('a response cut in the middle closes the client, visibly', async () => {
    const upstream = world.upstream((peer) => {
      peer.send('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf');
      peer.end();
    });
    world.cluster('a', [upstream.port]);
    const client = await world.client(world.listen(() => testRoute(forwardTo('a'))));
    client.send(get);
    await client.untilClosed();
    expect(client.text).toEndWith('half');
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({
      status: 200,
      flags: FLAG.UC,
      details: 'upstream_reset_after_response_started{connection_termination}',
    });
  });
});

describe('retries', () => {
  function flaky(failures: number, fail = reply('bad', 'HTTP/1.1 503 Unavailable')) {
    let seen = 0;
    return world.upstream((peer, text) => {
      if (!text.endsWith('\r\n\r\n') && !text.endsWith('body')) return;
      peer.clear();
      peer.send(seen++ < failures ? fail : reply('good'));
    });
  }

  test('5xx is retried with backoff until it succeeds', async () => {
    const cluster = world.cluster('a', [flaky(2).port]);
    const client = await world.client(
      world.listen(() => testRoute(forwardTo('a', { retry: retryOn({ fiveXx: true }) }))),
    );
    client.send(post);
    await world.advanceUntil(() => client.text !== '');
    expect((await client.response()).body).toBe('good');
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({ status: 200, attempts: 3, flags: 0 });
    expect(cluster.limits.retries.current).toBe(0);
    expect(cluster.stats.counts['requestRetried']).toBe(2);
  });

  test('no retry comes sooner than the least backoff, whatever the jitter draws', async () => {
    const arrivedMs: number[] = [];
    const upstream = world.upstream((peer, text) => {
      if (!text.endsWith('\r\n\r\n')) return;
      peer.clear();
      arrivedMs.push(world.clock.nowMs());
      peer.send(arrivedMs.length < 3 ? reply('bad', 'HTTP/1.1 503 Unavailable') : reply('good'));
    });
    world.cluster('a', [upstream.port]);
    const short = { backoffBaseMs: 1, backoffMaxMs: 1, backoffLeastMs: 500 };
    const client = await world.client(
      world.listen(() => testRoute(forwardTo('a', { retry: retryOn({ fiveXx: true }, short) }))),
    );
    client.send(get);
    await world.advanceUntil(() => client.text !== '');
    expect((await client.response()).body).toBe('good');
    const [first = 0, second = 0, third = 0] = arrivedMs;
    expect(second - first).toBeGreaterThanOrEqual(500);
    expect(third - second).toBeGreaterThanOrEqual(500);
  });

  test('the limit is URX, and the last response is forwarded', async () => {
    world.cluster('a', [flaky(9).port]);
    const client = await world.client(
      world.listen(() =>
        testRoute(forwardTo('a', { retry: retryOn({ gatewayError: true }, { maxRetries: 1 }) })),
      ),
    );
    client.send(get);
    await world.advanceUntil(() => client.text !== '');
    expect(await client.response()).toMatchObject({ status: 503, body: 'bad' });
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({ attempts: 2, flags: FLAG.URX, details: 'via_upstream' });
  });

  test('a spent budget is UO', async () => {
    const cluster = world.cluster('a', [flaky(9).port]);
    cluster.limits.retries.max = 0;
    expect(
      (await ask(world.listen(() => testRoute(forwardTo('a', { retry: retryOn({ fiveXx: true }) }))))).status,
    ).toBe(503);
    await world.log.until(1);
    expect(world.log.lines[0]!.flags).toBe(FLAG.UO);
  });

  test('previous hosts are avoided', async () => {
    const bad = flaky(9);
    const good = flaky(0);
    world.cluster('a', [bad.port, good.port]);
    const client = await world.client(
      world.listen(() =>
        testRoute(forwardTo('a', { retry: retryOn({ fiveXx: true }, { avoidPreviousHosts: true }) })),
      ),
    );
    client.send(get);
    await world.advanceUntil(() => client.text !== '');
    expect((await client.response()).body).toBe('good');
    expect([bad.connectionCount, good.connectionCount]).toEqual([1, 1]);
  });

  test('safe retry: GET on reset yes, POST no, POST with a key yes', async () => {
    const on = retryOn({}).on;
    const safe = { methods: new Set(['GET']), honourIdempotencyKey: true, on: { ...on, reset: true } };
    const route = () => testRoute(forwardTo('a', { retry: retryOn({ connectFailure: true }, { safe }) }));
    const upstream = world.upstream((peer, text, number) => {
      if (!text.endsWith('\r\n\r\n') && !text.endsWith('body')) return;
      if (number % 2 === 1) peer.reset();
      else {
        peer.send('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok');
      }
    });
    world.cluster('a', [upstream.port]);
    const port = world.listen(route);
    const getter = await world.client(port);
    getter.send(get);
    await world.advanceUntil(() => getter.text !== '');
    expect((await getter.response()).status).toBe(200);
    const poster = await world.client(port);
    poster.send(post);
    await world.advanceUntil(() => poster.text !== '');
    expect((await poster.response()).status).toBe(503);
    const another = await world.client(port);
    another.send(get);
    await world.advanceUntil(() => another.text !== '');
    expect((await another.response()).status).toBe(200);
    const keyed = await world.client(port);
    keyed.send('POST / HTTP/1.1\r\nHost: a\r\nIdempotency-Key: 1\r\nContent-Length: 4\r\n\r\nbody');
    await world.advanceUntil(() => keyed.text !== '');
    expect((await keyed.response()).status).toBe(200);
  });

  test('a body over 64 KiB is not replayed, and the record says so', async () => {
    const upstream = world.upstream((peer, text) => {
      if (text.length > 100_000) {
        peer.clear();
        peer.send(reply('bad', 'HTTP/1.1 503 Unavailable'));
      }
    });
    world.cluster('a', [upstream.port]);
    const client = await world.client(
      world.listen(() => testRoute(forwardTo('a', { retry: retryOn({ fiveXx: true }) }))),
    );
    client.send(`POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(100_000)}`);
    expect((await client.response()).status).toBe(503);
    await world.log.until(1);
    expect(world.log.lines[0]!.decisions).toContain('retry: skipped: body over 64 KiB');
  });

  test('a body within it is replayed byte for byte', async () => {
    const upstream = flaky(1);
    world.cluster('a', [upstream.port]);
    const client = await world.client(
      world.listen(() => testRoute(forwardTo('a', { retry: retryOn({ fiveXx: true }) }))),
    );
    client.send(post);
    await world.advanceUntil(() => client.text !== '');
    expect((await client.response()).status).toBe(200);
    const sent = upstream.texts.join('').split('POST ').slice(1);
    expect(sent.length).toBe(2);
    for (const request of sent) expect(request).toEndWith('\r\n\r\nbody');
  });
});
