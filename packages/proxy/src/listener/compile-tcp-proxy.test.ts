import { describe, expect, test } from 'bun:test';
import { parseJsonMessage, TcpProxyTable } from '@sluice/xds';
import { newProblems } from '../config/problems.ts';
import { contexts } from '../route/route-requests.test-double.ts';
import { compileTcpProxy } from './compile-tcp-proxy.ts';

function compile(json: object) {
  const scope = newProblems();
  const config = compileTcpProxy(
    parseJsonMessage(TcpProxyTable, { stat_prefix: 's', ...json }),
    contexts.listeners,
    scope,
  );
  return { config, problems: scope.problems.map(({ path, message }) => `${path}: ${message}`) };
}

test("Envoy's defaults", () => {
  expect(compile({ cluster: 'a' })).toMatchObject({
    problems: [],
    config: {
      cluster: 'a',
      weighted: null,
      idleTimeoutMs: 3_600_000,
      maxConnectAttempts: 1,
      maxDownstreamConnectionDurationMs: 0,
      accessLogFlushIntervalMs: 0,
      logsOnConnected: false,
    },
  });
});

test('all that is set', () => {
  const { config, problems } = compile({
    weighted_clusters: {
      clusters: [
        { name: 'a', weight: 1 },
        { name: 'b', weight: 3 },
      ],
    },
    idle_timeout: '0s',
    max_connect_attempts: 3,
    max_downstream_connection_duration: '60s',
    access_log_options: { access_log_flush_interval: '5s', flush_access_log_on_connected: true },
  });
  expect(problems).toEqual([]);
  expect(config).toMatchObject({
    weighted: {
      total: 4,
      entries: [
        { cluster: 'a', bound: 1 },
        { cluster: 'b', bound: 4 },
      ],
    },
    idleTimeoutMs: 0,
    maxConnectAttempts: 3,
    maxDownstreamConnectionDurationMs: 60_000,
    accessLogFlushIntervalMs: 5_000,
    logsOnConnected: true,
  });
});

test('the older fields of the access log count where they stand alone', () => {
  expect(
    compile({ cluster: 'a', access_log_flush_interval: '2s', flush_access_log_on_connected: true }),
  ).toMatchObject({ problems: [], config: { accessLogFlushIntervalMs: 2_000, logsOnConnected: true } });
});

test('what cannot be is named, and what has no effect is said', () => {
  expect(
    compile({
      max_connect_attempts: 0,
      access_log_flush_interval: '2s',
      access_log_options: { access_log_flush_interval: '0s' },
      metadata_match: { filter_metadata: { 'envoy.lb': { version: 'v1' } } },
      hash_policy: [{ source_ip: {} }],
    }).problems,
  ).toEqual([
    'metadata_match: not honoured: clusters of this proxy have no subsets (lb_subset_config): it would choose nothing',
    'hash_policy: not honoured: no load balancer of this proxy balances by hash',
    ': must name a cluster or weighted_clusters',
    'max_connect_attempts: must be at least 1',
    'access_log_options: takes the place of access_log_flush_interval: set one of them',
    'access_log_flush_interval: must be at least 1ms',
  ]);
});

describe('a tunnel', () => {
  const tunnel = (tunneling_config: object) => compile({ cluster: 'a', tunneling_config });

  test('by CONNECT, or by POST with a path', () => {
    expect(tunnel({ hostname: 'db.example.com:5432' })).toMatchObject({
      problems: [],
      config: { tunnel: { method: 'CONNECT', authority: 'db.example.com:5432', headers: [] } },
    });
    expect(tunnel({ hostname: 'a:1', use_post: true })).toMatchObject({
      problems: [],
      config: { tunnel: { method: 'POST', path: '/' } },
    });
    expect(tunnel({ hostname: 'a:1', use_post: true, post_path: '/tcp' }).config.tunnel?.path).toBe('/tcp');
    expect(compile({ cluster: 'a' }).config.tunnel).toBeNull();
  });

  test('takes operators in the destination and in headers', () => {
    const { config, problems } = tunnel({
      hostname: '%DOWNSTREAM_LOCAL_ADDRESS%',
      headers_to_add: [{ header: { key: 'x-client', value: '%DOWNSTREAM_REMOTE_ADDRESS%' } }],
    });
    expect(problems).toEqual([]);
    const { authority } = config.tunnel!;
    const facts = {
      operator: (name: string) => (name === 'DOWNSTREAM_LOCAL_ADDRESS' ? '10.0.0.1:80' : null),
    };
    expect(typeof authority === 'function' && authority(facts)).toBe('10.0.0.1:80');
    expect(config.tunnel!.headers).toMatchObject([{ kind: 'append', name: 'x-client' }]);
  });

  test('says what is wrong, with its path', () => {
    const problems = (tunneling_config: object) => tunnel(tunneling_config).problems;
    expect(problems({})).toEqual(['tunneling_config.hostname: must not be empty']);
    expect(problems({ hostname: 'a b' })).toEqual([
      'tunneling_config.hostname: must be printable ASCII without spaces',
    ]);
    expect(problems({ hostname: 'a', post_path: '/x' })).toEqual([
      'tunneling_config.post_path: is for use_post only',
    ]);
    expect(problems({ hostname: 'a', use_post: true, post_path: 'x' })).toEqual([
      'tunneling_config.post_path: must begin with / and hold no spaces',
    ]);
    expect(problems({ hostname: '%NOTHING%' })[0]).toStartWith('tunneling_config.hostname: ');
    expect(
      problems({ hostname: 'a', headers_to_add: [{ header: { key: 'host', value: 'b' } }] })[0],
    ).toStartWith('tunneling_config.headers_to_add[0].header.key: ');
  });
});
