/** Gives attempts their streams: the endpoint's pool, or a connection of its own for a tunnel. */
import type { Cluster, Endpoint, PriorityLimits } from '../cluster/cluster.ts';
import type { ResponseSink, UpstreamConnector } from '../http/streams.ts';
import { H1Pool, poolKey, type PoolServices } from './pool.ts';
import { TunnelStream } from './tunnel-stream.ts';

export function createConnector(services: PoolServices): UpstreamConnector {
  const tunnels = new Map<ResponseSink, TunnelStream>();
  return {
    open(cluster, limits, endpoint, sink, mayReuse, isTunnel) {
      if (isTunnel) openTunnel(services, tunnels, cluster, limits, endpoint, sink);
      else poolOf(cluster, endpoint, services).open(cluster, limits, sink, mayReuse);
    },
    cancel(endpoint, sink) {
      const tunnel = tunnels.get(sink);
      if (tunnel !== undefined) tunnel.release();
      else if (endpoint.pool instanceof H1Pool) endpoint.pool.cancel(sink);
    },
  };
}

function poolOf(cluster: Cluster, endpoint: Endpoint, services: PoolServices): H1Pool {
  const current = endpoint.pool;
  if (current instanceof H1Pool && (current.isOf(cluster) || current.key === poolKey(cluster, endpoint)))
    return current;
  current?.drain();
  const pool = new H1Pool(cluster, endpoint, services);
  endpoint.pool = pool;
  return pool;
}

function openTunnel(
  services: PoolServices,
  tunnels: Map<ResponseSink, TunnelStream>,
  cluster: Cluster,
  limits: PriorityLimits,
  endpoint: Endpoint,
  sink: ResponseSink,
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
  tunnel.connect(services.sockets);
}
