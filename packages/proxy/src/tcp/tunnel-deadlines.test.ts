/** Time limits of a client's connection: before the tunnel for it has a connection, and while the proxy is slow. */
import { expect, test } from 'bun:test';
import { blackholePort, turns, untilStill } from '@sluice/testkit';
import { freshWorlds } from '../http/test-fresh-world.ts';
import type { UpstreamPeer } from '../http/test-world.ts';
import type { TcpProxyConfig } from '../listener/listener.ts';
import { connect, TunnelWorld } from './test-tunnels.ts';

let world: TunnelWorld;
freshWorlds(() => (world = new TunnelWorld()));

test.each<Partial<TcpProxyConfig>>([{ maxDownstreamConnectionDurationMs: 500 }, { idleTimeoutMs: 500 }])(
  'the request for the tunnel is taken back: %j',
  async (limit) => {
    const blackhole = await blackholePort();
    const cluster = world.cluster('proxy', [blackhole], { connectTimeoutMs: 60_000 });
    const client = await world.client(world.tunnel(connect, limit));
    while (cluster.limits.pendingRequests.current === 0) await turns();
    world.clock.advance(1000);
    await client.untilClosed();
    await world.lines.until(1);
    expect(cluster.stats.counts['requestCancelled']).toBe(1);
    world.expectNothingHeld();
  },
);

test('a proxy that is still at what came before is not idle, and gets it all', async () => {
  const total = 8 * 1024 * 1024;
  const answer = 'HTTP/1.1 200 OK\r\n\r\n';
  let peer: UpstreamPeer | null = null;
  const upstream = world.upstream((asked, text) => {
    if (peer === null && text.endsWith('\r\n\r\n')) asked.send(answer);
    peer = asked;
    asked.clear();
    asked.socket.pause();
  });
  world.cluster('proxy', [upstream.port], { bufferLimitBytes: 2 * total });
  const client = await world.client(world.tunnel(connect, { idleTimeoutMs: 500 }));
  while (peer === null) await turns();
  const { socket } = peer as UpstreamPeer;
  client.send(new Uint8Array(total));
  await untilStill(() => world.connected().bytesWritten + world.connected().bufferedBytes);
  expect(world.connected().bufferedBytes).toBeGreaterThan(0);
  for (let steps = 0; world.connected().bufferedBytes > 0; steps++) {
    const before = world.connected().bytesWritten;
    for (let reads = 0; reads < 200 && world.connected().bytesWritten === before; reads++) {
      socket.resume();
      await turns(2);
    }
    world.clock.advance(600);
    expect([world.connected().isOpen, steps < 100]).toEqual([true, true]);
  }
  while (upstream.receivedBytes < total) {
    socket.resume();
    await turns();
  }
  client.reset();
  await world.lines.until(1);
  world.expectNothingHeld();
});
