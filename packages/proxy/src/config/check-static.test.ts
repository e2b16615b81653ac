import { afterEach, describe, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, makeTempDir, TestAuthority } from '@sluice/testkit';
import { BootstrapTable, parseJsonMessage } from '@sluice/xds';
import { checkStatic } from './check-static.ts';
import { ConfigChecker } from './checker.ts';
import type { UnsupportedFields } from './verdict.ts';

afterEach(cleanUp);

const typed = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3';
const authority = new TestAuthority();
const leaf = authority.leaf();

interface Facts {
  agentSecrets?: string[];
  environment?: Record<string, string>;
  mode?: UnsupportedFields;
}

function verdictOn(bootstrap: object, facts: Facts = {}) {
  const { agentSecrets = [], environment = {} } = facts;
  const compile = { hostname: 'h', environment, runtime: [], allowedLogPaths: [] };
  const checker = new ConfigChecker(compile, facts.mode ?? 'reject');
  return checkStatic(parseJsonMessage(BootstrapTable, bootstrap), checker, {
    agentSecrets,
    environment,
    nowWallMs: authority.nowMs,
  });
}

const check = (bootstrap: object, facts: Facts = {}): readonly string[] =>
  verdictOn(bootstrap, facts).problems;

const router = {
  name: 'router',
  typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
};
const upstream = (common_tls_context: object): object => ({
  name: 'envoy.transport_sockets.tls',
  typed_config: { '@type': `${typed}.UpstreamTlsContext`, common_tls_context },
});
const cluster = (name: string, common: object): object => ({
  name,
  type: 'STATIC',
  load_assignment: {
    cluster_name: name,
    endpoints: [
      {
        lb_endpoints: [
          { endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: 1 } } } },
        ],
      },
    ],
  },
  transport_socket: upstream(common),
});

describe('certificates of a bootstrap', () => {
  test('secrets are judged, and found by those who name them', () => {
    const tls_certificate = {
      certificate_chain: { inline_string: leaf.chainPem },
      private_key: { environment_variable: 'KEY' },
    };
    const bootstrap = {
      static_resources: {
        secrets: [{ name: 'a', tls_certificate }],
        clusters: [
          cluster('one', { tls_certificate_sds_secret_configs: [{ name: 'a' }] }),
          cluster('two', { tls_certificate_sds_secret_configs: [{ name: 'b' }] }),
        ],
      },
    };
    const missing =
      'static_resources.clusters[1] (two): transport_socket.typed_config.common_tls_context.tls_certificate_sds_secret_configs[0].name: there is no static secret "b"';
    expect(check(bootstrap, { environment: { KEY: leaf.keyPem } })).toEqual([missing]);
    expect(check(bootstrap, { environment: { KEY: leaf.keyPem }, agentSecrets: ['b'] })).toEqual([]);
    expect(check(bootstrap, { environment: { KEY: authority.leaf().keyPem } })).toEqual([
      'static_resources.secrets[0] (a): tls_certificate.private_key: does not belong to the certificate',
      missing,
    ]);
  });

  test('files are read, and what is wrong with them is told with the path to the field', () => {
    const path = join(makeTempDir(), 'key.pem');
    const common = {
      tls_certificates: [
        { certificate_chain: { inline_string: leaf.chainPem }, private_key: { filename: path } },
      ],
    };
    const bootstrap = { static_resources: { clusters: [cluster('one', common)] } };
    expect(check(bootstrap)[0]).toStartWith(
      `static_resources.clusters[0] (one): transport_socket.typed_config.common_tls_context.tls_certificates[0].private_key.filename: ENOENT`,
    );
    writeFileSync(path, leaf.keyPem);
    expect(check(bootstrap)).toEqual([]);
  });
});

test('what would come over ADS needs an ads_config: without one it would be waited for in vain', () => {
  const rds = { route_config_name: 'table', config_source: { ads: {} } };
  const manager =
    'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
  const filters = [
    { name: 'http', typed_config: { '@type': manager, stat_prefix: 'in', rds, http_filters: [router] } },
  ];
  const address = { socket_address: { address: '127.0.0.1', port_value: 0 } };
  const bootstrap = {
    static_resources: {
      clusters: [
        cluster('one', { tls_certificate_sds_secret_configs: [{ name: 'a', sds_config: { ads: {} } }] }),
        { name: 'two', type: 'EDS', eds_cluster_config: { eds_config: { ads: {} } } },
      ],
      listeners: [{ name: 'in', address, filter_chains: [{ filters }] }],
    },
  };
  const none = 'the bootstrap has no dynamic_resources.ads_config';
  expect(check(bootstrap)).toEqual([
    `static_resources.clusters[0] (one): transport_socket.typed_config.common_tls_context.tls_certificate_sds_secret_configs[0].sds_config.ads: nobody can be asked for "a": ${none}`,
    `static_resources.clusters[1] (two): eds_cluster_config: nobody can be asked for "two": ${none}`,
    `static_resources.listeners[0] (in): nobody can be asked for route table "table": ${none}`,
  ]);
});

describe('the way to the control plane', () => {
  const dynamic = (common: object): object => ({
    dynamic_resources: {
      ads_config: {
        api_type: 'GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: 'xds' } }],
      },
      cds_config: { ads: {} },
    },
    static_resources: { clusters: [cluster('xds', common)] },
  });
  const ads = (name: string): object => ({ name, sds_config: { ads: {} } });

  test('must verify whom it reaches', () => {
    expect(check(dynamic({}))).toEqual([
      'static_resources.clusters[0] (xds): transport_socket.typed_config.common_tls_context: must have a validation context: the control plane gives out secrets',
    ]);
  });

  test('cannot get its own secrets from there, unless the agent has them', () => {
    const common = {
      tls_certificate_sds_secret_configs: [ads('default')],
      validation_context_sds_secret_config: ads('ROOTCA'),
    };
    const at = 'static_resources.clusters[0] (xds): transport_socket.typed_config.common_tls_context';
    expect(check(dynamic(common))).toEqual([
      `${at}.tls_certificate_sds_secret_configs[0]: secret "default" cannot come over the connection that needs it`,
      `${at}.validation_context_sds_secret_config: secret "ROOTCA" cannot come over the connection that needs it`,
    ]);
    expect(check(dynamic(common), { agentSecrets: ['default', 'ROOTCA'] })).toEqual([]);
  });
});

describe('route tables of static listeners', () => {
  const listener = (route: object, table: object = {}): object => {
    const typed_config = {
      '@type':
        'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
      stat_prefix: 'in',
      route_config: {
        virtual_hosts: [{ name: 'v', domains: ['*'], routes: [{ match: { prefix: '/' }, route }] }],
        ...table,
      },
      http_filters: [router],
    };
    return {
      name: 'in',
      address: { socket_address: { address: '127.0.0.1', port_value: 0 } },
      filter_chains: [{ filters: [{ name: 'http', typed_config }] }],
    };
  };
  const at =
    'static_resources.listeners[0] (in): filter_chains[0].filters[0].typed_config.route_config.virtual_hosts[0].routes[0].route';
  const missing = (name: string): string =>
    `there is no static cluster "${name}" (validate_clusters: false lets the route answer 503)`;
  const withListener = (one: object): object => ({
    static_resources: { clusters: [cluster('known', {})], listeners: [one] },
  });

  test('name clusters that there are', () => {
    expect(check(withListener(listener({ cluster: 'known' })))).toEqual([]);
    expect(check(withListener(listener({ cluster: 'slip' })))).toEqual([`${at}.cluster: ${missing('slip')}`]);
    const clusters = [
      { name: 'known', weight: 1 },
      { name: 'slip', weight: 1 },
    ];
    expect(check(withListener(listener({ weighted_clusters: { clusters } })))).toEqual([
      `${at}.weighted_clusters.clusters[1].name: ${missing('slip')}`,
    ]);
  });

  test('may name others where they say so, where a header names them, and where clusters come over ADS', () => {
    expect(check(withListener(listener({ cluster: 'slip' }, { validate_clusters: false })))).toEqual([]);
    expect(check(withListener(listener({ cluster_header: 'x' })))).toEqual([]);
    const dynamic_resources = { cds_config: { ads: {} } };
    expect(check({ ...withListener(listener({ cluster: 'later' })), dynamic_resources })).not.toContainEqual(
      expect.stringContaining('later'),
    );
  });
});

test('what is set and has no effect is listed where it does not refuse', () => {
  const outlier = { ...cluster('one', {}), outlier_detection: { consecutive_5xx: 3 } };
  const bootstrap = { static_resources: { clusters: [outlier] } };
  const line =
    'static_resources.clusters[0] (one): outlier_detection: not honoured: not supported by this proxy';
  expect(verdictOn(bootstrap)).toEqual({ problems: [line], unhonoured: [] });
  expect(verdictOn(bootstrap, { mode: 'warn' })).toEqual({ problems: [], unhonoured: [line] });
});
