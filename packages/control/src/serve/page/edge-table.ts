/** The page's section on encryption: who calls whom how. */
import type { EdgeView } from '../mesh-views.ts';
import { html, type Html } from './html.ts';

const names: Readonly<Record<EdgeView['security'], string>> = {
  'mutual-tls': 'mutual TLS',
  tls: 'TLS',
  plaintext: 'plaintext',
  mixed: 'mixed',
  refused: 'refused',
  none: 'no endpoints',
};
const good: ReadonlySet<EdgeView['security']> = new Set(['mutual-tls', 'tls']);

export const edgeColumns = ['Client', 'Service', 'Secured by', 'Because'] as const;

/** Clients that a row names before it counts them. */
const namedClients = 3;

/** Edges to one service that are alike in everything but the client are one row. */
export function edgeRows(edges: readonly EdgeView[]): Html[] {
  const groups = new Map<string, EdgeView[]>();
  for (const edge of edges) {
    const id = JSON.stringify([edge.service, edge.port, edge.subset, edge.security, edge.reason]);
    const group = groups.get(id);
    if (group) group.push(edge);
    else groups.set(id, [edge]);
  }
  return [...groups.values()].flatMap((group) => {
    const [edge] = group;
    if (!edge) return [];
    const { service, port, subset, security, reason } = edge;
    const callers = group.map(({ client }) => `${client.workload}.${client.namespace}`);
    const more = callers.length - namedClients;
    const clients =
      more > 1 ? `${callers.slice(0, namedClients).join(', ')} and ${more} more` : callers.join(', ');
    const quality = good.has(security) ? 'good' : security === 'none' ? 'quiet' : 'bad';
    return html`<tr>
      <td>${clients}</td>
      <td>${service}:${port}${subset === '' ? '' : ` (${subset})`}</td>
      <td><span class="${quality}">${names[security]}</span></td>
      <td>${reason}</td>
    </tr>`;
  });
}

/** `12 of 14 edges are mutual TLS` */
export function edgeSummary(edges: readonly EdgeView[]): string {
  const used = edges.filter((edge) => edge.security !== 'none');
  const mutual = used.filter((edge) => edge.security === 'mutual-tls').length;
  return `${mutual} of ${used.length} edges are mutual TLS`;
}
