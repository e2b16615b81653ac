/** HTTP/2 towards endpoints: how many connections, whose streams, and what may be tried again when one ends. */
import { describe, expect, test } from 'bun:test';
import { turns } from '@sluice/testkit';
import { H2ErrorCode } from '@sluice/wire';
import { defaultH2Settings } from '../http/h2-settings.ts';
import { forwardTo, retryOn, testEndpoint, testRoute } from '../http/test-doubles.ts';
import { freshWorlds } from '../http/test-fresh-world.ts';
import { H2TestClient, H2TestUpstream, answersWith, type H2Script } from '../http/test-h2.ts';
import {
  END_HEADERS,
  frame,
  framed,
  GOAWAY,
  HEADERS,
  headers,
  ok,
  reset,
  type FrameScript,
} from '../http/test-h2-frames.ts';
import { World } from '../http/test-world.ts';
import { FLAG } from '../telemetry/response-flags.ts';
import type { EndpointPools } from './endpoint-pools.ts';

let world: World;
freshWorlds(() => (world = new World()));

async function setup(script: H2Script, more = {}, action = {}, settings = {}) {
  const upstream = world.owns(await new H2TestUpstream(script, settings).listen());
  const cluster = world.cluster('a', [upstream.port], { protocol: 'h2', ...more });
  const port = world.listen(() => testRoute(forwardTo('a', action)));
  const client = world.owns(new H2TestClient(port));
  const pool = () => (cluster.endpoints[0]!.pool as EndpointPools).all[0]!;
  return { upstream, cluster, client, port, pool };
}

const answer = (stream: number): Buffer => headers(stream, ok);
const goAway = (last: number, code: number = H2ErrorCode.NO_ERROR): Buffer => {
  const payload = Buffer.alloc(8);
  payload.writeUInt32BE(last, 0);
  payload.writeUInt32BE(code, 4);
  return frame(GOAWAY, 0, 0, payload);
};

describe('connections', () => {
  test('requests share one', async () => {
    const { client, upstream, cluster } = await setup(answersWith('x'));
    const calls = await Promise.all(Array.from({ length: 20 }, () => client.get()));
    for (const call of calls) expect(call).toMatchObject({ status: 200, body: 'x' });
    expect(upstream.connectionCount).toBe(1);
    expect(cluster.stats.counts).toMatchObject({ connectionOpened: 1, connectionSpeaks: 1 });
    expect(cluster.limits.connections.current).toBe(1);
    expect(cluster.limits.requests.current).toBe(0);
    expect(cluster.limits.pendingRequests.current).toBe(0);
  });

  test('as many streams each as the cluster says', async () => {
    const held: (() => void)[] = [];
    const { client, upstream } = await setup(
      ({ stream }) => {
        held.push(() => {
          stream.respond({ ':status': 200 });
          stream.end();
        });
      },
      { http2: { ...defaultH2Settings, maxConcurrentStreams: 3 } },
    );
    const calls = Array.from({ length: 7 }, () => client.call({ ':path': '/' }));
    await upstream.until(() => held.length === 7);
    expect(upstream.connectionCount).toBe(3);
    for (const release of held.splice(0)) release();
    for (const call of calls) expect((await call.end()).status).toBe(200);
    // What is left is used, the fullest last.
    const again = Array.from({ length: 3 }, () => client.call({ ':path': '/' }));
    await upstream.until(() => held.length === 3);
    for (const release of held.splice(0)) release();
    for (const call of again) expect((await call.end()).status).toBe(200);
    expect(upstream.connectionCount).toBe(3);
  });

  test('as many streams each as the endpoint allows, once it has said so', async () => {
    const held: (() => void)[] = [];
    const { client, upstream } = await setup(
      ({ stream, headers }) => {
        const finish = (): void => {
          stream.respond({ ':status': 200 });
          stream.end();
        };
        if (headers[':path'] === '/first') finish();
        else held.push(finish);
      },
      {},
      {},
      { maxConcurrentStreams: 2 },
    );
    expect((await client.get('/first')).status).toBe(200);
    const calls = Array.from({ length: 4 }, () => client.call({ ':path': '/' }));
    await upstream.until(() => held.length === 4);
    expect(upstream.connectionCount).toBe(2);
    for (const release of held.splice(0)) release();
    for (const call of calls) expect((await call.end()).status).toBe(200);
  });

  test('a burst on a connection that has said nothing yet is not refused', async () => {
    const { client, upstream } = await setup(answersWith('x'));
    expect((await client.get()).status).toBe(200);
    for (const session of upstream.sessions) session.close();
    await upstream.until(() => upstream.openCount === 0);
    const calls = await Promise.all(Array.from({ length: 300 }, () => client.get()));
    for (const call of calls) expect(call.status).toBe(200);
  });

  test('no more than the circuit breaker allows: requests wait for a stream', async () => {
    const held: (() => void)[] = [];
    const { client, upstream, cluster } = await setup(
      ({ stream }) => {
        held.push(() => {
          stream.respond({ ':status': 200 });
          stream.end();
        });
      },
      { http2: { ...defaultH2Settings, maxConcurrentStreams: 1 } },
    );
    cluster.limits.connections.max = 1;
    const calls = Array.from({ length: 3 }, () => client.call({ ':path': '/' }));
    for (let i = 0; i < 3; i++) {
      await upstream.until(() => held.length === 1);
      held.pop()!();
    }
    for (const call of calls) expect((await call.end()).status).toBe(200);
    expect(upstream.connectionCount).toBe(1);
  });

  test('pending requests are bounded', async () => {
    const { client, cluster } = await setup(answersWith('x'));
    cluster.limits.pendingRequests.max = 1;
    const calls = [client.call({ ':path': '/1' }), client.call({ ':path': '/2' })];
    const statuses = (await Promise.all(calls.map((call) => call.end()))).map(({ status }) => status);
    expect(statuses.toSorted()).toEqual([200, 503]);
    await world.log.until(2);
    expect(world.log.lines.some((line) => line.flags === FLAG.UO)).toBe(true);
  });

  test('end after so many requests, with those they carry', async () => {
    const { client, upstream } = await setup(answersWith('x'), { maxRequestsPerConnection: 2 });
    for (let i = 0; i < 5; i++) expect((await client.get()).status).toBe(200);
    expect(upstream.connectionCount).toBe(3);
    await upstream.until(() => upstream.openCount === 1);
  });

  test('end when idle, and when too old', async () => {
    const { client, upstream, pool } = await setup(answersWith('x'), { poolIdleTimeoutMs: 500 });
    await client.get();
    expect(pool().idleCount).toBe(1);
    world.clock.advance(510);
    await upstream.until(() => upstream.openCount === 0);
    while (pool().connectionCount > 0) await turns();
    expect((await client.get()).status).toBe(200);
    expect(upstream.connectionCount).toBe(2);
  });

  test('that are too old take nothing more, and end with what they carry', async () => {
    const held: (() => void)[] = [];
    const { client, upstream } = await setup(
      ({ stream, headers }) => {
        const finish = (): void => {
          stream.respond({ ':status': 200 });
          stream.end();
        };
        if (headers[':path'] === '/held') held.push(finish);
        else finish();
      },
      { maxConnectionDurationMs: 1000 },
    );
    const call = client.call({ ':path': '/held' });
    await upstream.until(() => held.length === 1);
    world.clock.advance(1500);
    await client.get('/quick');
    await client.get('/quick');
    expect(upstream.connectionCount).toBe(2);
    held[0]!();
    expect((await call.end()).status).toBe(200);
    await upstream.until(() => upstream.openCount === 1);
  });

  test('that do not answer PING are given up, and their requests fail', async () => {
    const upstream = world.upstream(framed(() => {}));
    const keepalive = { intervalMs: 1000, timeoutMs: 500, jitterPercent: 0, idleIntervalMs: 0 };
    const cluster = world.cluster('a', [upstream.port], {
      protocol: 'h2',
      http2: { ...defaultH2Settings, keepalive },
    });
    const client = world.owns(new H2TestClient(world.listen(() => testRoute(forwardTo('a')))));
    const call = client.call({ ':path': '/' });
    await upstream.until(() => (upstream.texts[0] ?? '').length > 60);
    world.clock.advance(1010);
    world.clock.advance(510);
    await call.end();
    expect(call.status).toBe(503);
    expect(cluster.stats.counts['http2.keepalive_timeout']).toBe(1);
    await world.log.until(1);
    expect(world.log.lines[0]!.flags).toBe(FLAG.UC);
  });
});

describe('what was provably not processed', () => {
  const policy = { retry: retryOn({ refusedStream: true }, { backoffBaseMs: 1, backoffMaxMs: 1 }) };

  async function retried(script: FrameScript) {
    const upstream = world.upstream(framed(script));
    world.cluster('a', [upstream.port], { protocol: 'h2' });
    const client = world.owns(new H2TestClient(world.listen(() => testRoute(forwardTo('a', policy)))));
    const call = client.call({ ':method': 'POST', ':path': '/' }, { end: false });
    call.stream.end('body');
    while (!call.isClosed) {
      world.clock.advance(5);
      await turns();
    }
    return { call, upstream };
  }

  test('REFUSED_STREAM is tried again, whatever the method', async () => {
    let count = 0;
    const { call } = await retried((peer, one) => {
      if (one.type !== HEADERS) return;
      peer.send(++count === 1 ? reset(one.stream, H2ErrorCode.REFUSED_STREAM) : answer(one.stream));
    });
    expect(call.status).toBe(200);
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({ attempts: 2, status: 200 });
  });

  test('streams above the last of GOAWAY are tried again on another connection', async () => {
    const { call, upstream } = await retried((peer, one, connection) => {
      if (one.type !== HEADERS) return;
      peer.send(connection === 1 ? goAway(0) : answer(one.stream));
    });
    expect(call.status).toBe(200);
    expect(upstream.connectionCount).toBe(2);
  });

  test('a stream that GOAWAY leaves alone is finished, and the connection closed', async () => {
    let release: () => void = () => {};
    const upstream = world.upstream(
      framed((peer, one, connection) => {
        if (one.type !== HEADERS) return;
        if (connection > 1) {
          peer.send(answer(one.stream));
          return;
        }
        peer.send(goAway(one.stream));
        release = () => peer.send(answer(one.stream));
      }),
    );
    world.cluster('a', [upstream.port], { protocol: 'h2' });
    const client = world.owns(new H2TestClient(world.listen(() => testRoute(forwardTo('a')))));
    const first = client.call({ ':path': '/1' });
    const toldBytes = 9 + 9 + goAway(0).length;
    while (world.opened.length === 0 || world.connected().bytesRead < toldBytes) await turns();
    expect((await client.get('/2')).status).toBe(200);
    expect(upstream.connectionCount).toBe(2);
    release();
    expect((await first.end()).status).toBe(200);
    await upstream.until(() => upstream.openCount === 1);
  });

  test('a reset of any other kind is not, for a POST', async () => {
    const { call } = await retried((peer, one) => {
      if (one.type === HEADERS) peer.send(reset(one.stream, H2ErrorCode.INTERNAL_ERROR));
    });
    expect(call.status).toBe(503);
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({ attempts: 1, flags: FLAG.UR });
  });

  test('nor is what was on a connection that broke the protocol', async () => {
    const { call } = await retried((peer, one) => {
      if (one.type === HEADERS)
        peer.send(frame(HEADERS, END_HEADERS, one.stream, Buffer.from([0xff, 0xff, 0xff])));
    });
    expect(call.status).toBe(502);
    await world.log.until(1);
    expect(world.log.lines[0]).toMatchObject({ attempts: 1, flags: FLAG.UPE });
  });
});

describe('protocols', () => {
  test('as the client: HTTP/1.1 and HTTP/2 side by side', async () => {
    const h2 = world.owns(await new H2TestUpstream(answersWith('two')).listen());
    world.cluster('a', [h2.port], { protocol: 'downstream' });
    const port = world.listen(() => testRoute(forwardTo('a')));
    const client = world.owns(new H2TestClient(port));
    expect((await client.get()).body).toBe('two');
    const old = await world.client(port);
    old.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    // The endpoint speaks HTTP/2 only: a request of HTTP/1.1 is not turned into one.
    expect((await old.response()).status).toBeGreaterThanOrEqual(400);
    expect((await client.get()).body).toBe('two');
  });

  test('without ALPN, `auto` is HTTP/1.1', async () => {
    const upstream = world.upstream((peer, text) => {
      if (text.endsWith('\r\n\r\n')) peer.send('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none');
    });
    world.cluster('a', [upstream.port], { protocol: 'auto' });
    const client = world.owns(new H2TestClient(world.listen(() => testRoute(forwardTo('a')))));
    const calls = await Promise.all([client.get('/1'), client.get('/2'), client.get('/3')]);
    for (const call of calls) expect(call.body).toBe('one');
    expect(upstream.connectionCount).toBe(3);
  });
});

test('the authority is the host that the last edit left', async () => {
  const upstream = world.owns(await new H2TestUpstream(answersWith('x')).listen());
  world.cluster('a', [testEndpoint(upstream.port, '127.0.0.1', 'endpoint.test')], { protocol: 'h2' });
  const port = world.listen(() => testRoute(forwardTo('a', { hostRewrite: { kind: 'auto' } })));
  const client = world.owns(new H2TestClient(port));
  await client.get('/', { ':authority': 'asked.test' });
  const old = await world.client(port);
  old.send('GET / HTTP/1.1\r\nHost: asked.test\r\n\r\n');
  await old.until(() => old.text.includes('\r\n\r\n'));
  expect(upstream.requests.map((fields) => fields[':authority'])).toEqual(['endpoint.test', 'endpoint.test']);
});

test('a client that resets its stream resets the one behind, and no other', async () => {
  const { client, upstream } = await setup(({ stream, headers }) => {
    if (headers[':path'] !== '/quick') return;
    stream.respond({ ':status': 200 });
    stream.end('quick');
  });
  const call = client.call({ ':path': '/slow' });
  await upstream.until(() => upstream.requests.length === 1);
  call.stream.close(H2ErrorCode.CANCEL);
  await world.log.until(1);
  expect(world.log.lines[0]!.flags).toBe(FLAG.DR);
  expect((await client.get('/quick')).body).toBe('quick');
  expect(upstream.connectionCount).toBe(1);
});

test('a refused connection fails all that wait for it', async () => {
  const { cluster, client, upstream } = await setup(answersWith('x'));
  upstream.stop();
  const calls = await Promise.all([client.get('/1'), client.get('/2')]);
  for (const call of calls) expect(call.status).toBe(503);
  expect(cluster.limits.connections.current).toBe(0);
  expect(cluster.limits.pendingRequests.current).toBe(0);
  await world.log.until(2);
  for (const line of world.log.lines) expect(line.flags).toBe(FLAG.UF);
});
