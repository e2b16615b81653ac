/** Route matches: path, headers, query parameters, method; and which of several routes wins. */
import {
  anyHost,
  forwards,
  product,
  request,
  sends,
  sendsRaw,
  type Json,
  type RequestParts,
  type Section,
} from '../section.ts';

const regex = (pattern: string): Json => ({ safe_regex: { regex: pattern } });

const paths: Section = {
  name: 'paths',
  ...product(
    [
      ['prefix /', { prefix: '/' }],
      ['prefix /api', { prefix: '/api' }],
      ['prefix /api/', { prefix: '/api/' }],
      ['prefix /API any case', { prefix: '/API', case_sensitive: false }],
      ['path /api', { path: '/api' }],
      ['path /API any case', { path: '/API', case_sensitive: false }],
      ['path /', { path: '/' }],
      ['separated /api', { path_separated_prefix: '/api' }],
      ['separated /Api any case', { path_separated_prefix: '/Api', case_sensitive: false }],
      ['separated /api/v1', { path_separated_prefix: '/api/v1' }],
      ['regex /api.*', regex('/api.*')],
      ['regex /api/v[0-9]+', regex('/api/v[0-9]+')],
      ['regex (?i)/API', regex('(?i)/API')],
      ['regex /[^/]+', regex('/[^/]+')],
      ['regex .*\\.html', regex('.*\\.html')],
      ['regex /(api|web)/?', regex('/(api|web)/?')],
    ],
    [
      '/',
      '/api',
      '/API',
      '/api/',
      '/api/v1',
      '/api/v1/x',
      '/api/v12',
      '/apis',
      '/api?x=1',
      '/api/?x=1',
      '/api#f',
      '/api%2Fv1',
      '/%61pi',
      '/api//v1',
      '/web',
      '/web/',
      '/index.html',
      '/a/b.html?q',
      '/api;p=1',
      '/apI/V1',
    ].map((target) => [target, target] as const),
  ),
};

const text = (match: Json): Json => ({ string_match: match });

const headerMatches: readonly (readonly [string, Json])[] = [
  ['exact', text({ exact: 'blue' })],
  ['exact any case', text({ exact: 'BLUE', ignore_case: true })],
  ['prefix', text({ prefix: 'bl' })],
  ['prefix any case', text({ prefix: 'BL', ignore_case: true })],
  ['suffix', text({ suffix: 'ue' })],
  ['contains', text({ contains: 'lu' })],
  ['contains any case', text({ contains: 'LU', ignore_case: true })],
  ['regex', text({ safe_regex: { regex: 'b.*e' } })],
  ['regex part', text({ safe_regex: { regex: 'lu' } })],
  ['not exact', { ...text({ exact: 'blue' }), invert_match: true }],
  ['not prefix', { ...text({ prefix: 'bl' }), invert_match: true }],
  ['not regex', { ...text({ safe_regex: { regex: 'b.*' } }), invert_match: true }],
  [
    'not exact, missing as empty',
    { ...text({ exact: 'blue' }), invert_match: true, treat_missing_header_as_empty: true },
  ],
  ['exact empty, missing as empty', { ...text({ exact: '' }), treat_missing_header_as_empty: true }],
  [
    'regex .*, missing as empty',
    { ...text({ safe_regex: { regex: '.*' } }), treat_missing_header_as_empty: true },
  ],
  ['exact, missing as empty', { ...text({ exact: 'blue' }), treat_missing_header_as_empty: true }],
  ['present', { present_match: true }],
  ['absent', { present_match: false }],
  ['not present', { present_match: true, invert_match: true }],
  ['not absent', { present_match: false, invert_match: true }],
  ['present, missing as empty', { present_match: true, treat_missing_header_as_empty: true }],
  ['absent, missing as empty', { present_match: false, treat_missing_header_as_empty: true }],
  ['range', { range_match: { start: -10, end: 10 } }],
  ['not range', { range_match: { start: -10, end: 10 }, invert_match: true }],
  ['range, missing as empty', { range_match: { start: -10, end: 10 }, treat_missing_header_as_empty: true }],
  ['legacy exact', { exact_match: 'blue' }],
  ['legacy prefix', { prefix_match: 'bl' }],
  ['legacy suffix', { suffix_match: 'ue' }],
  ['legacy contains', { contains_match: 'lu' }],
  ['legacy regex', { safe_regex_match: { regex: 'b.*e' } }],
  ['name only', {}],
];

const colour = (...values: readonly string[]): RequestParts => ({
  headers: values.map((value) => ['X-Colour', value] as const),
});

const headers: Section = {
  name: 'headers',
  ...product(
    headerMatches.map(
      ([label, match]) => [label, { prefix: '/', headers: [{ name: 'x-colour', ...match }] }] as const,
    ),
    [
      ['no header', '/'],
      ['empty', '/', colour('')],
      ['blue', '/', colour('blue')],
      ['BLUE', '/', colour('BLUE')],
      ['blueish', '/', colour('blueish')],
      ['light blue', '/', colour('light blue')],
      ['lu', '/', colour('lu')],
      ['spaces around', '/', colour('  blue\t')],
      ['blue twice', '/', colour('blue', 'blue')],
      ['red and blue', '/', colour('red', 'blue')],
      ['blue,red', '/', colour('blue,red')],
      ['0', '/', colour('0')],
      ['-10', '/', colour('-10')],
      ['10', '/', colour('10')],
      ['+5', '/', colour('+5')],
      ['5.0', '/', colour('5.0')],
      ['5 and text', '/', colour('5x')],
      ['beyond 64 bits', '/', colour('99999999999999999999')],
    ],
  ),
};

const pseudo = (name: string, match: Json): Json => ({ prefix: '/', headers: [{ name, ...match }] });

const pseudoHeaders: Section = {
  name: 'pseudo-headers',
  ...product(
    [
      ['method GET', pseudo(':method', text({ exact: 'GET' }))],
      ['method not GET', pseudo(':method', { ...text({ exact: 'GET' }), invert_match: true })],
      ['method GET or HEAD', pseudo(':method', text({ safe_regex: { regex: 'GET|HEAD' } }))],
      ['authority', pseudo(':authority', text({ prefix: 'm3' }))],
      ['host', pseudo('host', text({ prefix: 'm4' }))],
      ['path with query', pseudo(':path', text({ suffix: '?q=1' }))],
      ['path', pseudo(':path', text({ exact: '/here' }))],
      ['scheme', pseudo(':scheme', text({ exact: 'http' }))],
      [
        'two headers',
        {
          prefix: '/',
          headers: [
            { name: ':method', ...text({ exact: 'GET' }) },
            { name: 'x-a', present_match: true },
          ],
        },
      ],
      ['grpc', { prefix: '/', grpc: {} }],
    ],
    [
      ['GET', '/here'],
      ['GET with query', '/here?q=1'],
      ['POST', '/here', { method: 'POST', body: 'x' }],
      ['HEAD', '/here', { method: 'HEAD' }],
      ['unusual method', '/here', { method: 'PURGE' }],
      ['x-a', '/here', { headers: [['x-a', '1']] }],
      ['grpc type', '/here', { method: 'POST', headers: [['content-type', 'application/grpc']], body: '' }],
      [
        'grpc+proto type',
        '/here',
        { method: 'POST', headers: [['content-type', 'application/grpc+proto']], body: '' },
      ],
    ],
  ),
};

const query = (match: Json): Json => ({ prefix: '/', query_parameters: [{ name: 'q', ...match }] });

const queryParameters: Section = {
  name: 'query-parameters',
  ...product(
    [
      ['exact', query(text({ exact: 'blue' }))],
      ['exact any case', query(text({ exact: 'BLUE', ignore_case: true }))],
      ['prefix', query(text({ prefix: 'bl' }))],
      ['suffix', query(text({ suffix: 'ue' }))],
      ['contains', query(text({ contains: 'a b' }))],
      ['regex', query(text({ safe_regex: { regex: '[a-z]+' } }))],
      ['present', query({ present_match: true })],
      ['absent', query({ present_match: false })],
      ['name only', query({})],
      ['exact empty', query(text({ exact: '' }))],
      [
        'two',
        {
          prefix: '/',
          query_parameters: [
            { name: 'q', ...text({ exact: 'blue' }) },
            { name: 'r', present_match: true },
          ],
        },
      ],
    ],
    [
      '/',
      '/?',
      '/?q',
      '/?q=',
      '/?q=blue',
      '/?q=BLUE',
      '/?Q=blue',
      '/?q=blue&r',
      '/?r&q=blue',
      '/?q=red&q=blue',
      '/?q=blue&q=red',
      '/?q=bl%75e',
      '/?%71=blue',
      '/?q=a+b',
      '/?q=a%20b',
      '/?q=blue#q=red',
      '/?x=q=blue',
      '/?&&q=blue',
      '/?q==blue',
      '/?q=%zz',
      '/p?q=blue?q=red',
    ].map((target) => [target, target] as const),
  ),
};

const precedence: Section = {
  name: 'precedence',
  routes: anyHost([
    forwards('header first', { prefix: '/', headers: [{ name: 'x-first', present_match: true }] }, 'beta'),
    forwards('short prefix', { prefix: '/a' }, 'alpha'),
    forwards('long prefix behind a short one', { prefix: '/a/b' }, 'beta'),
    forwards('regex', regex('/r/.*'), 'gamma'),
    forwards('exact behind a regex', { path: '/r/exact' }, 'alpha'),
    forwards('exact', { path: '/e' }, 'alpha'),
    forwards('prefix behind an exact', { prefix: '/e' }, 'beta'),
    forwards(
      'with a query',
      { prefix: '/q', query_parameters: [{ name: 'v', string_match: { exact: '2' } }] },
      'beta',
    ),
    forwards('without', { prefix: '/q' }, 'alpha'),
    forwards('case folded', { prefix: '/CASE', case_sensitive: false }, 'gamma'),
    forwards('case kept', { prefix: '/case' }, 'alpha'),
    forwards('never', { prefix: '/n', runtime_fraction: { default_value: { numerator: 0 } } }, 'beta'),
    forwards('always', { prefix: '/n', runtime_fraction: { default_value: { numerator: 100 } } }, 'alpha'),
  ]),
  cases: [
    '/a',
    '/a/b',
    '/a/b/c',
    '/ab',
    '/r/x',
    '/r/exact',
    '/r',
    '/e',
    '/e?x',
    '/e/',
    '/ee',
    '/q',
    '/q?v=2',
    '/q?v=3',
    '/case',
    '/CASE',
    '/Case/x',
    '/n',
    '/nothing',
    '/unmatched',
    '/zzz?v=2',
  ].flatMap((target) => [
    sends(target, target),
    sends(`${target} with x-first`, target, { headers: [['x-first', '']] }),
  ]),
};

const weights = (name: string, pairs: Json, total?: number): Json => ({
  name,
  match: { prefix: `/${name}` },
  route: {
    weighted_clusters: {
      clusters: Object.entries(pairs).map(([cluster, weight]) => ({ name: cluster, weight })),
      ...(total === undefined ? {} : { total_weight: total }),
    },
  },
});

const weighted: Section = {
  name: 'weighted',
  routes: anyHost([
    weights('all-alpha', { alpha: 100, beta: 0 }),
    weights('all-beta', { alpha: 0, beta: 1 }),
    weights('only-gamma', { alpha: 0, beta: 0, gamma: 7 }),
    weights('total', { alpha: 0, beta: 1000 }, 1000),
    weights('unknown-cluster', { nowhere: 1, alpha: 0 }),
    {
      name: 'own-headers',
      match: { prefix: '/own-headers' },
      route: {
        weighted_clusters: {
          clusters: [
            {
              name: 'alpha',
              weight: 0,
              request_headers_to_add: [{ header: { key: 'x-split', value: 'alpha' } }],
            },
            {
              name: 'beta',
              weight: 1,
              request_headers_to_add: [{ header: { key: 'x-split', value: 'beta' } }],
              request_headers_to_remove: ['x-drop'],
              response_headers_to_add: [{ header: { key: 'x-split', value: 'beta' } }],
              response_headers_to_remove: ['x-origin'],
            },
          ],
        },
      },
      request_headers_to_add: [{ header: { key: 'x-split', value: 'route' } }],
      response_headers_to_add: [{ header: { key: 'x-split', value: 'route' } }],
    },
    {
      name: 'own-host',
      match: { prefix: '/own-host' },
      route: {
        weighted_clusters: {
          clusters: [{ name: 'alpha', weight: 1, host_rewrite_literal: 'rewritten.test' }],
        },
      },
    },
    { name: 'by-header', match: { prefix: '/by-header' }, route: { cluster_header: 'x-cluster' } },
    {
      name: 'by-header-404',
      match: { prefix: '/404-by-header' },
      route: { cluster_header: 'x-cluster', cluster_not_found_response_code: 'NOT_FOUND' },
    },
  ]),
  cases: [
    ...['all-alpha', 'all-beta', 'only-gamma', 'total', 'unknown-cluster', 'own-headers', 'own-host'].flatMap(
      (name) => [
        sends(name, `/${name}`, { headers: [['x-drop', '1']] }),
        sends(`${name}, POST`, `/${name}`, { method: 'POST', body: 'abc' }),
      ],
    ),
    ...['by-header', '404-by-header'].flatMap((name) =>
      ['alpha', 'beta', 'nowhere', ''].map((cluster) =>
        sends(`${name} ${cluster}`, `/${name}`, { headers: [['x-cluster', cluster]] }),
      ),
    ),
    sends('by-header without header', '/by-header'),
    sendsRaw('two on one connection', request('/all-alpha'), request('/all-beta')),
  ],
};

export const matchingSections: readonly Section[] = [
  paths,
  headers,
  pseudoHeaders,
  queryParameters,
  precedence,
  weighted,
];
