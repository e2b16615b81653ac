/** Fields of a cluster that the decoder knows and this proxy does not act on. */
import { RawBufferTable, unpackAny } from '@sluice/xds';
import type { Cluster as ClusterMessage, TransportSocket } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';

export function reportUnhonouredCluster(message: ClusterMessage, scope: ProblemScope): void {
  scope.unhonouredWhenSet(
    {
      health_checks: message.healthChecks,
      outlier_detection: message.outlierDetection,
      lb_subset_config: message.lbSubsetConfig,
      ring_hash_lb_config: message.ringHashLbConfig,
      maglev_lb_config: message.maglevLbConfig,
      http_protocol_options: message.httpProtocolOptions,
      typed_dns_resolver_config: message.typedDnsResolverConfig,
      close_connections_on_host_health_failure: message.closeConnectionsOnHostHealthFailure,
      ignore_health_on_host_removal: message.ignoreHealthOnHostRemoval,
      track_cluster_stats: message.trackClusterStats,
      connection_pool_per_downstream_connection: message.connectionPoolPerDownstreamConnection,
    },
    'not supported by this proxy',
  );
  if (message.waitForWarmOnInit === false)
    scope.unhonoured('wait_for_warm_on_init', 'clusters always warm up');
  if (message.transportSocket !== undefined && !isPlain(message.transportSocket)) {
    // An error even where unhonoured fields only warn: traffic meant to be encrypted must not go in the clear.
    scope.at('transport_socket').error(`"${message.transportSocket.name}" is not supported`);
  }
  for (const [i, match] of message.transportSocketMatches.entries()) {
    if (match.transportSocket === undefined || isPlain(match.transportSocket)) continue;
    const name = match.transportSocket.name;
    scope.at('transport_socket_matches', i).unhonoured('transport_socket', `"${name}" is not supported`);
  }
}

export function isPlain(socket: TransportSocket): boolean {
  if (socket.typedConfig === undefined) return socket.name === 'envoy.transport_sockets.raw_buffer';
  return unpackAny(socket.typedConfig, RawBufferTable) !== undefined;
}
