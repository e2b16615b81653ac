/** Requests that need a connection which has carried nothing, where the limit of connections is reached. */
import { expect, test } from 'bun:test';
import { turns } from '@sluice/testkit';
import type { ResponseSink, UpstreamStream } from '../http/streams.ts';
import { forwardTo, testRoute } from '../http/test-doubles.ts';
import { freshWorlds } from '../http/test-fresh-world.ts';
import { answering, reply, World, type UpstreamPeer } from '../http/test-world.ts';
import { priorityLimits, newLimitsMemory } from '../cluster/shared-limits.ts';
import type { EndpointPools } from './endpoint-pools.ts';

let world: World;
freshWorlds(() => (world = new World()));

const get = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

function limited(maxConnections: number) {
  const memory = { total: newLimitsMemory(), share: newLimitsMemory() };
  return priorityLimits(memory, 0, 'default', {
    maxConnections,
    maxPendingRequests: 10,
    maxRequests: 10,
    maxRetries: 3,
    retryBudget: null,
  });
}

test('one whose kept-alive connection had died does not wait for the one that took its place to grow old', async () => {
  let dying: UpstreamPeer | null = null;
  let answered = 0;
  const upstream = world.upstream((peer, text, number) => {
    if (!text.endsWith('\r\n\r\n')) return;
    peer.clear();
    if (number === 1 && answered > 0) dying = peer;
    else peer.send(reply(String(answered++)));
  });
  const cluster = world.cluster('a', [upstream.port], { limits: limited(1) });
  const port = world.listen(() => testRoute(forwardTo('a', { timeoutMs: 15_000 })));
  const [one, two] = [await world.client(port), await world.client(port)];
  one.send(get);
  expect((await one.response()).body).toBe('0');
  one.send(get);
  while (dying === null) await turns();
  two.send(get);
  while (cluster.limits.pendingRequests.current === 0) await turns();
  (dying as UpstreamPeer).reset();
  expect((await two.response()).status).toBe(200);
  expect((await one.response()).status).toBe(200);
  expect(cluster.limits.connections.current).toBe(1);
});

test('an idle connection of the same pool gives way to it', async () => {
  const upstream = world.upstream(answering(reply('x')));
  const cluster = world.cluster('a', [upstream.port], { limits: limited(1) });
  const client = await world.client(world.listen(() => testRoute(forwardTo('a'))));
  client.send(get);
  await client.response();
  const pool = (cluster.endpoints[0]!.pool as EndpointPools).all[0]!;
  expect(pool.idleCount).toBe(1);
  const outcomes: string[] = [];
  const sink: Partial<ResponseSink> = {
    onUpstreamReady(stream: UpstreamStream) {
      outcomes.push(stream.isReused ? 'used' : 'fresh');
      stream.release();
    },
    onUpstreamReset: (reset) => void outcomes.push(reset),
  };
  pool.open(cluster, cluster.limits, sink as ResponseSink, false);
  while (outcomes.length === 0) await turns();
  expect(outcomes).toEqual(['fresh']);
  while (cluster.limits.connections.current > 0) await turns();
});
