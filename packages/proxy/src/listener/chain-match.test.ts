import { describe, expect, test } from 'bun:test';
import { FilterChainMatchTable, parseJsonMessage } from '@sluice/xds';
import { newProblems } from '../config/problems.ts';
import { NO_CONNECTION } from '../telemetry/request-record.ts';
import { ChainMatcher } from './chain-match.ts';
import type { ConnectionFacts } from './connection-facts.ts';

const facts = (changes: Partial<ConnectionFacts> = {}): ConnectionFacts => ({
  ...NO_CONNECTION,
  localAddress: '10.0.0.9',
  localPort: 15006,
  remoteAddress: '10.0.0.5',
  remotePort: 40_000,
  destinationAddress: '10.1.2.3',
  destinationPort: 80,
  isDestinationRestored: true,
  ...changes,
});

function matcher(chains: Record<string, object>): ChainMatcher<string> {
  const scope = newProblems();
  const made = new ChainMatcher<string>();
  for (const [name, match] of Object.entries(chains))
    made.add(parseJsonMessage(FilterChainMatchTable, match), name, scope);
  expect(scope.problems).toEqual([]);
  return made;
}

const prefix = (address_prefix: string, prefix_len: number): object => ({
  prefix_ranges: [{ address_prefix, prefix_len }],
});

describe('filter chain match', () => {
  test('the destination port decides first, and there is no way back from it', () => {
    const chains = matcher({ port: { destination_port: 80, server_names: ['a'] }, any: {} });
    expect(chains.find(facts({ serverName: 'a' }))).toBe('port');
    expect(chains.find(facts({ serverName: 'b' }))).toBeNull();
    expect(chains.find(facts({ destinationPort: 81 }))).toBe('any');
  });

  test('the longest prefix wins, in both families', () => {
    const chains = matcher({
      wide: prefix('10.0.0.0', 8),
      narrow: prefix('10.1.2.0', 24),
      six: prefix('fd00::', 8),
      any: {},
    });
    expect(chains.find(facts())).toBe('narrow');
    expect(chains.find(facts({ destinationAddress: '10.9.9.9' }))).toBe('wide');
    expect(chains.find(facts({ destinationAddress: 'fd12:3456::1' }))).toBe('six');
    expect(chains.find(facts({ destinationAddress: '192.0.2.1' }))).toBe('any');
  });

  test('server names: exact, then the longest wildcard, then none', () => {
    const chains = matcher({
      exact: { server_names: ['www.example.com'] },
      deep: { server_names: ['*.b.example.com'] },
      wide: { server_names: ['*.example.com'] },
      any: {},
    });
    const of = (serverName: string): string | null =>
      chains.find(facts({ serverName, transportProtocol: 'tls' }));
    expect(['www.example.com', 'a.b.example.com', 'x.example.com', 'example.com', ''].map(of)).toEqual([
      'exact',
      'deep',
      'wide',
      'any',
      'any',
    ]);
  });

  test('transport and application protocols tell plaintext, TLS and HTTP apart', () => {
    const chains = matcher({
      mutual: { transport_protocol: 'tls', application_protocols: ['istio-http/1.1', 'istio'] },
      tls: { transport_protocol: 'tls' },
      http: { transport_protocol: 'raw_buffer', application_protocols: ['http/1.1', 'h2c'] },
      any: {},
    });
    expect(chains.find(facts({ transportProtocol: 'tls', applicationProtocols: ['h2', 'istio'] }))).toBe(
      'mutual',
    );
    expect(chains.find(facts({ transportProtocol: 'tls' }))).toBe('tls');
    expect(chains.find(facts({ applicationProtocols: ['http/1.1'] }))).toBe('http');
    expect(chains.find(facts())).toBeNull();
  });

  test('sources: address, type and port', () => {
    const chains = matcher({
      local: { source_type: 'SAME_IP_OR_LOOPBACK' },
      trusted: {
        source_prefix_ranges: [{ address_prefix: '10.0.0.5', prefix_len: 32 }],
        source_ports: [40_000],
      },
      near: { source_prefix_ranges: [{ address_prefix: '10.0.0.0', prefix_len: 8 }] },
      direct: { direct_source_prefix_ranges: [{ address_prefix: '192.0.2.0', prefix_len: 24 }] },
    });
    expect(chains.find(facts({ remoteAddress: '127.0.0.1' }))).toBe('local');
    expect(chains.find(facts())).toBe('trusted');
    expect(chains.find(facts({ remotePort: 1 }))).toBeNull();
    expect(chains.find(facts({ remoteAddress: '10.7.7.7' }))).toBe('near');
    expect(chains.find(facts({ remoteAddress: '192.0.2.7' }))).toBe('direct');
  });

  test('two chains that match the same are an error', () => {
    const scope = newProblems();
    const made = new ChainMatcher<string>();
    made.add(parseJsonMessage(FilterChainMatchTable, { destination_port: 80 }), 'a', scope);
    made.add(
      parseJsonMessage(FilterChainMatchTable, { destination_port: 80 }),
      'b',
      scope.at('filter_chains', 1),
    );
    expect(scope.problems).toMatchObject([
      { path: 'filter_chains[1]', message: 'matches exactly the same connections as a chain before it' },
    ]);
  });
});
