/** `sluice status --edges`: how calls between workloads are secured, and why. */
import type { EdgeView } from '../mesh/views.ts';
import type { ObservedCalls } from './observed-calls.ts';
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

/** Clients that a row names before it counts them. */
const namedClients = 2;

export function renderEdges(
  edges: readonly EdgeView[],
  observed: ObservedCalls,
  { palette, columns }: { readonly palette: Palette; readonly columns: number },
): string {
  if (edges.length === 0) return 'no workload with a sidecar calls a service\n';
  const seen = edges.filter((edge) => observed.mutualTls(edge) > 0);
  const rows = [
    ...seen.map((edge) => [
      clientName(edge),
      serviceName(edge),
      securityNames[edge.security],
      String(observed.mutualTls(edge)),
      edge.reason,
    ]),
    ...groupEdges(edges.filter((edge) => !seen.includes(edge))).map(({ clients, edge }) => [
      clients,
      serviceName(edge),
      securityNames[edge.security],
      '-',
      edge.reason,
    ]),
  ];
  const plain = [...observed.plaintext].map(
    ([service, count]) =>
      `${palette.warn('plaintext')}: ${service} took ${counted(count, 'call')} of unknown callers`,
  );
  const refused = observed.refused.map(
    ({ instance, port, transport, count }) =>
      `${palette.bad('refused')}: ${instance} closed ${counted(count, `${transport} connection`)} to port ${port} that it does not take`,
  );
  return [
    renderTable(['CLIENT', 'SERVICE', 'SECURED BY', 'CALLS SEEN', 'BECAUSE'], rows, columns),
    summarizeEdges(edges, palette),
    ...plain,
    ...refused,
    '',
  ].join('\n');
}

/** `12 of 14 edges are mutual TLS` */
export function summarizeEdges(edges: readonly EdgeView[], palette: Palette): string {
  const used = edges.filter((edge) => edge.security !== 'none');
  const mutual = used.filter((edge) => edge.security === 'mutual-tls').length;
  const text = `${mutual} of ${used.length} edges are mutual TLS`;
  return mutual === used.length ? palette.good(text) : palette.warn(text);
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

export interface EdgeGroup {
  /** `a.default, b.default and 3 more` */
  readonly clients: string;
  readonly edge: EdgeView;
}

/** Edges to one service that are alike in everything but the client. */
export function groupEdges(edges: readonly EdgeView[]): EdgeGroup[] {
  const groups = new Map<string, EdgeView[]>();
  for (const edge of edges) {
    const id = JSON.stringify([serviceName(edge), edge.security, edge.reason]);
    const group = groups.get(id);
    if (group) group.push(edge);
    else groups.set(id, [edge]);
  }
  return [...groups.values()].flatMap((group) => {
    const [edge] = group;
    if (edge === undefined) return [];
    const names = group.map(clientName);
    const more = names.length - namedClients;
    const clients =
      more > 1 ? `${names.slice(0, namedClients).join(', ')} and ${more} more` : names.join(', ');
    return [{ clients, edge }];
  });
}

export function serviceName({ service, port, subset }: EdgeView): string {
  return `${service}:${port}${subset === '' ? '' : ` (${subset})`}`;
}

function clientName({ client }: EdgeView): string {
  return `${client.workload}.${client.namespace}`;
}
