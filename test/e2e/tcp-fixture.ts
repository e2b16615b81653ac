/**
 * A proxy process with any listeners and clusters: what the TCP tests put between programs that others
 * wrote. TCP connections are logged to a file, one line each.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, makeTempDir, spawnBun, waitFor, type TestProcess } from '@sluice/testkit';
import {
  cluster as clusterOf,
  fileAccessLog,
  httpManager,
  socket,
  types,
  type Json,
} from '../envoy-config.ts';
import { proxyMain } from './proxy-fixture.ts';

export { listenerFilter, socket } from '../envoy-config.ts';

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

export function cluster(name: string, port: number, more: object = {}): Json {
  return clusterOf(name, [port], more);
}

export function listener(name: string, port: number, chains: readonly object[], more: object = {}): object {
  return { name, address: socket(port), filter_chains: chains, ...more };
}

const accessLog = (format: string): Json => fileAccessLog(LOG, format);

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
  return httpManager({
    stat_prefix: 'e2e',
    route_config: { name: 'e2e', virtual_hosts: [{ name: 'all', domains: ['*'], routes }] },
    access_log: [
      accessLog(
        '%RESPONSE_CODE% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%',
      ),
    ],
    ...more,
  });
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
