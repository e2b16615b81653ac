/**
 * Envoy's dotted statistic names (`cluster.name.upstream_rq_2xx`) from metric names and labels: `/stats`
 * and `/stats/prometheus` show one set of series in two notations.
 */
import type { Labels } from '@sluice/runtime';
import { GRPC_METHOD_LABEL, GRPC_SERVICE_LABEL, GRPC_STAT_PREFIX } from './grpc-call-stats.ts';

interface Scope {
  readonly prefix: string;
  readonly label: string;
  readonly textPrefix: string;
}

const SCOPES: readonly Scope[] = [
  { prefix: 'envoy_cluster_', label: 'envoy_cluster_name', textPrefix: 'cluster' },
  { prefix: 'envoy_http_', label: 'envoy_http_conn_manager_prefix', textPrefix: 'http' },
  { prefix: 'envoy_listener_', label: 'envoy_listener_address', textPrefix: 'listener' },
  { prefix: 'envoy_tcp_', label: 'envoy_tcp_prefix', textPrefix: 'tcp' },
  { prefix: 'envoy_sds_', label: 'envoy_xds_resource_name', textPrefix: 'sds' },
];

/** Metrics without an object, or with one that Envoy's own names do not tell apart; the longest prefix first. */
const TREES: readonly (readonly [prefix: string, textPrefix: string])[] = [
  ['envoy_cluster_manager_cds_', 'cluster_manager.cds.'],
  ['envoy_cluster_manager_', 'cluster_manager.'],
  ['envoy_listener_manager_lds_', 'listener_manager.lds.'],
  ['envoy_listener_manager_', 'listener_manager.'],
  ['envoy_control_plane_', 'control_plane.'],
  ['envoy_http_rds_', 'http.rds.'],
  ['envoy_http_vhds_', 'http.vhds.'],
  ['envoy_cluster_update_', 'cluster.update_'],
  ['envoy_http2_', 'http2.'],
  ['envoy_server_', 'server.'],
];

const TLS_CIPHER = 'envoy_ssl_cipher';
const TLS_VERSION = 'envoy_ssl_version';
const CODE = 'envoy_response_code';
const CODE_CLASS = 'envoy_response_code_class';

/** The dotted name; metrics that are not Envoy's keep their name, labels in braces. */
export function statTextName(name: string, labels: Labels): string {
  if (name.startsWith(GRPC_STAT_PREFIX)) return grpcName(name.slice(GRPC_STAT_PREFIX.length), labels);
  for (const scope of SCOPES) {
    const object = labels[scope.label];
    if (object !== undefined && name.startsWith(scope.prefix)) {
      return `${scope.textPrefix}.${object}.${lastPart(name.slice(scope.prefix.length), labels)}`;
    }
  }
  for (const [prefix, textPrefix] of TREES) {
    if (name.startsWith(prefix)) return textPrefix + name.slice(prefix.length);
  }
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return pairs.length === 0 ? name : `${name}{${pairs.join(',')}}`;
}

/** `cluster.<name>.grpc.<service>.<method>.total`, or without service and method for all together. */
function grpcName(part: string, labels: Labels): string {
  const method = [labels[GRPC_SERVICE_LABEL], labels[GRPC_METHOD_LABEL]].filter(Boolean);
  return ['cluster', labels['envoy_cluster_name'], 'grpc', ...method, part].join('.');
}

function lastPart(part: string, labels: Labels): string {
  if (part.startsWith('ssl_')) return tlsPart(part.slice('ssl_'.length), labels);
  if (part.startsWith('http2_')) return `http2.${part.slice('http2_'.length)}`;
  const code = labels[CODE];
  if (code !== undefined) return `${part}_${code}`;
  const group = labels[CODE_CLASS];
  return group === undefined ? part : part.replace(/_xx$/, `_${group}xx`);
}

/** `ssl.handshake`, `ssl.ciphers.TLS_AES_128_GCM_SHA256`. */
function tlsPart(part: string, labels: Labels): string {
  const value = labels[TLS_CIPHER] ?? labels[TLS_VERSION];
  return value === undefined ? `ssl.${part}` : `ssl.${part}.${value}`;
}
