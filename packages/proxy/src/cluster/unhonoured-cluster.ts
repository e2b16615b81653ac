/** Fields of a cluster that the decoder knows and this proxy does not act on. */
import type { Cluster as ClusterMessage } from '@sluice/xds';
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
}
