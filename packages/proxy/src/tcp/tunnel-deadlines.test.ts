/** Time limits of a client's connection that pass before the tunnel for it has a connection. */
import { expect, test } from 'bun:test';
import { turns } from '@sluice/testkit';
import { freshWorlds } from '../http/test-fresh-world.ts';
import { openFullListener } from '../io/test-full-listener.ts';
import type { TcpProxyConfig } from '../listener/listener.ts';
import { connect, TunnelWorld } from './test-tunnels.ts';

let world: TunnelWorld;
freshWorlds(() => (world = new TunnelWorld()));

test.each<Partial<TcpProxyConfig>>([{ maxDownstreamConnectionDurationMs: 500 }, { idleTimeoutMs: 500 }])(
  'the request for the tunnel is taken back: %j',
  async (limit) => {
    const full = openFullListener();
    try {
      const cluster = world.cluster('proxy', [full.port], { connectTimeoutMs: 60_000 });
      const client = await world.client(world.tunnel(connect, limit));
      while (cluster.limits.pendingRequests.current === 0) await turns();
      world.clock.advance(1000);
      await client.untilClosed();
      await world.lines.until(1);
      expect(cluster.stats.counts['requestCancelled']).toBe(1);
      world.expectNothingHeld();
    } finally {
      full.close();
    }
  },
);
