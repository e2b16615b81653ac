/** `sluice status --edges`: how calls between workloads are secured, and why. */
import type { EdgeView } from '../mesh/views.ts';
import type { Palette } from './palette.ts';
import { renderTable } from './table.ts';

export const securityNames: Readonly<Record<EdgeView['security'], string>> = {
  'mutual-tls': 'mutual TLS',
  tls: 'TLS',
  plaintext: 'plaintext',
  mixed: 'mixed',
  refused: 'refused',
  none: 'no endpoints',
};

/** What proxies saw, by client workload and service. */
export interface ObservedEdge {
  readonly mutualTls: number;
  readonly plaintext: number;
}

/** `client.namespace service` */
export type ObservedEdges = ReadonlyMap<string, ObservedEdge>;

export function edgeId({ client, service }: Pick<EdgeView, 'client' | 'service'>): string {
  return `${client.workload}.${client.namespace} ${service}`;
}

export function renderEdges(edges: readonly EdgeView[], observed: ObservedEdges, palette: Palette): string {
  if (edges.length === 0) return 'no workload with a sidecar calls a service\n';
  const rows = edges.map((edge) => [
    `${edge.client.workload}.${edge.client.namespace}`,
    `${edge.service}:${edge.port}${edge.subset === '' ? '' : ` (${edge.subset})`}`,
    securityNames[edge.security],
    seenText(observed.get(edgeId(edge))),
    edge.reason,
  ]);
  const used = edges.filter((edge) => edge.security !== 'none');
  const mutual = used.filter((edge) => edge.security === 'mutual-tls').length;
  const text = `${mutual} of ${used.length} edges are mutual TLS`;
  const summary = mutual === used.length ? palette.good(text) : palette.warn(text);
  return `${renderTable(['CLIENT', 'SERVICE', 'SECURED BY', 'SEEN', 'BECAUSE'], rows)}\n${summary}\n`;
}

/** Requests that the servers' sidecars counted since they started. */
function seenText(seen: ObservedEdge | undefined): string {
  if (seen === undefined || seen.mutualTls + seen.plaintext === 0) return '-';
  const parts = [
    ...(seen.mutualTls > 0 ? [`${seen.mutualTls} mutual TLS`] : []),
    ...(seen.plaintext > 0 ? [`${seen.plaintext} plaintext`] : []),
  ];
  return parts.join(', ');
}

/**
 * Reads `istio_requests_total` and `istio_tcp_connections_opened_total` of sidecars' Prometheus pages: the side that
 * takes a connection knows how it was secured.
 */
export function readObserved(pages: readonly string[]): ObservedEdges {
  const seen = new Map<string, { mutualTls: number; plaintext: number }>();
  for (const page of pages) {
    for (const line of page.split('\n')) {
      const found =
        /^(?:istio_requests_total|istio_tcp_connections_opened_total)\{(.*)\} (\d+(?:\.\d+)?)/.exec(line);
      if (found === null) continue;
      const labels = readLabels(found[1] ?? '');
      const policy = labels.get('connection_security_policy');
      if (labels.get('reporter') !== 'destination' || (policy !== 'mutual_tls' && policy !== 'none'))
        continue;
      const id = `${labels.get('source_workload')}.${labels.get('source_workload_namespace')} ${labels.get('destination_service')}`;
      const edge = seen.get(id) ?? { mutualTls: 0, plaintext: 0 };
      edge[policy === 'mutual_tls' ? 'mutualTls' : 'plaintext'] += Number(found[2]);
      seen.set(id, edge);
    }
  }
  return seen;
}

function readLabels(text: string): ReadonlyMap<string, string> {
  return new Map(
    [...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name = '', value = '']) => [name, value]),
  );
}
