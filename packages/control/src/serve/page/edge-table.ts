/** The page's section on encryption: who calls whom how. Equal reasons of one workload are one row. */
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

export function edgeRows(edges: readonly EdgeView[]): Html[] {
  return edges.map(({ client, service, port, subset, security, reason }) => {
    const quality = good.has(security) ? 'good' : security === 'none' ? 'quiet' : 'bad';
    return html`<tr>
      <td>${client.workload}.${client.namespace}</td>
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
