/** Tables from dumps in Envoy's shape. */
import { expect, test } from 'bun:test';
import { clusterRows, endpointRows, listenerRows, routeRows } from './proxy-rows.ts';

const type = (name: string): object => ({ '@type': `type.googleapis.com/envoy.admin.v3.${name}` });
const config = (path: string): object => ({ filter_metadata: { istio: { config: path } } });

test('clusters: names taken apart, with the rule they come from', () => {
  const dump = {
    configs: [
      {
        ...type('ClustersConfigDump'),
        static_clusters: [{ cluster: { name: 'xds-grpc', type: 'STATIC' } }],
        dynamic_active_clusters: [
          {
            cluster: {
              name: 'outbound|9080|v1|reviews.default.svc.cluster.local',
              type: 'EDS',
              metadata: config('/apis/networking.istio.io/v1/namespaces/default/destination-rule/reviews'),
            },
          },
          { cluster: { name: 'inbound|8080||' } },
        ],
      },
    ],
  };
  expect(clusterRows(dump).rows.map(({ cells }) => cells.join(' '))).toEqual([
    '- 8080 - inbound STATIC ',
    'reviews.default.svc.cluster.local 9080 v1 outbound EDS reviews.default',
    'xds-grpc - - - STATIC ',
  ]);
});

test('listeners: one row per chain, with what it matches and where it leads', () => {
  const listener = {
    name: 'a',
    address: { socket_address: { address: '127.0.0.1', port_value: 9080 } },
    filter_chains: [
      {
        filter_chain_match: { server_names: ['a.test'], application_protocols: ['h2'] },
        filters: [{ typed_config: { rds: { route_config_name: '9080' } } }],
      },
      { filters: [{ typed_config: { cluster: 'BlackHoleCluster' } }] },
    ],
    default_filter_chain: { filters: [{ typed_config: { route_config: { name: 'inline' } } }] },
  };
  const dump = {
    configs: [
      {
        ...type('ListenersConfigDump'),
        dynamic_listeners: [
          { name: 'a', active_state: { listener } },
          { name: 'broken', error_state: {} },
        ],
      },
    ],
  };
  expect(listenerRows(dump).rows.map(({ cells }) => cells.slice(2))).toEqual([
    ['ALL', 'Cluster: BlackHoleCluster'],
    ['ALL', 'Inline Route: inline'],
    ['SNI: a.test; App: h2', 'Route: 9080'],
  ]);
});

test('routes: matches, headers, weights and direct replies in the order they are tried', () => {
  const routes = [
    {
      match: { path_separated_prefix: '/api', headers: [{ name: 'end-user' }] },
      route: { cluster: 'c' },
      metadata: config('/apis/networking.istio.io/v1/namespaces/shop/virtual-service/api'),
    },
    { match: { safe_regex: { regex: '/a.*' } }, direct_response: { status: 503 } },
    {
      match: { prefix: '/' },
      route: {
        weighted_clusters: {
          clusters: [
            { name: 'x', weight: 80 },
            { name: 'y', weight: 20 },
          ],
        },
      },
    },
    { match: { connect_matcher: {} }, route: { cluster: 'z' } },
  ];
  const dump = {
    configs: [
      {
        ...type('RoutesConfigDump'),
        dynamic_route_configs: [
          { route_config: { name: '80', virtual_hosts: [{ name: 'h', domains: ['a', 'b', 'c'], routes }] } },
        ],
      },
    ],
  };
  expect(routeRows(dump).rows.map(({ cells }) => cells.slice(2))).toEqual([
    ['a, + 2 more...', '/api [end-user]', 'c', 'api.shop'],
    ['a, + 2 more...', 'regex /a.*', '503 (direct)', ''],
    ['a, + 2 more...', '/*', 'x 80, y 20', ''],
    ['a, + 2 more...', 'CONNECT', 'z', ''],
  ]);
});

test('endpoints: health, ejection and sockets', () => {
  const page = {
    cluster_statuses: [
      {
        name: 'c',
        host_statuses: [
          {
            address: { socket_address: { address: '10.0.0.1', port_value: 80 } },
            health_status: { eds_health_status: 'UNHEALTHY', failed_outlier_check: true },
          },
          { address: { pipe: { path: '/run/a' } }, health_status: {} },
        ],
      },
    ],
  };
  expect(endpointRows(page).rows.map(({ cells }) => cells)).toEqual([
    ['/run/a', 'HEALTHY', 'OK', 'c'],
    ['10.0.0.1:80', 'UNHEALTHY', 'FAILED', 'c'],
  ]);
});

test('what is no dump is an empty table', () => {
  for (const draw of [clusterRows, listenerRows, routeRows, endpointRows]) {
    for (const nothing of [null, {}, [], { configs: 'x' }, { configs: [null, 1] }])
      expect(draw(nothing).rows).toEqual([]);
  }
});
