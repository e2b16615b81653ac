import { describe, expect, test } from 'bun:test';
import { BootstrapTable, parseJsonMessage } from '@sluice/xds';
import { staticLogPaths } from './static-log-paths.ts';

const types = 'type.googleapis.com/envoy.extensions';
const file = (path: string): object => ({
  name: 'f',
  typed_config: { '@type': `${types}.access_loggers.file.v3.FileAccessLog`, path },
});
const router = {
  name: 'r',
  typed_config: { '@type': `${types}.filters.http.router.v3.Router` },
};
const manager = (config: object): object => ({
  name: 'm',
  typed_config: {
    '@type': `${types}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'm',
    ...config,
  },
});
const paths = (listeners: object[]): string[] =>
  staticLogPaths(parseJsonMessage(BootstrapTable, { static_resources: { listeners } }));

describe('log files of the bootstrap', () => {
  test('are those of its listeners, connection managers and TCP proxies, each once', () => {
    const tcp = {
      name: 't',
      typed_config: {
        '@type': `${types}.filters.network.tcp_proxy.v3.TcpProxy`,
        stat_prefix: 't',
        cluster: 'c',
        access_log: [file('/tcp.log')],
      },
    };
    const http = manager({
      access_log: [file('/http.log'), file('/dev/stdout')],
      http_filters: [router],
    });
    expect(
      paths([
        { name: 'a', access_log: [file('/listener.log')], filter_chains: [{ filters: [http] }] },
        { name: 'b', filter_chains: [{ filters: [tcp] }], default_filter_chain: { filters: [http] } },
      ]).toSorted(),
    ).toEqual(['/dev/stdout', '/http.log', '/listener.log', '/tcp.log']);
  });

  test('are none where it names none', () => {
    expect(paths([])).toEqual([]);
    expect(staticLogPaths(parseJsonMessage(BootstrapTable, {}))).toEqual([]);
  });
});
