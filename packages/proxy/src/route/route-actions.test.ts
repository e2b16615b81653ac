import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { RE2JS } from 're2js';
import { newProblems } from '../config/problems.ts';
import { asStringOperation, compileRegex, compileSubstitution } from './regex.ts';
import { request, routesOf } from './route-requests.test-double.ts';
import { DISABLED, type ForwardAction } from './route.ts';

const prefix = { match: { prefix: '/' } };
const forwarded = (action: object, extra: object = {}): ForwardAction => {
  const { table, problems } = routesOf({ ...prefix, route: { cluster: 'c', ...action }, ...extra });
  expect(problems).toEqual([]);
  return table.match(request('/'), () => 0)?.action as ForwardAction;
};
const problemsOf = (...routes: object[]): string[] =>
  routesOf(...routes).problems.map(({ path, message }) => `${path}: ${message}`);

describe('forwarding', () => {
  test("has Envoy's defaults", () => {
    expect(forwarded({})).toMatchObject({
      clusters: { kind: 'single', cluster: 'c' },
      timeoutMs: 15_000,
      retry: null,
      rewrite: null,
      hostRewrite: null,
      priority: 'default',
      clusterNotFoundStatus: 503,
    });
    expect(forwarded({ timeout: '0s' }).timeoutMs).toBe(0);
  });

  test('weights become running sums; sums of 0 and wrong totals are errors', () => {
    const weighted = {
      clusters: [
        { name: 'a', weight: 80 },
        { name: 'b', weight: 20 },
      ],
    };
    const { clusters } = forwarded({ cluster: undefined, weighted_clusters: weighted });
    expect(clusters).toMatchObject({
      kind: 'weighted',
      total: 100,
      entries: [{ bound: 80 }, { bound: 100 }],
    });
    const none = { clusters: [{ name: 'a', weight: 0 }], total_weight: 5 };
    expect(problemsOf({ ...prefix, route: { weighted_clusters: none } })).toEqual([
      'virtual_hosts[0].routes[0].route.weighted_clusters: the weights sum to 0',
      'virtual_hosts[0].routes[0].route.weighted_clusters.total_weight: is 5, but the weights sum to 0',
    ]);
  });

  test('retries: conditions, back-off, hosts, and the method-aware kind in both notations', () => {
    const retry_policy = {
      retry_on: 'connect-failure, 5xx,unavailable',
      num_retries: 2,
      retry_back_off: { base_interval: '0.1s' },
    };
    const previous_hosts = { name: 'envoy.retry_host_predicates.previous_hosts' };
    const plain = forwarded({
      retry_policy: { ...retry_policy, retry_host_predicate: [previous_hosts] },
    }).retry;
    expect(plain).toMatchObject({
      maxRetries: 2,
      backoffBaseMs: 100,
      backoffMaxMs: 1000,
      avoidPreviousHosts: true,
      safe: null,
    });
    expect(plain?.on).toMatchObject({
      connectFailure: true,
      fiveXx: true,
      grpcUnavailable: true,
      reset: false,
    });
    const safe_retry = { methods: ['GET', 'put'], on: 'reset' };
    const byMetadata = forwarded(
      { retry_policy },
      { metadata: { filter_metadata: { 'sluice.dev': { safe_retry } } } },
    ).retry?.safe;
    const typed_config = {
      '@type': 'type.googleapis.com/sluice.extensions.retry.v1.MethodAwareRetry',
      methods: ['GET', 'put'],
      request_headers: ['Idempotency-Key'],
      retry_on: 'reset',
    };
    const predicates = [{ name: 'sluice.dev/method-aware-retry', typed_config }];
    const byPredicate = forwarded({ retry_policy: { ...retry_policy, retry_options_predicates: predicates } })
      .retry?.safe;
    expect(plain?.backoffLeastMs).toBe(0);
    const waiting = [{ name: 'x', typed_config: { ...typed_config, least_backoff: '0.05s' } }];
    expect(
      forwarded({ retry_policy: { ...retry_policy, retry_options_predicates: waiting } }).retry,
    ).toMatchObject({ backoffLeastMs: 50, backoffBaseMs: 100 });
    expect(byMetadata).toEqual(byPredicate!);
    expect(byMetadata).toMatchObject({
      methods: new Set(['GET', 'PUT']),
      honourIdempotencyKey: true,
      on: { reset: true, fiveXx: false },
    });
  });

  test('unknown conditions and fields without effect are told with their paths', () => {
    const route = {
      cluster: 'c',
      retry_policy: { retry_on: '5xx,sometimes' },
      grpc_timeout_offset: '1s',
      hash_policy: [{ header: { header_name: 'u' } }],
    };
    expect(problemsOf({ ...prefix, route, tracing: {}, decorator: { operation: 'x' } }).sort()).toEqual([
      'virtual_hosts[0].routes[0].decorator: not honoured: not supported by this proxy',
      'virtual_hosts[0].routes[0].route.grpc_timeout_offset: not honoured: has no effect without max_grpc_timeout',
      'virtual_hosts[0].routes[0].route.hash_policy: not honoured: not supported by this proxy',
      'virtual_hosts[0].routes[0].route.retry_policy.retry_on: unknown retry condition "sometimes"',
      'virtual_hosts[0].routes[0].tracing: not honoured: not supported by this proxy',
    ]);
  });

  test('gRPC timeouts: the older fields bound the route, the newer ones the stream, which has no other', () => {
    expect(forwarded({ timeout: '3s' })).toMatchObject({ timeoutMs: 3000, grpcTimeout: null });
    expect(forwarded({ timeout: '3s', max_grpc_timeout: '0s', grpc_timeout_offset: '0.1s' })).toMatchObject({
      timeoutMs: 3000,
      grpcTimeout: { bounds: 'route', maxMs: 0, offsetMs: 100 },
    });
    const max_stream_duration = { max_stream_duration: '9s', grpc_timeout_header_max: '5s' };
    expect(forwarded({ timeout: '3s', max_stream_duration })).toMatchObject({
      timeoutMs: 0,
      maxStreamDurationMs: 9000,
      grpcTimeout: { bounds: 'stream', maxMs: 5000, offsetMs: 0 },
    });
    const useless = {
      cluster: 'c',
      max_grpc_timeout: '1s',
      max_stream_duration: { grpc_timeout_header_offset: '1s' },
    };
    expect(problemsOf({ ...prefix, route: useless })).toEqual([
      'virtual_hosts[0].routes[0].route.max_grpc_timeout: not honoured: has no effect beside max_stream_duration',
      'virtual_hosts[0].routes[0].route.max_stream_duration.grpc_timeout_header_offset: not honoured: ' +
        'has no effect without grpc_timeout_header_max',
    ]);
  });

  test('header operations: removals first, route before host before table, operators checked', () => {
    const add = (key: string, value = '1'): object => ({ header: { key, value } });
    const { table, problems } = routesOf({
      ...prefix,
      route: { cluster: 'c' },
      request_headers_to_add: [add('a', '%PROTOCOL%'), { ...add('b'), append_action: 'OVERWRITE_IF_EXISTS' }],
      request_headers_to_remove: ['z'],
    });
    expect(problems).toEqual([]);
    const operations = table.match(request('/'), () => 0)?.requestHeaders ?? [];
    expect(operations.map(({ kind, name }) => `${kind} ${name}`)).toEqual([
      'remove z',
      'append a',
      'setIfPresent b',
    ]);
    expect(operations[1]?.format?.({ operator: (name) => `<${name}>` })).toBe('<PROTOCOL>');
    expect(
      problemsOf({
        ...prefix,
        route: { cluster: 'c' },
        request_headers_to_add: [add('x', '%NOPE%'), add(':path'), add('y', 'a\r\nb')],
      }),
    ).toHaveLength(3);
  });

  test('a filter can be switched off for a route', () => {
    const typed_per_filter_config = {
      f: { '@type': 'type.googleapis.com/envoy.config.route.v3.FilterConfig', disabled: true },
    };
    const { table } = routesOf({ ...prefix, route: { cluster: 'c' }, typed_per_filter_config });
    expect(table.match(request('/'), () => 0)?.perFilterConfig.get('f')).toBe(DISABLED);
  });
});

describe('answers of the proxy itself', () => {
  test('a direct response has its body inline and within the limit', () => {
    expect(
      problemsOf({
        ...prefix,
        direct_response: { status: 200, body: { inline_string: 'x'.repeat(4097) } },
      })[0],
    ).toContain('holds 4097 bytes');
    expect(
      problemsOf({ ...prefix, direct_response: { status: 200, body: { filename: '/etc/passwd' } } })[0],
    ).toContain('only inline data is read');
    expect(problemsOf({ ...prefix, direct_response: { status: 99 } })[0]).toContain(
      'must be between 200 and 599',
    );
  });

  test('redirects keep what they do not name', () => {
    const { table } = routesOf({
      match: { prefix: '/a' },
      redirect: { host_redirect: 'h', prefix_rewrite: '/b', response_code: 'FOUND' },
    });
    expect(table.match(request('/a'), () => 0)?.action).toMatchObject({
      kind: 'redirect',
      status: 302,
      host: 'h',
      port: null,
      scheme: null,
      rewrite: { kind: 'prefix', matchedLength: 2, replacement: '/b' },
    });
  });
});

describe('regular expressions', () => {
  test('string operations mean what the engine would say', () => {
    const pattern = fc.constantFrom(
      'abc',
      'a\\.b',
      '.*',
      '.+',
      'ab.*',
      '.*ab',
      '.*b.*',
      '^ab$',
      'a\\/b',
      '\\d',
      'a|b',
      '\\$',
      'ab\\.*',
    );
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '.', '/', '1', '$', '\n'), maxLength: 5 });
    fc.assert(
      fc.property(pattern, text, (regex, subject) => {
        const fast = asStringOperation(regex);
        if (fast !== null) expect(fast(subject)).toBe(RE2JS.compile(regex).testExact(subject));
      }),
      { numRuns: 3000 },
    );
  });

  test('broken and oversized patterns are refused in words', () => {
    const refuse = (regex: string): string | undefined => {
      const scope = newProblems();
      compileRegex({ regex }, scope);
      return scope.problems[0]?.message;
    };
    expect(refuse('(')).toContain('missing closing )');
    expect(refuse('a{1000}{1000}')).toBeDefined();
    expect(refuse('x+'.repeat(5_001))).toContain('at most 10000 are allowed');
    expect(refuse('(?=a)b')).toBeDefined();
  });

  test('a pattern that makes backtracking engines explode is linear here', () => {
    const match = compileRegex({ regex: '(a+)+b' }, newProblems());
    expect(match('a'.repeat(20_000))).toBe(false);
  });

  test('substitutions use groups as RE2 does', () => {
    const rewrite = (regex: string, substitution: string, text: string): string =>
      compileSubstitution({ pattern: { regex }, substitution }, newProblems())(text);
    expect(rewrite('^/api/v(\\d+)/(.*)$', '/\\2?v=\\10', '/api/v3/users')).toBe('/users?v=30');
    expect(rewrite('/one', '$1', '/one/one')).toBe('$1$1');
    expect(rewrite('a', '\\0\\0', 'a')).toBe('aa');
  });
});
