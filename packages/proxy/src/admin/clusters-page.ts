/**
 * `/clusters`: endpoints and their numbers, added up over the data loops, in Envoy's text lines
 * (`name::ip:port::cx_active::3`) or its JSON.
 */
import type { ClusterReport, EndpointReport, LoopReport } from '../data-loop.ts';
import { jsonReply, textReply, type AdminReply } from './exchange.ts';
import type { ClusterFacts, LimitFacts } from './source.ts';

export function clustersPage(
  clusters: readonly ClusterFacts[],
  reports: readonly LoopReport[],
  query: URLSearchParams,
): AdminReply {
  const endpoints = mergeReports(reports);
  if (query.get('format') === 'json') {
    return jsonReply({
      cluster_statuses: clusters.map((cluster) => clusterStatus(cluster, endpoints.get(cluster.name) ?? [])),
    });
  }
  return textReply(
    clusters.map((cluster) => clusterText(cluster, endpoints.get(cluster.name) ?? [])).join(''),
  );
}

/** Each loop has its own pools, and so its own numbers, for the same endpoints. */
export function mergeReports(reports: readonly LoopReport[]): Map<string, EndpointReport[]> {
  const merged = new Map<string, Map<string, EndpointReport>>();
  for (const { clusters } of reports) for (const cluster of clusters) mergeCluster(merged, cluster);
  return new Map([...merged].map(([name, endpoints]) => [name, [...endpoints.values()]]));
}

function mergeCluster(merged: Map<string, Map<string, EndpointReport>>, cluster: ClusterReport): void {
  let endpoints = merged.get(cluster.name);
  if (endpoints === undefined) merged.set(cluster.name, (endpoints = new Map()));
  for (const endpoint of cluster.endpoints) {
    const other = endpoints.get(endpoint.label);
    endpoints.set(endpoint.label, other === undefined ? endpoint : addUp(other, endpoint));
  }
}

function addUp(a: EndpointReport, b: EndpointReport): EndpointReport {
  return {
    ...a,
    activeRequests: a.activeRequests + b.activeRequests,
    isAvoided: a.isAvoided || b.isAvoided,
    stats: {
      requests: a.stats.requests + b.stats.requests,
      errors: a.stats.errors + b.stats.errors,
      successes: a.stats.successes + b.stats.successes,
      timeouts: a.stats.timeouts + b.stats.timeouts,
      connections: a.stats.connections + b.stats.connections,
      connectFailures: a.stats.connectFailures + b.stats.connectFailures,
      activeConnections: a.stats.activeConnections + b.stats.activeConnections,
    },
  };
}

function clusterText(cluster: ClusterFacts, endpoints: readonly EndpointReport[]): string {
  const { name } = cluster;
  const lines = [
    `${name}::observability_name::${cluster.statName}`,
    ...limitLines(`${name}::default_priority`, cluster.limits),
    ...limitLines(`${name}::high_priority`, cluster.highPriorityLimits),
    `${name}::added_via_api::${cluster.isAddedByApi}`,
  ];
  for (const endpoint of endpoints) {
    for (const [key, value] of endpointFields(endpoint))
      lines.push(`${name}::${endpoint.label}::${key}::${value}`);
  }
  return `${lines.join('\n')}\n`;
}

function limitLines(prefix: string, limits: LimitFacts): string[] {
  return [
    `${prefix}::max_connections::${limits.maxConnections}`,
    `${prefix}::max_pending_requests::${limits.maxPendingRequests}`,
    `${prefix}::max_requests::${limits.maxRequests}`,
    `${prefix}::max_retries::${limits.maxRetries}`,
  ];
}

function endpointFields(endpoint: EndpointReport): [string, string | number][] {
  const { stats } = endpoint;
  return [
    ['cx_active', stats.activeConnections],
    ['cx_connect_fail', stats.connectFailures],
    ['cx_total', stats.connections],
    ['rq_active', endpoint.activeRequests],
    ['rq_error', stats.errors],
    ['rq_success', stats.successes],
    ['rq_timeout', stats.timeouts],
    ['rq_total', stats.requests],
    ['hostname', endpoint.hostname],
    ['health_flags', healthFlags(endpoint)],
    ['weight', endpoint.weight],
    ['region', endpoint.region],
    ['zone', endpoint.zone],
    ['sub_zone', endpoint.subZone],
    ['canary', 'false'],
    ['priority', endpoint.priority],
    ['success_rate', -1],
    ['local_origin_success_rate', -1],
    // Ours: a connection was refused a moment ago, so others are preferred.
    ['avoided', `${endpoint.isAvoided}`],
  ];
}

function healthFlags(endpoint: EndpointReport): string {
  switch (endpoint.health) {
    case 'UNKNOWN':
    case 'HEALTHY':
      return 'healthy';
    case 'DEGRADED':
      return '/degraded_eds_health';
    case 'UNHEALTHY':
    case 'DRAINING':
    case 'TIMEOUT':
      return '/failed_eds_health';
  }
}

function clusterStatus(cluster: ClusterFacts, endpoints: readonly EndpointReport[]): object {
  return {
    name: cluster.name,
    added_via_api: cluster.isAddedByApi,
    host_statuses: endpoints.map(hostStatus),
    circuit_breakers: {
      thresholds: [threshold('DEFAULT', cluster.limits), threshold('HIGH', cluster.highPriorityLimits)],
    },
    observability_name: cluster.statName,
  };
}

function threshold(priority: string, limits: LimitFacts): object {
  return {
    priority,
    max_connections: limits.maxConnections,
    max_pending_requests: limits.maxPendingRequests,
    max_requests: limits.maxRequests,
    max_retries: limits.maxRetries,
  };
}

function hostStatus(endpoint: EndpointReport): object {
  const { stats } = endpoint;
  const metric = (name: string, value: number, type: 'COUNTER' | 'GAUGE'): object => ({
    type,
    value: `${value}`,
    name,
  });
  return {
    address: addressJson(endpoint.label),
    stats: [
      metric('cx_connect_fail', stats.connectFailures, 'COUNTER'),
      metric('cx_total', stats.connections, 'COUNTER'),
      metric('rq_error', stats.errors, 'COUNTER'),
      metric('rq_success', stats.successes, 'COUNTER'),
      metric('rq_timeout', stats.timeouts, 'COUNTER'),
      metric('rq_total', stats.requests, 'COUNTER'),
      metric('cx_active', stats.activeConnections, 'GAUGE'),
      metric('rq_active', endpoint.activeRequests, 'GAUGE'),
    ],
    health_status: { eds_health_status: endpoint.health === 'UNKNOWN' ? 'HEALTHY' : endpoint.health },
    weight: endpoint.weight,
    hostname: endpoint.hostname,
    priority: endpoint.priority,
    locality: { region: endpoint.region, zone: endpoint.zone, sub_zone: endpoint.subZone },
  };
}

/** From `10.0.0.7:9080`, `[fd00::7]:9080` or a socket path. */
export function addressJson(label: string): object {
  const match = /^\[?([^\]]*?)\]?:(\d+)$/.exec(label);
  if (match === null) return { pipe: { path: label } };
  return { socket_address: { address: match[1] ?? '', port_value: Number(match[2]) } };
}
