/** The pieces of an Envoy bootstrap that tests of whole proxies put together, everything on loopback. */

export type Json = Readonly<Record<string, unknown>>;

export const types = 'type.googleapis.com/envoy.extensions';

export function socket(port_value: number, address = '127.0.0.1'): Json {
  return { socket_address: { address, port_value } };
}

export function endpointAt(port: number): Json {
  return { endpoint: { address: socket(port) } };
}

/** With an endpoint at each port, or as it is given. */
export function cluster(name: string, endpoints: readonly (number | Json)[], more: object = {}): Json {
  const lb_endpoints = endpoints.map((one) => (typeof one === 'number' ? endpointAt(one) : one));
  return {
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints }] },
    ...more,
  };
}

export const routerFilter = {
  name: 'envoy.filters.http.router',
  typed_config: { '@type': `${types}.filters.http.router.v3.Router` },
};

export function httpManager(config: object): Json {
  const type = `${types}.filters.network.http_connection_manager.v3.HttpConnectionManager`;
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: { '@type': type, http_filters: [routerFilter], ...config },
  };
}

/** `format` without the end of its line. */
export function fileAccessLog(path: string, format: string): Json {
  return {
    name: 'envoy.access_loggers.file',
    typed_config: {
      '@type': `${types}.access_loggers.file.v3.FileAccessLog`,
      path,
      log_format: { text_format_source: { inline_string: `${format}\n` } },
    },
  };
}

export function listenerFilter(
  name: 'tls_inspector' | 'http_inspector' | 'proxy_protocol',
  more: object = {},
): Json {
  const message = {
    tls_inspector: 'TlsInspector',
    http_inspector: 'HttpInspector',
    proxy_protocol: 'ProxyProtocol',
  };
  return {
    name: `envoy.filters.listener.${name}`,
    typed_config: { '@type': `${types}.filters.listener.${name}.v3.${message[name]}`, ...more },
  };
}
