/**
 * What sidecars saw of the mesh's calls, from their Prometheus pages: the side that takes a connection knows how it
 * was secured, and by the certificate who called. Plaintext has no caller.
 */
import type { EdgeView } from '../mesh/views.ts';

export interface ObservedCalls {
  /** Requests and connections of an edge that came by mutual TLS. */
  mutualTls(edge: Pick<EdgeView, 'client' | 'service'>): number;
  /** Service → calls that came in plaintext. */
  readonly plaintext: ReadonlyMap<string, number>;
  /** Connections that sidecars closed since none of their filter chains takes them, as under STRICT. */
  readonly refused: readonly RefusedConnections[];
}

export interface RefusedConnections {
  readonly instance: string;
  readonly port: number;
  readonly transport: 'plaintext' | 'TLS';
  readonly count: number;
}

/** The statistics of one sidecar, as Prometheus reads them. */
export interface StatsPage {
  readonly instance: string;
  readonly text: string;
}

const families =
  /^(istio_requests_total|istio_tcp_connections_opened_total|sluice_unmatched_connections_total)\{(.*)\} (\d+(?:\.\d+)?(?:e\+\d+)?)/;

export function readObserved(pages: readonly StatsPage[]): ObservedCalls {
  const mutual = new Map<string, number>();
  const plaintext = new Map<string, number>();
  const refused: RefusedConnections[] = [];
  for (const { instance, line } of linesOf(pages)) {
    const found = families.exec(line);
    if (found === null) continue;
    const labels = readLabels(found[2] ?? '');
    const count = Number(found[3]);
    if (found[1] === 'sluice_unmatched_connections_total') {
      const transport = labels.get('transport') === 'tls' ? 'TLS' : 'plaintext';
      if (count > 0)
        refused.push({ instance, port: Number(labels.get('destination_port')), transport, count });
      continue;
    }
    if (labels.get('reporter') !== 'destination') continue;
    const service = labels.get('destination_service') ?? '';
    const policy = labels.get('connection_security_policy');
    if (policy === 'none') add(plaintext, service, count);
    if (policy !== 'mutual_tls') continue;
    const caller = /^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\/(.+)$/.exec(labels.get('source_principal') ?? '');
    if (caller !== null) add(mutual, `${caller[1]}/${caller[2]} ${service}`, count);
  }
  return {
    mutualTls: ({ client, service }) => mutual.get(`${client.namespace}/${client.account} ${service}`) ?? 0,
    plaintext,
    refused,
  };
}

function linesOf(pages: readonly StatsPage[]): { instance: string; line: string }[] {
  return pages.flatMap(({ instance, text }) => text.split('\n').map((line) => ({ instance, line })));
}

function add(counts: Map<string, number>, key: string, count: number): void {
  if (count > 0) counts.set(key, (counts.get(key) ?? 0) + count);
}

function readLabels(text: string): ReadonlyMap<string, string> {
  return new Map(
    [...text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name = '', value = '']) => [name, value]),
  );
}
