import { describe, expect, test } from 'bun:test';
import { turns } from '@sluice/testkit';
import { forwardTo, testRoute } from '../http/test-doubles.ts';
import { createRandom } from '@sluice/runtime';
import type { Cluster } from '../cluster/cluster.ts';
import type { StreamWish, UpstreamStream } from '../http/streams.ts';
import { freshWorlds } from '../http/test-fresh-world.ts';
import { answering, reply, World } from '../http/test-world.ts';
import { plainTransport } from '../tls/transport.ts';
import { EndpointPools } from './endpoint-pools.ts';

let world: World;
freshWorlds(() => (world = new World()));

const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

async function setup(more = {}, script = answering(reply('x'))) {
  const upstream = world.upstream(script);
  const cluster = world.cluster('a', [upstream.port], more);
  const port = world.listen(() => testRoute(forwardTo('a')));
  const client = await world.client(port);
  const ask = async () => {
    client.send(get);
    return client.response();
  };
  const pool = () => (cluster.endpoints[0]!.pool as EndpointPools).all[0]!;
  return { upstream, cluster, port, client, ask, pool };
}

test('a connection carries no more requests than it may', async () => {
  const { ask, upstream } = await setup({ maxRequestsPerConnection: 2 });
  for (let i = 0; i < 6; i++) expect((await ask()).status).toBe(200);
  expect(upstream.connectionCount).toBe(3);
});

test('a connection that is too old is closed as soon as it is idle', async () => {
  const { ask, upstream } = await setup({ maxConnectionDurationMs: 1000 });
  await ask();
  world.clock.advance(1500);
  await upstream.until(() => upstream.openCount === 0);
  await ask();
  expect(upstream.connectionCount).toBe(2);
});

test('an idle connection is closed after its time', async () => {
  const { ask, upstream, pool } = await setup({ poolIdleTimeoutMs: 500 });
  await ask();
  expect(pool().idleCount).toBe(1);
  world.clock.advance(510);
  await upstream.until(() => upstream.openCount === 0);
  expect(pool().idleCount).toBe(0);
});

test('an idle connection that its peer ends is taken out', async () => {
  let end: () => void = () => {};
  const { ask, upstream, pool, cluster } = await setup({}, (peer, text) => {
    if (!text.endsWith('\r\n\r\n')) return;
    peer.clear();
    peer.send(reply('x'));
    end = () => peer.end();
  });
  await ask();
  end();
  await upstream.until(() => upstream.openCount === 0);
  while (pool().idleCount > 0) await turns();
  expect(cluster.limits.connections.current).toBe(0);
  await ask();
  expect(upstream.connectionCount).toBe(2);
});

test('the last connection used is the first used again', async () => {
  const { port, upstream } = await setup({}, (peer, text, number) => {
    if (!text.endsWith('\r\n\r\n')) return;
    peer.clear();
    if (text.includes('/wait')) held.push(() => peer.send(reply(String(number))));
    else peer.send(reply(String(number)));
  });
  const held: (() => void)[] = [];
  const one = await world.client(port);
  const two = await world.client(port);
  one.send('GET /wait HTTP/1.1\r\nHost: a\r\n\r\n');
  await upstream.until(() => held.length === 1);
  two.send('GET /wait HTTP/1.1\r\nHost: a\r\n\r\n');
  await upstream.until(() => held.length === 2);
  held[1]!();
  await two.response();
  held[0]!();
  const last = (await one.response()).body;
  two.send(get);
  expect((await two.response()).body).toBe(last);
});

test('a waiting request takes the connection that falls idle first', async () => {
  const held: (() => void)[] = [];
  const { port, cluster, upstream } = await setup({}, (peer, text) => {
    if (!text.endsWith('\r\n\r\n')) return;
    peer.clear();
    held.push(() => peer.send(reply('x')));
  });
  cluster.limits.connections.max = 1;
  const one = await world.client(port);
  const two = await world.client(port);
  one.send(get);
  await upstream.until(() => held.length === 1);
  two.send(get);
  while (cluster.limits.pendingRequests.current === 0) await turns();
  held[0]!();
  await one.response();
  await upstream.until(() => held.length === 2);
  held[1]!();
  expect((await two.response()).status).toBe(200);
  expect(upstream.connectionCount).toBe(1);
});

test('a cancelled wait gives its place back, and the connection is kept', async () => {
  const { client, cluster, pool, upstream, port } = await setup();
  client.send(get);
  client.reset();
  while (world.connections.size > 0) await turns();
  expect(cluster.limits.pendingRequests.current).toBe(0);
  const other = await world.client(port);
  other.send(get);
  await other.response();
  expect(upstream.connectionCount).toBeLessThanOrEqual(2);
  expect(pool().connectionCount).toBe(upstream.openCount);
});

test('draining closes idle connections at once and busy ones after their request', async () => {
  let answer: () => void = () => {};
  const { client, pool, upstream } = await setup({}, (peer, text) => {
    if (text.endsWith('\r\n\r\n')) answer = () => peer.send(reply('x'));
  });
  client.send(get);
  await upstream.until(() => upstream.texts.join('') !== '');
  pool().drain();
  expect(upstream.openCount).toBe(1);
  answer();
  expect((await client.response()).status).toBe(200);
  await upstream.until(() => upstream.openCount === 0);
});

test('a changed key makes a new pool and drains the old one', async () => {
  const { ask, cluster, pool, upstream } = await setup();
  await ask();
  const before = pool();
  world.clusters.set('a', { ...cluster, sourceAddress: '127.0.0.9' });
  await ask();
  expect(pool()).not.toBe(before);
  await upstream.until(() => upstream.openCount === 1);
  expect(upstream.connectionCount).toBe(2);
});

const wish = (isH2: boolean): StreamWish => ({
  mayReuse: true,
  isTunnel: false,
  isH2,
  serverName: '',
  downstream: null,
});

function poolsOf(cluster: Cluster): EndpointPools {
  const { sockets, clock, wheel: timers } = world;
  return new EndpointPools(cluster.endpoints[0]!, { sockets, timers, clock, random: createRandom(1) });
}

test('what clients of each HTTP use stays, however they take turns', async () => {
  const { cluster } = await setup({ protocol: 'downstream' });
  const pools = poolsOf(cluster);
  const [h2, h1] = [pools.poolFor(cluster, wish(true)), pools.poolFor(cluster, wish(false))];
  expect([h2.protocol, h1.protocol]).toEqual(['h2', 'h1']);
  for (let turn = 0; turn < 6; turn++)
    expect(pools.poolFor(cluster, wish(turn % 2 === 0))).toBe(turn % 2 === 0 ? h2 : h1);
  expect(pools.all).toEqual([h2, h1]);
});

test('a renewed credential exchanges the pools of both, each when it is next asked for', async () => {
  const { cluster } = await setup({ protocol: 'downstream' });
  const pools = poolsOf(cluster);
  const before = [true, false].map((isH2) => pools.poolFor(cluster, wish(isH2)));
  const renewed = { ...cluster, transportFor: () => ({ ...plainTransport, key: 'renewed' }) };
  const h1 = pools.poolFor(renewed, wish(false));
  expect(before.map((pool) => pool.isDraining)).toEqual([false, true]);
  pools.retireOutdated();
  expect(before.map((pool) => pool.isDraining)).toEqual([true, true]);
  expect(pools.all).toEqual([h1]);
  const h2 = pools.poolFor(renewed, wish(true));
  expect(pools.poolFor(renewed, wish(false))).toBe(h1);
  expect(pools.poolFor(renewed, wish(true))).toBe(h2);
});

test('a cluster that speaks something else from now on lets go of what it spoke', async () => {
  const { cluster } = await setup({ protocol: 'downstream' });
  const pools = poolsOf(cluster);
  const before = [true, false].map((isH2) => pools.poolFor(cluster, wish(isH2)));
  const fixed = pools.poolFor({ ...cluster, protocol: 'h2' }, wish(false));
  expect(fixed.protocol).toBe('h2');
  expect(before.map((pool) => pool.isDraining)).toEqual([true, true]);
  expect(pools.all).toEqual([fixed]);
});

test('pools that drain are forgotten with their last connection', async () => {
  let answer: () => void = () => {};
  const { client, cluster, upstream } = await setup({}, (peer, text) => {
    if (text.endsWith('\r\n\r\n')) answer = () => peer.send(reply('x'));
  });
  client.send(get);
  await upstream.until(() => upstream.texts.join('') !== '');
  const pools = cluster.endpoints[0]!.pool as EndpointPools;
  const [old] = pools.all;
  const renewed = { ...cluster, transportFor: () => ({ ...plainTransport, key: 'renewed' }) };
  const next = pools.poolFor(renewed, wish(false));
  expect(pools.all).toEqual([next, old!]);
  answer();
  await client.response();
  while (!old!.isEmpty) await turns();
  expect(pools.all).toEqual([next]);
});

describe('at the connection limit', () => {
  /** What a request in HTTP/2 hears, where all connections speak HTTP/1.1. */
  function askInH2(cluster: Cluster, heard: string[]): void {
    const pools = cluster.endpoints[0]!.pool as EndpointPools;
    const sink = {
      onUpstreamReady(stream: UpstreamStream): void {
        heard.push('ready');
        stream.release();
      },
      onInformational() {},
      onResponseHead() {},
      onResponseData() {},
      onResponseEnd() {},
      onUpstreamWritable() {},
      onUpstreamReset: (_reset: string, detail: string) => void heard.push(detail),
    };
    pools.poolFor(cluster, wish(true)).open(cluster, cluster.limits, sink, true);
  }

  test('an idle connection of the other HTTP gives way, to all that wait for it', async () => {
    const { ask, cluster, upstream } = await setup({ protocol: 'downstream' });
    cluster.limits.connections.max = 1;
    await ask();
    const heard: string[] = [];
    askInH2(cluster, heard);
    askInH2(cluster, heard);
    expect(cluster.limits.pendingRequests.current).toBe(2);
    while (heard.length < 2) await turns();
    expect(heard).toEqual(['ready', 'ready']);
    expect(upstream.connectionCount).toBeLessThanOrEqual(2);
    expect(cluster.limits.pendingRequests.current).toBe(0);
    expect(cluster.limits.connections.current).toBeLessThanOrEqual(1);
  });

  test('a busy one does not, and the request is refused', async () => {
    const { client, cluster, upstream } = await setup({ protocol: 'downstream' }, () => {});
    cluster.limits.connections.max = 1;
    client.send(get);
    await upstream.until(() => upstream.texts.join('') !== '');
    const heard: string[] = [];
    askInH2(cluster, heard);
    expect(heard).toEqual(['connection limit']);
    expect(cluster.limits.pendingRequests.current).toBe(0);
    expect(upstream.openCount).toBe(1);
  });
});
