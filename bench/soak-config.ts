/** Bootstraps of the two sidecars of the soak, and the file that their secrets come from. */
import type { TestLeaf } from '@sluice/testkit';

const types = 'type.googleapis.com/envoy';

export function secretsFile(leaf: TestLeaf, rootPem: string): string {
  const secretType = `${types}.extensions.transport_sockets.tls.v3.Secret`;
  return JSON.stringify({
    resources: [
      {
        '@type': secretType,
        name: 'default',
        tls_certificate: {
          certificate_chain: { inline_string: leaf.chainPem },
          private_key: { inline_string: leaf.keyPem },
        },
      },
      { '@type': secretType, name: 'ROOTCA', validation_context: { trusted_ca: { inline_string: rootPem } } },
    ],
  });
}

/** Plain in, mutual TLS out: HTTP/1 below `/`, HTTP/2 below `/h2/`, broken answers below `/break/`. */
export function clientSidecar(at: { folder: string; port: number; server: number }): object {
  const tls = (alpn: string): object => ({
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${types}.extensions.transport_sockets.tls.v3.UpstreamTlsContext`,
      sni: 'server.default',
      common_tls_context: commonTls(at.folder, 'client', 'server', alpn),
    },
  });
  return {
    static_resources: {
      listeners: [
        listener(at.port, 'client', [
          route('/h2/', 'server-h2', '/'),
          route('/break/', 'server-h1', '/break/'),
          route('/', 'server-h1', '/'),
        ]),
      ],
      clusters: [
        { ...cluster('server-h1', at.server), transport_socket: tls('http/1.1') },
        {
          ...cluster('server-h2', at.server),
          transport_socket: tls('h2'),
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': `${types}.extensions.upstreams.http.v3.HttpProtocolOptions`,
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
        },
      ],
    },
  };
}

/** Mutual TLS in, plain out. */
export function serverSidecar(at: {
  folder: string;
  port: number;
  origin: number;
  breaking: number;
}): object {
  const inbound = listener(at.port, 'server', [route('/break/', 'breaking', '/'), route('/', 'origin', '/')]);
  const [chain] = inbound.filter_chains;
  return {
    static_resources: {
      listeners: [
        {
          ...inbound,
          filter_chains: [
            {
              ...chain,
              transport_socket: {
                name: 'envoy.transport_sockets.tls',
                typed_config: {
                  '@type': `${types}.extensions.transport_sockets.tls.v3.DownstreamTlsContext`,
                  require_client_certificate: true,
                  common_tls_context: commonTls(at.folder, 'server', 'client', 'h2', 'http/1.1'),
                },
              },
            },
          ],
        },
      ],
      clusters: [cluster('origin', at.origin), cluster('breaking', at.breaking)],
    },
  };
}

function commonTls(folder: string, own: string, peer: string, ...alpn: readonly string[]): object {
  const source = (name: string): object => ({
    name,
    sds_config: {
      path_config_source: { path: `${folder}/${own}-sds.json` },
      resource_api_version: 'V3',
    },
  });
  return {
    alpn_protocols: alpn,
    tls_certificate_sds_secret_configs: [source('default')],
    combined_validation_context: {
      default_validation_context: {
        match_typed_subject_alt_names: [
          { san_type: 'URI', matcher: { exact: `spiffe://cluster.local/ns/default/sa/${peer}` } },
        ],
      },
      validation_context_sds_secret_config: source('ROOTCA'),
    },
  };
}

function listener(port: number, name: string, routes: readonly object[]) {
  return {
    name,
    address: socket(port),
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: {
              '@type': `${types}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
              stat_prefix: name,
              generate_request_id: true,
              stream_idle_timeout: '5s',
              request_headers_timeout: '5s',
              common_http_protocol_options: { idle_timeout: '60s' },
              route_config: { name, virtual_hosts: [{ name: 'all', domains: ['*'], routes }] },
              http_filters: [
                {
                  name: 'envoy.filters.http.router',
                  typed_config: { '@type': `${types}.extensions.filters.http.router.v3.Router` },
                },
              ],
            },
          },
        ],
      },
    ],
  };
}

function route(prefix: string, to: string, rewrite: string): object {
  return {
    match: { prefix },
    route: {
      cluster: to,
      prefix_rewrite: rewrite,
      retry_policy: { retry_on: 'connect-failure,refused-stream,reset-before-request', num_retries: 2 },
    },
  };
}

function cluster(name: string, port: number): object {
  return {
    name,
    type: 'STATIC',
    connect_timeout: '5s',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socket(port) } }] }],
    },
  };
}

function socket(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}
