/** Gives attempts their streams: the endpoint's pool, or a connection of its own for a tunnel. */
import type { Cluster, Endpoint, PriorityLimits } from '../cluster/cluster.ts';
import type { ResponseSink, StreamWish, UpstreamConnector } from '../http/streams.ts';
import type { PoolServices } from './pool-services.ts';
import { EndpointPools } from './endpoint-pools.ts';
import { TunnelStream } from './tunnel-stream.ts';

export function createConnector(services: PoolServices): UpstreamConnector {
  const tunnels = new Map<ResponseSink, TunnelStream>();
  return {
    open(cluster, limits, endpoint, sink, wish) {
      if (wish.isTunnel) openTunnel(services, tunnels, cluster, limits, endpoint, sink, wish);
      else poolsOf(endpoint, services).poolFor(cluster, wish).open(cluster, limits, sink, wish.mayReuse);
    },
    cancel(endpoint, sink) {
      const tunnel = tunnels.get(sink);
      if (tunnel !== undefined) tunnel.release();
      else if (endpoint.pool instanceof EndpointPools) endpoint.pool.cancel(sink);
    },
  };
}

function poolsOf(endpoint: Endpoint, services: PoolServices): EndpointPools {
  const current = endpoint.pool;
  if (current instanceof EndpointPools) return current;
  const pools = new EndpointPools(endpoint, services);
  endpoint.pool = pools;
  return pools;
}

function openTunnel(
  services: PoolServices,
  tunnels: Map<ResponseSink, TunnelStream>,
  cluster: Cluster,
  limits: PriorityLimits,
  endpoint: Endpoint,
  sink: ResponseSink,
  wish: StreamWish,
): void {
  if (!limits.connections.tryAcquire()) {
    cluster.stats.connectionOverflow();
    sink.onUpstreamReset('overflow', 'connection limit');
    return;
  }
  const tunnel = new TunnelStream(cluster, endpoint, sink, () => {
    limits.connections.release();
    tunnels.delete(sink);
  });
  tunnels.set(sink, tunnel);
  tunnel.connect(services.sockets, wish.downstream);
}
