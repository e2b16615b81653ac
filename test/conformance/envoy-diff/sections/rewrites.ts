/** What changes on the way to the upstream and back: paths, hosts, headers. */
import { anyHost, forwards, request, sends, sendsRaw, type Json, type Section } from '../section.ts';

const byName = (name: string, action: Json, match: Json = { prefix: `/${name}` }): Json =>
  forwards(name, match, 'alpha', action);
const regexRewrite = (regex: string, substitution: string): Json => ({ pattern: { regex }, substitution });

const rewrites: Section = {
  name: 'rewrites',
  routes: anyHost([
    byName('prefix', { prefix_rewrite: '/new' }),
    byName('to-root', { prefix_rewrite: '/' }),
    byName('slash', { prefix_rewrite: '/' }, { prefix: '/slash/' }),
    byName('exact', { prefix_rewrite: '/whole' }, { path: '/exact' }),
    byName('separated', { prefix_rewrite: '/new' }, { path_separated_prefix: '/separated' }),
    byName('separated-root', { prefix_rewrite: '/' }, { path_separated_prefix: '/separated-root' }),
    byName('folded', { prefix_rewrite: '/new' }, { prefix: '/FOLDED', case_sensitive: false }),
    byName('by-regex', { prefix_rewrite: '/new' }, { safe_regex: { regex: '/by-regex/.*' } }),
    byName('regex', { regex_rewrite: regexRewrite('^/regex/([^/]+)/(.*)$', '/\\2/\\1') }),
    byName('regex-all', { regex_rewrite: regexRewrite('one', 'two') }),
    byName('regex-none', { regex_rewrite: regexRewrite('nothing', 'x') }),
    byName('regex-whole', { regex_rewrite: regexRewrite('^.*$', '/zero\\0') }),
    byName('host-literal', { host_rewrite_literal: 'literal.test' }),
    byName('host-header', { host_rewrite_header: 'x-host' }),
    byName('host-path', { host_rewrite_path_regex: regexRewrite('^/host-path/([^/?]+).*$', '\\1.test') }),
    forwards('host-auto', { prefix: '/host-auto' }, 'by-name', { auto_host_rewrite: true }),
    forwards('host-auto-address', { prefix: '/address-auto' }, 'alpha', { auto_host_rewrite: true }),
    byName('both', { prefix_rewrite: '/n', host_rewrite_literal: 'literal.test' }),
  ]),
  cases: [
    ...[
      '/prefix',
      '/prefix/a',
      '/prefixed',
      '/prefix?q=1',
      '/to-root',
      '/to-root/a',
      '/to-rooted',
      '/slash/',
      '/slash/a',
      '/exact',
      '/exact?q=1',
      '/separated',
      '/separated/',
      '/separated/a?q',
      '/separated-root',
      '/separated-root/a',
      '/folded/A',
      '/Folded',
      '/by-regex/a/b',
      '/by-regex/a?q=/x',
      '/regex/a/b',
      '/regex/a/b/c?q=1',
      '/regex/a',
      '/regex-all/one/one?one',
      '/regex-none/a',
      '/regex-whole/a?b',
      '/host-literal',
      '/host-header',
      '/host-auto',
      '/address-auto',
      '/host-path/sub/x?y=1',
      '/both/x',
      '/nothing',
    ].map((target) => sends(target, target)),
    sends('host from a header', '/host-header', { headers: [['x-host', 'asked.test']] }),
    sends('host from an empty header', '/host-header', { headers: [['x-host', '']] }),
    sends('host from two headers', '/host-header', {
      headers: [
        ['x-host', 'a.test'],
        ['x-host', 'b.test'],
      ],
    }),
    sendsRaw('absolute form', request('http://absolute.test/prefix/a?q=1')),
    sendsRaw('absolute form without a path', request('http://absolute.test')),
    sendsRaw('absolute form with a query only', request('http://absolute.test?q=1')),
  ],
};

const add = (key: string, value: string, action?: string, more: Json = {}): Json => ({
  header: { key, value },
  ...(action === undefined ? {} : { append_action: action }),
  ...more,
});

const actions: readonly Json[] = [
  add('x-append', 'new'),
  add('x-append', 'newer', 'APPEND_IF_EXISTS_OR_ADD'),
  add('x-if-absent', 'new', 'ADD_IF_ABSENT'),
  add('x-overwrite', 'new', 'OVERWRITE_IF_EXISTS_OR_ADD'),
  add('x-if-exists', 'new', 'OVERWRITE_IF_EXISTS'),
  add('x-empty', '', 'APPEND_IF_EXISTS_OR_ADD'),
  add('x-kept-empty', '', 'APPEND_IF_EXISTS_OR_ADD', { keep_empty_value: true }),
  add('x-removed-and-added', 'new'),
  add('X-Upper', 'Case'),
  add('x-legacy-append', 'new', undefined, { append: true }),
  add('x-legacy-set', 'new', undefined, { append: false }),
];
const names = [
  'x-append',
  'x-if-absent',
  'x-overwrite',
  'x-if-exists',
  'x-removed-and-added',
  'x-removed',
  'x-legacy-append',
  'x-legacy-set',
];

const headerActions: Section = {
  name: 'header-actions',
  routes: anyHost([
    forwards(
      'actions',
      { prefix: '/' },
      'alpha',
      {},
      {
        request_headers_to_add: actions,
        request_headers_to_remove: ['x-removed', 'x-removed-and-added'],
        response_headers_to_add: actions,
        response_headers_to_remove: ['x-removed', 'x-removed-and-added'],
      },
    ),
  ]),
  cases: [
    sends('nothing there', '/'),
    sends('request headers there', '/', { headers: names.map((name) => [name, 'old'] as const) }),
    sends('request headers there twice', '/', {
      headers: [...names, ...names].map((name) => [name, 'old'] as const),
    }),
    sends('response headers there', '/', { script: names.map((name) => `header=${name}: old`).join(';') }),
    sends('response headers there twice', '/', {
      script: [...names, ...names].map((name) => `header=${name}: old`).join(';'),
    }),
    sends('other case there', '/', { headers: names.map((name) => [name.toUpperCase(), 'old'] as const) }),
  ],
};

const level = (name: string): Json => ({
  request_headers_to_add: [
    add('x-set', name, 'OVERWRITE_IF_EXISTS_OR_ADD'),
    add('x-append', name),
    add('x-if-absent', name, 'ADD_IF_ABSENT'),
    add(`x-${name}`, 'here'),
  ],
  request_headers_to_remove: [`x-drop-${name}`],
  response_headers_to_add: [
    add('x-set', name, 'OVERWRITE_IF_EXISTS_OR_ADD'),
    add('x-append', name),
    add('x-if-absent', name, 'ADD_IF_ABSENT'),
    add(`x-${name}`, 'here'),
  ],
  response_headers_to_remove: [`x-drop-${name}`, 'x-origin'],
});

const levelled = (table: Json): Json =>
  anyHost([forwards('forwarded', { prefix: '/' }, 'alpha', {}, level('route'))], level('host'), {
    ...level('table'),
    ...table,
  });

const levelCases = [
  sends('nothing there', '/'),
  sends('all there', '/', {
    headers: ['x-set', 'x-append', 'x-if-absent', 'x-drop-route', 'x-drop-host', 'x-drop-table'].map(
      (name) => [name, 'old'] as const,
    ),
    script:
      'header=x-set: old;header=x-append: old;header=x-if-absent: old;header=x-drop-route: 1;header=x-drop-table: 1',
  }),
  sends('removed at one level, added at another', '/', {
    headers: [
      ['x-route', 'old'],
      ['x-table', 'old'],
    ],
  }),
];

const operators: readonly string[] = [
  'plain',
  '100%%',
  '%REQ(x-in)%',
  '%REQ(X-IN)%',
  'a-%REQ(x-in)%-b',
  '%REQ(x-absent)%',
  '%REQ(x-absent?x-in)%',
  '%REQ(x-in):3%',
  '%REQ(:METHOD)%',
  '%REQ(:PATH)%',
  '%REQ(:AUTHORITY)%',
  '%REQ(:SCHEME)%',
  '%PROTOCOL%',
  '%ROUTE_NAME%',
  '%UPSTREAM_CLUSTER%',
  '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%',
  '%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%',
  '%REQUESTED_SERVER_NAME%',
  '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%',
  '%DOWNSTREAM_PEER_URI_SAN%',
  '%REQ(x-in)%%REQ(x-in)%',
];
const responseOperators: readonly string[] = [
  ...operators,
  '%RESPONSE_CODE%',
  '%RESP(x-origin)%',
  '%RESP(x-absent)%',
  '%RESPONSE_CODE_DETAILS%',
  '%RESPONSE_FLAGS%',
  '%UPSTREAM_REQUEST_ATTEMPT_COUNT%',
  '%BYTES_RECEIVED%',
];
const formatted = (values: readonly string[]): Json[] => values.map((value, i) => add(`x-v${i}`, value));

const headerOperators: Section = {
  name: 'header-operators',
  routes: anyHost([
    forwards(
      'the route',
      { prefix: '/' },
      'alpha',
      {},
      {
        request_headers_to_add: formatted(operators),
        response_headers_to_add: formatted(responseOperators),
      },
    ),
  ]),
  cases: [
    sends('with the header', '/p?q=1', { headers: [['x-in', 'value']] }),
    sends('without it', '/p?q=1'),
    sends('with it twice', '/', {
      headers: [
        ['x-in', 'one'],
        ['x-in', 'two'],
      ],
    }),
    sends('a POST', '/', { method: 'POST', body: 'abc', headers: [['x-in', 'value']] }),
    sends('a 503', '/', { script: 'status=503', headers: [['x-in', 'value']] }),
  ],
};

export const rewriteSections: readonly Section[] = [
  rewrites,
  headerActions,
  { name: 'header-levels', routes: levelled({}), cases: levelCases },
  {
    name: 'header-levels-specific-wins',
    routes: levelled({ most_specific_header_mutations_wins: true }),
    cases: levelCases,
  },
  headerOperators,
];
