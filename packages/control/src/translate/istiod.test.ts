/**
 * Against istiod: from resources like the ones it was given, do we make what Istio's users recognise? The facts in
 * testdata/istiod/sidecar.json are distilled from a dump of istiod's; every difference is listed with its reason.
 */
import { beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { xdsTypes } from '@sluice/xds';
import type { JsonObject, JsonValue } from '@sluice/xds';
import type { ProxyNode } from './node.ts';
import { TranslationFixture } from './translation-fixture.ts';

interface ClusterFacts {
  readonly type: string;
  readonly lbPolicy: string;
  readonly connectTimeout: string | null;
  readonly altStatName: string;
  readonly thresholds: readonly (number | null)[];
  readonly subset: string;
  readonly config: string;
  readonly external: boolean;
  readonly services: readonly string[];
}
interface ListenerFacts {
  readonly address: string;
  readonly bindToPort: boolean;
  readonly chains: readonly {
    readonly name: string;
    readonly to: string;
    readonly destinationPort: number;
    readonly serverNames: readonly string[];
  }[];
}
interface HostFacts {
  readonly name: string;
  readonly domains: readonly string[];
  readonly routes: readonly {
    readonly name: string;
    readonly clusters: readonly string[];
    readonly timeout: string;
    readonly config: string;
  }[];
}
interface Facts {
  readonly clusters: Readonly<Record<string, ClusterFacts>>;
  readonly listeners: Readonly<Record<string, ListenerFacts>>;
  readonly routes: Readonly<
    Record<string, { readonly ignorePortInHostMatching: boolean; readonly hosts: readonly HostFacts[] }>
  >;
}

const folder = join(import.meta.dir, 'testdata', 'istiod');
const theirs = JSON.parse(readFileSync(join(folder, 'sidecar.json'), 'utf8')) as Facts;
let fixture: TranslationFixture;
let node: ProxyNode;

beforeAll(() => {
  fixture = new TranslationFixture();
  fixture.apply(readFileSync(join(folder, 'sidecar.yaml'), 'utf8'));
  node = fixture.client('app-1', {
    address: '10.244.9.9',
    labels: { app: 'app', version: 'v1' },
    ports: [{ name: 'http', appPort: 18_000, inboundPort: 18_000 }],
  });
});

function named(type: string): string[] {
  return [...(fixture.snapshot(node).types.get(type)?.keys() ?? [])].sort();
}

function at(value: JsonValue | undefined, ...path: (string | number)[]): JsonValue | undefined {
  let now: JsonValue | undefined = value;
  for (const step of path) now = (now as Record<string | number, JsonValue> | undefined)?.[step];
  return now;
}

function list(value: JsonValue | undefined): readonly JsonObject[] {
  return (value ?? []) as readonly JsonObject[];
}

describe('clusters', () => {
  test('have the same names', () => {
    expect(named(xdsTypes.cluster)).toEqual(Object.keys(theirs.clusters).sort());
  });

  /** Cluster → fact → ours, and why it is another. */
  const differences: Readonly<Record<string, Partial<ClusterFacts>>> = {
    // Consistent hashing comes with a later version and is refused until then: its input was taken out.
    'outbound|8080||reviews.default.svc.cluster.local': { lbPolicy: 'LEAST_REQUEST' },
    'outbound|8080|v1|reviews.default.svc.cluster.local': { lbPolicy: 'LEAST_REQUEST' },
    // Both pass-throughs and the black hole are found in statistics by name as every other cluster is.
    BlackHoleCluster: { altStatName: 'BlackHoleCluster;' },
    PassthroughCluster: { altStatName: 'PassthroughCluster;' },
    InboundPassthroughCluster: { altStatName: 'InboundPassthroughCluster;' },
  };

  test.each(Object.keys(theirs.clusters))('%s is of the same making', (name) => {
    const cluster = fixture.resource(node, xdsTypes.cluster, name);
    const istio = at(cluster, 'metadata', 'filter_metadata', 'istio');
    const thresholds = at(cluster, 'circuit_breakers', 'thresholds', 0);
    const ours = {
      type: at(cluster, 'type') ?? 'STATIC',
      lbPolicy: at(cluster, 'lb_policy') ?? 'ROUND_ROBIN',
      connectTimeout: at(cluster, 'connect_timeout') ?? null,
      altStatName: at(cluster, 'alt_stat_name') ?? '',
      thresholds: ['max_connections', 'max_pending_requests', 'max_requests', 'max_retries'].map(
        (field) => at(thresholds, field) ?? null,
      ),
      subset: at(istio, 'subset') ?? '',
      config: at(istio, 'config') ?? '',
      external: at(istio, 'external') ?? false,
      services: list(at(istio, 'services')).map((service) => String(service['host'])),
    };
    const expected: ClusterFacts = { ...(theirs.clusters[name] as ClusterFacts), ...differences[name] };
    expect(ours).toEqual(expected as unknown as typeof ours);
  });
});

describe('listeners', () => {
  test('have the same names, addresses and binding', () => {
    expect(named(xdsTypes.listener)).toEqual(Object.keys(theirs.listeners).sort());
    for (const name of named(xdsTypes.listener)) {
      const listener = fixture.resource(node, xdsTypes.listener, name);
      const socket = at(listener, 'address', 'socket_address');
      expect({
        address: `${String(at(socket, 'address'))}:${String(at(socket, 'port_value'))}`,
        bindToPort: at(listener, 'bind_to_port') ?? true,
      }).toEqual({
        address: theirs.listeners[name]?.address ?? '',
        bindToPort: theirs.listeners[name]?.bindToPort ?? true,
      });
    }
  });

  /**
   * Chains lead to the same places. virtualInbound has one chain per port here and several there: mutual TLS, and
   * HTTP on ports that nobody declared, come with a later version.
   */
  test.each(Object.keys(theirs.listeners))('%s leads to the same places', (name) => {
    const listener = fixture.resource(node, xdsTypes.listener, name);
    const ours = [
      ...list(at(listener, 'filter_chains')),
      at(listener, 'default_filter_chain') as JsonObject | undefined,
    ]
      .filter((chain) => chain !== undefined)
      .map((chain) => {
        const config = at(list(chain['filters']).at(-1), 'typed_config');
        const to = at(config, 'cluster') ?? at(config, 'rds', 'route_config_name') ?? 'inline';
        return `${String(at(chain, 'filter_chain_match', 'destination_port') ?? 0)} → ${String(to)}`;
      });
    const chains = theirs.listeners[name]?.chains ?? [];
    const isUndeclaredHttp = (chain: (typeof chains)[number]): boolean =>
      chain.name === 'virtualInbound-catchall-http';
    const expected = chains
      .filter((chain) => !isUndeclaredHttp(chain))
      .map((chain) => `${chain.destinationPort} → ${chain.to}`);
    expect([...new Set(ours)].sort()).toEqual([...new Set(expected)].sort());
  });
});

describe('routes', () => {
  test('have the same tables', () => {
    expect(named(xdsTypes.route)).toEqual(Object.keys(theirs.routes).sort());
  });

  test.each(Object.keys(theirs.routes))(
    'table %s has the same hosts, domains and routes in the same order',
    (name) => {
      const table = fixture.resource(node, xdsTypes.route, name);
      expect(at(table, 'ignore_port_in_host_matching')).toBe(true);
      const hosts = list(at(table, 'virtual_hosts')).map((host) => ({
        name: String(host['name']),
        domains: [...(host['domains'] as readonly string[])].sort(),
        routes: list(host['routes']).map((route) => {
          const cluster = at(route, 'route', 'cluster');
          const weighted = list(at(route, 'route', 'weighted_clusters', 'clusters'));
          return {
            name: String(route['name']),
            clusters:
              cluster === undefined
                ? weighted.map((one) => `${String(one['name'])} ${String(one['weight'])}`)
                : [String(cluster)],
            timeout: String(at(route, 'route', 'timeout')),
            config: String(at(route, 'metadata', 'filter_metadata', 'istio', 'config') ?? ''),
          };
        }),
      }));
      hosts.sort((a, b) => (a.name < b.name ? -1 : 1));
      expect(hosts).toEqual((theirs.routes[name]?.hosts ?? []) as unknown as typeof hosts);
    },
  );
});
