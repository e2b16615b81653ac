/** A bootstrap with a listener for each way that the proxy can answer h2spec. */
export interface ProxyListener {
  readonly name: string;
  readonly isTls: boolean;
  readonly hasUpstream: boolean;
}

export const proxyListeners: readonly ProxyListener[] = [
  { name: 'direct response, plain', isTls: false, hasUpstream: false },
  { name: 'upstream, plain', isTls: false, hasUpstream: true },
  { name: 'direct response, TLS', isTls: true, hasUpstream: false },
  { name: 'upstream, TLS', isTls: true, hasUpstream: true },
];

type Json = Readonly<Record<string, unknown>>;
const types = 'type.googleapis.com/envoy.extensions';

export function proxyBootstrap(
  listeners: readonly (ProxyListener & { readonly port: number })[],
  originPort: number,
  adminPort: number,
  tls: { readonly cert: string; readonly key: string },
): Json {
  return {
    node: { id: 'h2spec', cluster: 'h2spec' },
    admin: { address: address(adminPort) },
    static_resources: {
      listeners: listeners.map((listener) => listenerOf(listener, tls)),
      clusters: [originCluster(originPort)],
    },
  };
}

function listenerOf(
  listener: ProxyListener & { readonly port: number },
  tls: { readonly cert: string; readonly key: string },
): Json {
  return {
    name: listener.name,
    address: address(listener.port),
    filter_chains: [
      {
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: managerOf(listener.hasUpstream),
          },
        ],
        ...(listener.isTls ? { transport_socket: downstreamTls(tls) } : {}),
      },
    ],
  };
}

function managerOf(hasUpstream: boolean): Json {
  const action = hasUpstream
    ? { route: { cluster: 'origin' } }
    : { direct_response: { status: 200, body: { inline_string: 'a body of a few octets\n' } } };
  return {
    '@type': `${types}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'h2spec',
    codec_type: 'HTTP2',
    route_config: {
      name: 'h2spec',
      virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, ...action }] }],
    },
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': `${types}.filters.http.router.v3.Router` },
      },
    ],
  };
}

function downstreamTls(tls: { readonly cert: string; readonly key: string }): Json {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${types}.transport_sockets.tls.v3.DownstreamTlsContext`,
      common_tls_context: {
        alpn_protocols: ['h2'],
        tls_certificates: [
          {
            certificate_chain: { inline_string: tls.cert },
            private_key: { inline_string: tls.key },
          },
        ],
      },
    },
  };
}

function originCluster(port: number): Json {
  return {
    name: 'origin',
    type: 'STATIC',
    connect_timeout: '2s',
    load_assignment: {
      cluster_name: 'origin',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: address(port) } }] }],
    },
  };
}

function address(port: number): Json {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}
