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
  if (name.startsWith('envoy_http2_')) return `http2.${name.slice('envoy_http2_'.length)}`;
  if (name.startsWith('envoy_server_')) return `server.${name.slice('envoy_server_'.length)}`;
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
