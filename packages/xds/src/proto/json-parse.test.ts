/** JSON: what people write in bootstrap files, and what they are told when it is wrong. */
import { describe, expect, test } from 'bun:test';
import { existsSync } from 'node:fs';
import { BootstrapTable, ClusterTable, HttpConnectionManagerTable, RouteTable } from '../gen/tables.ts';
import { unpackAny } from './any.ts';
import { parseJsonMessage, XdsJsonError } from './json-parse.ts';
import { toJson } from './json-write.ts';
import { UnhonouredReport } from './report.ts';
import type { MessageTable } from './table.ts';

function problems(table: MessageTable<object>, json: unknown): string[] {
  try {
    parseJsonMessage(table, json);
  } catch (error) {
    if (error instanceof XdsJsonError)
      return error.problems.map(({ path, problem }) => `${path}: ${problem}`);
    throw error;
  }
  return [];
}

describe('a bootstrap file', () => {
  const json = {
    node: { id: 'sidecar~10.0.0.1~a.default~default.svc.cluster.local', metadata: { LABELS: { app: 'a' } } },
    admin: { address: { socket_address: { address: '127.0.0.1', port_value: 15000 } } },
    dynamic_resources: {
      ads_config: { api_type: 'DELTA_GRPC', grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }] },
    },
    staticResources: {
      listeners: [
        {
          name: 'l',
          filterChains: [
            {
              filters: [
                {
                  name: 'hcm',
                  typedConfig: {
                    '@type':
                      'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
                    statPrefix: 's',
                    streamIdleTimeout: '0.25s',
                    useRemoteAddress: true,
                    routeConfig: { virtual_hosts: [{ name: 'v', domains: ['*'] }] },
                  },
                },
              ],
            },
          ],
        },
      ],
    },
  };

  test('is read with either spelling of names, wrappers, durations and typed configuration', () => {
    const report = new UnhonouredReport();
    const bootstrap = parseJsonMessage(BootstrapTable, json, report);
    expect(report.entries).toEqual([]);
    expect(bootstrap.admin?.address?.socketAddress?.portValue).toBe(15000);
    expect(bootstrap.dynamicResources?.adsConfig?.apiType).toBe('DELTA_GRPC');
    const filter = bootstrap.staticResources?.listeners[0]?.filterChains[0]?.filters[0];
    const manager = unpackAny(filter?.typedConfig, HttpConnectionManagerTable);
    expect(manager).toMatchObject({
      streamIdleTimeout: 250,
      useRemoteAddress: true,
      codecType: 'AUTO',
      mergeSlashes: false,
    });
    expect(manager?.requestTimeout).toBeUndefined();
  });

  test('is printed as Envoy prints it, and read back', () => {
    const bootstrap = parseJsonMessage(BootstrapTable, json);
    const printed = toJson(BootstrapTable, bootstrap);
    expect(JSON.stringify(printed)).toContain('"stream_idle_timeout":"0.250s"');
    expect(parseJsonMessage(BootstrapTable, JSON.parse(JSON.stringify(printed)))).toEqual(bootstrap);
  });
});

describe('mistakes', () => {
  test('are all named at once, each with its path', () => {
    const json = {
      name: 5,
      conect_timeout: '1s',
      lb_policy: 'ROUND_ROBBIN',
      dns_refresh_rate: 3,
      load_assignment: { endpoints: [{ lb_endpoints: [{ load_balancing_weight: -1 }] }] },
      eds_cluster_config: { eds_config: { ads: {}, self: {} } },
      health_checks: {},
    };
    expect(problems(ClusterTable, json)).toEqual([
      'name: expected a string',
      'conect_timeout: envoy.config.cluster.v3.Cluster has no such field; did you mean connect_timeout?',
      'lb_policy: "ROUND_ROBBIN" is none of its values; did you mean ROUND_ROBIN?',
      'dns_refresh_rate: expected a duration in seconds such as "1.5s"',
      'load_assignment.endpoints[0].lb_endpoints[0].load_balancing_weight: expected a whole number from 0 to 4294967295',
      'eds_cluster_config.eds_config.self: excludes ads, which is given too',
      'health_checks: expected a list',
    ]);
  });

  test('suggestions use the spelling of the writer', () => {
    expect(problems(ClusterTable, { conectTimeout: '1s' })[0]).toContain('did you mean connectTimeout?');
  });

  test('one field under two names, a missing @type, a message that is a list', () => {
    expect(problems(ClusterTable, { altStatName: 'a', alt_stat_name: 'b' })).toEqual([
      'alt_stat_name: given twice, as altStatName and alt_stat_name',
    ]);
    expect(problems(ClusterTable, { transport_socket: { name: 'x', typed_config: {} } })).toEqual([
      'transport_socket.typed_config: "@type" is missing',
    ]);
    expect(problems(ClusterTable, [])).toEqual([': expected an object']);
  });

  test('what cannot be JSON and what is nested without end', () => {
    expect(problems(ClusterTable, { metadata: { filter_metadata: { x: { when: new Date(0) } } } })).toEqual([
      'metadata.filter_metadata["x"]["when"]: is not JSON',
    ]);
    let match: object = { not: 1 };
    for (let depth = 0; depth < 300; depth++) match = { inner: match };
    expect(problems(ClusterTable, { metadata: { filter_metadata: { x: match } } })[0]).toContain(
      'nested more than 100 deep',
    );
  });
});

describe('fields that Envoy has and the tables do not honour', () => {
  test('are reported, except scalars at their default', () => {
    const report = new UnhonouredReport();
    const json = {
      name: 'r',
      route: { cluster: 'c', include_vh_rate_limits: true, cors: {} },
      match: { prefix: '/', tlsContext: {} },
    };
    parseJsonMessage(RouteTable, json, report);
    expect(report.entries.map((entry) => entry.path)).toEqual([
      'route.include_vh_rate_limits',
      'route.cors',
      'match.tls_context',
    ]);
    const silent = new UnhonouredReport();
    parseJsonMessage(ClusterTable, { name: 'c', track_timeout_budgets: false, filters: [] }, silent);
    expect(silent.entries).toEqual([]);
  });

  test('typed configuration of an unknown type is reported', () => {
    const report = new UnhonouredReport();
    const typed = { '@type': 'type.googleapis.com/acme.Filter', x: 1 };
    parseJsonMessage(RouteTable, { typed_per_filter_config: { f: typed } }, report);
    expect(report.entries.map((entry) => [entry.path, entry.detail])).toEqual([
      ['typed_per_filter_config["f"]', 'acme.Filter'],
    ]);
  });
});

test('what istiod made for real sidecars and gateways is read without a mistake', async () => {
  const folder = process.env['SLUICE_CASES'] ?? `${import.meta.dir}/../../../../../shared/cases`;
  const files = existsSync(folder)
    ? [...new Bun.Glob('istiod/*/xds.json').scanSync({ cwd: folder, onlyFiles: true })]
    : [];
  if (files.length === 0) {
    console.warn(`skipped: no istiod cases under ${folder}`);
    return;
  }
  for (const file of files) {
    const dump: unknown = await Bun.file(`${folder}/${file}`).json();
    const resources = resourcesIn(dump);
    expect(resources.length).toBeGreaterThan(5);
    // The dumps come from a newer Envoy API than the protos: its additions are refused by name, rightly.
    const newer = /^dnsJitter: /;
    for (const { table, json } of resources) {
      expect(problems(table, json).filter((problem) => !newer.test(problem))).toEqual([]);
    }
  }
});

/** Every object of a config dump that bears the type of a known resource. */
function resourcesIn(json: unknown): { table: MessageTable<object>; json: object }[] {
  if (typeof json !== 'object' || json === null) return [];
  const type = (json as Record<string, unknown>)['@type'];
  const table =
    typeof type === 'string' && /v3\.(Cluster|Listener|RouteConfiguration)$/.test(type)
      ? ClusterTable.registry.byTypeUrl(type)
      : undefined;
  if (table === undefined) return Object.values(json).flatMap(resourcesIn);
  const { '@type': _, ...fields } = json as Record<string, unknown>;
  return [{ table, json: fields }];
}
