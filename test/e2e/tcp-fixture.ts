/**
 * A proxy process with any listeners and clusters: what the TCP tests put between programs that others
 * wrote. TCP connections are logged to a file, one line each.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, makeTempDir, spawnBun, waitFor, type TestProcess } from '@sluice/testkit';
import { proxyMain } from './proxy-fixture.ts';

export interface TcpProxyUnderTest {
  readonly process: TestProcess;
  readonly adminPort: number;
  /** Lines of the access log so far. */
  lines(): readonly string[];
  stats(filter: string): Promise<string>;
}

export interface Parts {
  readonly listeners: readonly object[];
  readonly clusters: readonly object[];
}

const types = 'type.googleapis.com/envoy.extensions';
const LOG = '/ACCESS_LOG/';

export async function startTcpProxy(parts: Parts, flags: readonly string[] = []): Promise<TcpProxyUnderTest> {
  const folder = makeTempDir();
  const adminPort = freePort();
  const log = join(folder, 'access.log');
  const file = join(folder, 'bootstrap.json');
  const bootstrap = {
    node: { id: 'e2e', cluster: 'e2e' },
    admin: { address: socket(adminPort) },
    static_resources: parts,
  };
  writeFileSync(file, JSON.stringify(bootstrap).replaceAll(LOG, log));
  const process = spawnBun(proxyMain, ['-c', file, '--allow-access-log-path', log, ...flags], {
    name: 'the proxy',
  });
  await waitFor(async () => (await fetch(`http://127.0.0.1:${adminPort}/ready`)).status === 200, {
    what: 'the proxy to be ready',
  });
  return {
    process,
    adminPort,
    lines: () => (existsSync(log) ? readFileSync(log, 'utf8').split('\n').filter(Boolean) : []),
    stats: async (filter) => (await fetch(`http://127.0.0.1:${adminPort}/stats?filter=${filter}`)).text(),
  };
}

export function socket(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}

export function cluster(name: string, port: number, more: object = {}): object {
  return {
    name,
    type: 'STATIC',
    connect_timeout: '1s',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socket(port) } }] }],
    },
    ...more,
  };
}

export function listener(name: string, port: number, chains: readonly object[], more: object = {}): object {
  return { name, address: socket(port), filter_chains: chains, ...more };
}

const accessLog = (format: string): object => ({
  name: 'envoy.access_loggers.file',
  typed_config: {
    '@type': `${types}.access_loggers.file.v3.FileAccessLog`,
    path: LOG,
    log_format: { text_format_source: { inline_string: `${format}\n` } },
  },
});

/** Logs `flags bytes-received bytes-sent cluster client details`. */
export function tcpFilter(target: object, more: object = {}): object {
  const name = 'envoy.filters.network.tcp_proxy';
  return {
    name,
    typed_config: {
      '@type': `${types}.filters.network.tcp_proxy.v3.TcpProxy`,
      stat_prefix: 'e2e',
      ...target,
      access_log: [
        accessLog(
          '%RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_CLUSTER% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %RESPONSE_CODE_DETAILS%',
        ),
      ],
      ...more,
    },
  };
}

/** Logs `status client direct-client metadata`. */
export function httpFilter(routes: readonly object[], more: object = {}): object {
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': `${types}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: 'e2e',
      route_config: { name: 'e2e', virtual_hosts: [{ name: 'all', domains: ['*'], routes }] },
      http_filters: [
        {
          name: 'envoy.filters.http.router',
          typed_config: { '@type': `${types}.filters.http.router.v3.Router` },
        },
      ],
      access_log: [
        accessLog(
          '%RESPONSE_CODE% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%',
        ),
      ],
      ...more,
    },
  };
}

export function listenerFilter(
  name: 'tls_inspector' | 'http_inspector' | 'proxy_protocol',
  more: object = {},
): object {
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

const rawBuffer = {
  name: 'envoy.transport_sockets.raw_buffer',
  typed_config: { '@type': `${types}.transport_sockets.raw_buffer.v3.RawBuffer` },
};

/** Begins each upstream connection with a PROXY header; `inner` comes behind it. */
export function proxyTransport(version: 'V1' | 'V2', more: object = {}, inner: object = rawBuffer): object {
  return {
    transport_socket: {
      name: 'envoy.transport_sockets.upstream_proxy_protocol',
      typed_config: {
        '@type': `${types}.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport`,
        config: { version, ...more },
        transport_socket: inner,
      },
    },
  };
}
