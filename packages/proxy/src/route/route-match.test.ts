import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { compileRoutes, request, routesOf, taken } from './route-requests.test-double.ts';
import type { PathMatch } from './path-match.ts';
import { indexRoutes, scanRoutes, type IndexedRoute } from './route-index.ts';

const route = (name: string, match: object): object => ({ name, match, route: { cluster: name } });

describe('virtual hosts', () => {
  const host = (...domains: string[]): object => ({
    name: domains[0],
    domains,
    routes: [route(domains[0] ?? '', { prefix: '/' })],
  });
  const { table, problems } = compileRoutes({
    virtual_hosts: [
      host('*'),
      host('*.example.com'),
      host('a.*'),
      host('*.b.example.com'),
      host('www.example.com'),
      host('www.example.com:81'),
      host('x*'),
    ],
  });

  test.each([
    ['www.example.com', 'www.example.com'],
    ['WWW.Example.COM', 'www.example.com'],
    ['www.example.com:81', 'www.example.com:81'],
    ['www.example.com:82', '*'],
    ['z.example.com', '*.example.com'],
    ['z.b.example.com', '*.b.example.com'],
    ['.example.com', '*'],
    ['a.example.org', 'a.*'],
    ['a.example.com', '*.example.com'],
    ['x', '*'],
    ['xy', 'x*'],
  ])('%s is served by %s', (authority, name) => {
    expect(problems).toEqual([]);
    expect(table.findVirtualHost(request('/', { authority }))?.name).toBe(name);
  });

  test('ports are ignored when the table says so, IPv6 literals kept whole', () => {
    const ported = compileRoutes({
      ignore_port_in_host_matching: true,
      virtual_hosts: [host('a'), host('[::1]')],
    }).table;
    expect(ported.findVirtualHost(request('/', { authority: 'a:8080' }))?.name).toBe('a');
    expect(ported.findVirtualHost(request('/', { authority: '[::1]:80' }))?.name).toBe('[::1]');
    expect(ported.findVirtualHost(request('/', { authority: 'b' }))).toBeNull();
  });

  test('a domain or name that occurs twice, and wildcards in the middle, are errors with their path', () => {
    const { problems: found } = compileRoutes({
      virtual_hosts: [host('a', 'b'), { ...host('A'), name: 'other' }, { ...host('a*b'), name: 'a' }],
    });
    expect(found.map(({ path, message }) => `${path}: ${message}`)).toEqual([
      'virtual_hosts[1].domains[0]: domain "A" occurs twice in the table',
      'virtual_hosts[2].name: virtual host "a" occurs twice',
      'virtual_hosts[2].domains[0]: "a*b": a wildcard may stand at one end only',
    ]);
  });
});

describe('route matches', () => {
  const header = (matcher: object): object => ({ prefix: '/', headers: [matcher] });

  test.each([
    [{ prefix: '/a' }, '/ab', true],
    [{ prefix: '/a' }, '/A', false],
    [{ prefix: '/a', case_sensitive: false }, '/Ab', true],
    [{ path: '/a' }, '/a?x=1', true],
    [{ path: '/a' }, '/a/', false],
    [{ path_separated_prefix: '/a' }, '/a/b', true],
    [{ path_separated_prefix: '/a' }, '/a', true],
    [{ path_separated_prefix: '/a' }, '/ab', false],
    [{ safe_regex: { regex: '/a/[0-9]+' } }, '/a/12', true],
    [{ safe_regex: { regex: '/a/[0-9]+' } }, '/a/12/', false],
    [{ prefix: '/', query_parameters: [{ name: 'v', string_match: { exact: '2' } }] }, '/?v=2&v=3', true],
    [{ prefix: '/', query_parameters: [{ name: 'v', string_match: { exact: 'a b' } }] }, '/?v=a%20b', false],
    [{ prefix: '/', query_parameters: [{ name: 'v', present_match: true }] }, '/?w=1', false],
  ])('%p on %s: %p', (match, path, expected) => {
    const { table, problems } = routesOf(route('r', match));
    expect(problems).toEqual([]);
    expect(taken(table, request(path)) === 'r').toBe(expected);
  });

  test.each([
    [{ name: 'x', string_match: { exact: '1' } }, { x: '1' }, true],
    [{ name: 'X', string_match: { prefix: 'AB', ignore_case: true } }, { x: 'abc' }, true],
    [{ name: 'x', string_match: { suffix: 'c' } }, { x: 'abc' }, true],
    [{ name: 'x', string_match: { contains: 'b' } }, { x: 'abc' }, true],
    [{ name: 'x', safe_regex_match: { regex: 'a.*' } }, { x: 'abc' }, true],
    [{ name: 'x', range_match: { start: -5, end: 5 } }, { x: '4' }, true],
    [{ name: 'x', range_match: { start: -5, end: 5 } }, { x: '5' }, false],
    [{ name: 'x', present_match: true }, { x: '' }, true],
    [{ name: 'x', present_match: true, invert_match: true }, {}, true],
    [{ name: 'x', string_match: { exact: '1' }, invert_match: true }, { x: '2' }, true],
    [{ name: 'x', string_match: { exact: '1' }, invert_match: true }, {}, false],
    [
      { name: 'x', string_match: { exact: '1' }, invert_match: true, treat_missing_header_as_empty: true },
      {},
      true,
    ],
    [{ name: ':method', string_match: { exact: 'GET' } }, {}, true],
    [{ name: ':authority', string_match: { exact: 'a' } }, {}, true],
  ])('header %p on %p: %p', (matcher, headers, expected) => {
    const { table, problems } = routesOf(route('r', header(matcher)));
    expect(problems).toEqual([]);
    expect(taken(table, request('/', { headers: headers as Record<string, string> })) === 'r').toBe(expected);
  });

  test('fractions let their share through to the next route', () => {
    const match = { prefix: '/', runtime_fraction: { default_value: { numerator: 25 } } };
    const { table } = routesOf(route('some', match), route('rest', { prefix: '/' }));
    expect([0.24, 0.25].map((draw) => taken(table, request('/'), () => draw))).toEqual(['some', 'rest']);
  });

  test('CONNECT is matched by connect_matcher', () => {
    const { table } = routesOf(route('plain', { prefix: '/' }), route('tunnel', { connect_matcher: {} }));
    expect(taken(table, request('', { method: 'CONNECT' }))).toBe('tunnel');
    expect(taken(table, request('/'))).toBe('plain');
  });
});

describe('the index', () => {
  const segment = fc.constantFrom('', 'a', 'b', 'ab', 'A');
  const path = fc.array(segment, { minLength: 1, maxLength: 3 }).map((parts) => `/${parts.join('/')}`);
  const match: fc.Arbitrary<PathMatch> = fc.oneof(
    fc.record({ kind: fc.constant('exact' as const), path, ignoreCase: fc.boolean() }).map(fold),
    fc.record({ kind: fc.constant('prefix' as const), prefix: path, ignoreCase: fc.boolean() }).map(fold),
    fc
      .record({ kind: fc.constant('separatedPrefix' as const), prefix: path, ignoreCase: fc.boolean() })
      .map(fold),
    path.map((wanted) => ({ kind: 'regex' as const, test: (text: string) => text.endsWith(wanted) })),
    fc.constant({ kind: 'connect' as const }),
  );

  function fold<T extends PathMatch>(value: T): T {
    if (!('ignoreCase' in value) || !value.ignoreCase) return value;
    return 'path' in value
      ? { ...value, path: value.path.toLowerCase() }
      : { ...value, prefix: value.prefix.toLowerCase() };
  }

  test('answers as a scan of the list does', () => {
    const entry = fc.record({ path: match, holds: fc.boolean() });
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 40 }), path, fc.boolean(), (entries, asked, isConnect) => {
        const routes: IndexedRoute<number>[] = entries.map((each, i) => ({
          path: each.path,
          predicates: [() => each.holds],
          share: null,
          route: i,
        }));
        const of = isConnect ? request('', { method: 'CONNECT' }) : request(asked);
        expect(indexRoutes(routes)(of, () => 0)).toBe(scanRoutes(routes, of, () => 0));
      }),
      { numRuns: 2000 },
    );
  });
});
