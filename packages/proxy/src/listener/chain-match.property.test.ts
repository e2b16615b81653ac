/**
 * The matcher against a linear scan that says what Envoy's documentation says: criterion by criterion, of
 * the chains still in play keep those with the most specific value that fits, never going back.
 */
import { expect, test } from 'bun:test';
import fc from 'fast-check';
import { FilterChainMatchTable, parseJsonMessage } from '@sluice/xds';
import { newProblems } from '../config/problems.ts';
import { ChainMatcher } from './chain-match.ts';
import type { ConnectionFacts } from './connection-facts.ts';

interface Match {
  readonly destination_port?: number;
  readonly prefix_ranges?: readonly Prefix[];
  readonly server_names?: readonly string[];
  readonly transport_protocol?: string;
  readonly application_protocols?: readonly string[];
  readonly direct_source_prefix_ranges?: readonly Prefix[];
  readonly source_type?: 'SAME_IP_OR_LOOPBACK' | 'EXTERNAL';
  readonly source_prefix_ranges?: readonly Prefix[];
  readonly source_ports?: readonly number[];
}
interface Prefix {
  readonly address_prefix: string;
  readonly prefix_len: number;
}

const addresses = ['10.0.0.1', '10.0.0.200', '10.9.0.1', '127.0.0.1', '192.0.2.1'] as const;
const prefix: fc.Arbitrary<Prefix> = fc.record({
  address_prefix: fc.constantFrom(...addresses),
  prefix_len: fc.constantFrom(0, 8, 16, 24, 25, 32),
});
const few = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T[]> =>
  fc.array(arbitrary, { minLength: 1, maxLength: 2 });
const names = ['a.b.c', 'x.b.c', 'b.c', '*.b.c', '*.c'] as const;

/** Most chains care for few criteria, or none would ever fit. */
const rare = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: 4, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });

const match: fc.Arbitrary<Match> = fc
  .record({
    destination_port: rare(fc.constantFrom(80, 443)),
    prefix_ranges: rare(few(prefix)),
    server_names: rare(few(fc.constantFrom(...names))),
    transport_protocol: rare(fc.constantFrom('tls', 'raw_buffer')),
    application_protocols: rare(few(fc.constantFrom('h2', 'http/1.1', 'istio'))),
    direct_source_prefix_ranges: rare(few(prefix)),
    source_type: rare(fc.constantFrom('SAME_IP_OR_LOOPBACK', 'EXTERNAL')),
    source_prefix_ranges: rare(few(prefix)),
    source_ports: rare(few(fc.constantFrom(1000, 2000))),
  })
  .map(
    (fields) =>
      Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Match,
  );

const connection: fc.Arbitrary<ConnectionFacts> = fc
  .record({
    destinationAddress: fc.constantFrom(...addresses),
    destinationPort: fc.constantFrom(80, 443, 81),
    remoteAddress: fc.constantFrom(...addresses),
    direct: fc.constantFrom(null, ...addresses),
    remotePort: fc.constantFrom(1000, 2000, 3000),
    transportProtocol: fc.constantFrom('tls' as const, 'raw_buffer' as const),
    serverName: fc.constantFrom('', 'a.b.c', 'x.b.c', 'b.c', 'y.c', 'A.B.C'),
    applicationProtocols: fc.array(fc.constantFrom('h2', 'http/1.1', 'istio', 'other'), { maxLength: 2 }),
  })
  .map(({ direct, ...facts }) => ({
    ...facts,
    localAddress: facts.destinationAddress,
    localPort: facts.destinationPort,
    isDestinationRestored: false,
    peerIdentity: null,
    isMutualTls: false,
    tls: null,
    proxied:
      direct === null
        ? null
        : { directRemoteAddress: direct, directRemotePort: 1, tlvs: [], metadata: new Map() },
  }));

/** How well a chain's value fits, higher is more specific; 0 = it does not care; null = it does not fit. */
type Score = (match: Match, facts: ConnectionFacts) => number | null;

const criteria: readonly Score[] = [
  (m, f) => only(m.destination_port, f.destinationPort),
  (m, f) => longest(m.prefix_ranges, f.destinationAddress),
  (m, f) => {
    if (m.server_names === undefined) return 0;
    const name = f.serverName.toLowerCase();
    const scores = m.server_names.map((wanted) => {
      if (wanted.startsWith('*.')) return name.endsWith(wanted.slice(1)) && name !== '' ? wanted.length : -1;
      return wanted === name ? 1_000 : -1;
    });
    return best(scores);
  },
  (m, f) => only(m.transport_protocol, f.transportProtocol),
  (m, f) => {
    if (m.application_protocols === undefined) return 0;
    // The connection's first protocol that any chain wants decides: earlier is more specific.
    return best(
      m.application_protocols.map((wanted) => {
        const at = f.applicationProtocols.indexOf(wanted);
        return at < 0 ? -1 : 100 - at;
      }),
    );
  },
  (m, f) => longest(m.direct_source_prefix_ranges, f.proxied?.directRemoteAddress ?? f.remoteAddress),
  (m, f) => {
    const isLocal = f.remoteAddress === f.destinationAddress || f.remoteAddress.startsWith('127.');
    return only(m.source_type, isLocal ? 'SAME_IP_OR_LOOPBACK' : 'EXTERNAL');
  },
  (m, f) => longest(m.source_prefix_ranges, f.remoteAddress),
  (m, f) => (m.source_ports === undefined ? 0 : m.source_ports.includes(f.remotePort) ? 1 : null),
];

function only<T>(wanted: T | undefined, found: T): number | null {
  if (wanted === undefined) return 0;
  return wanted === found ? 1 : null;
}

function best(scores: readonly number[]): number | null {
  const score = Math.max(...scores);
  return score < 0 ? null : score;
}

function longest(ranges: readonly Prefix[] | undefined, address: string): number | null {
  if (ranges === undefined) return 0;
  return best(ranges.map((range) => (contains(range, address) ? range.prefix_len + 1 : -1)));
}

function contains({ address_prefix, prefix_len }: Prefix, address: string): boolean {
  const bits = (text: string): string =>
    text
      .split('.')
      .map((part) => Number(part).toString(2).padStart(8, '0'))
      .join('');
  return bits(address_prefix).slice(0, prefix_len) === bits(address).slice(0, prefix_len);
}

function scan(matches: readonly Match[], facts: ConnectionFacts): number | null {
  let left = matches.map((_, i) => i);
  for (const criterion of criteria) {
    const scores = left.map((i) => criterion(matches[i]!, facts));
    const top = Math.max(-1, ...scores.filter((score) => score !== null));
    left = left.filter((_, at) => scores[at] === top);
    if (left.length === 0) return null;
  }
  return left[0] ?? null;
}

test('property: the tree finds what a linear scan by criteria finds', () => {
  let found = 0;
  fc.assert(
    fc.property(
      fc.array(match, { maxLength: 8 }),
      fc.array(connection, { minLength: 5, maxLength: 5 }),
      (matches, connections) => {
        const matcher = new ChainMatcher<number>();
        const scope = newProblems();
        matches.forEach((message, i) =>
          matcher.add(parseJsonMessage(FilterChainMatchTable, message), i, scope.at('filter_chains', i)),
        );
        // Chains that match the same are refused; which of them would serve is not a question.
        fc.pre(scope.problems.length === 0);
        for (const facts of connections) {
          const chain = matcher.find(facts);
          if (chain !== null) found++;
          expect(chain).toBe(scan(matches, facts));
        }
      },
    ),
    { numRuns: 2_000, seed: 4_711 },
  );
  // The generator must not miss the point.
  expect(found).toBeGreaterThan(500);
});
