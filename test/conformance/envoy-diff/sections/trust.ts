/** What is believed of a request: its path's spelling, forwarding headers, internal headers. */
import {
  anyHost,
  catchAll,
  forwards,
  sends,
  type Json,
  type RequestParts,
  type Section,
} from '../section.ts';

const targets = [
  '/a/b',
  '/a/./b',
  '/a/../b',
  '/../a',
  '/a/..',
  '/a/.',
  '/a//b',
  '//a',
  '/a///b//',
  '/a/%2e/b',
  '/a/%2E%2e/b',
  '/a%2fb',
  '/a%2Fb',
  '/a%5cb',
  '/a%5Cb',
  '/a\\b',
  '/%61',
  '/%7Euser',
  '/%zz',
  '/%',
  '/a%00b',
  '/a?x=/../y',
  '/a/b?x=//y%2f',
  '/a//../b',
  '/a/%2f/b',
  '/a%252fb',
  '/%2e%2e/b',
  '/.',
  '/..',
  '/a/..%2fb',
  '/a;x/../b',
  '/%e9',
  '/A/B',
  '/a/b/',
];

const routes = anyHost([
  forwards('a', { path_separated_prefix: '/a' }, 'alpha'),
  forwards('b', { path_separated_prefix: '/b' }, 'beta'),
  forwards('rest', { prefix: '/' }, 'gamma'),
]);
const cases = targets.map((target) => sends(target, target));
const normalized = (name: string, manager: Json): Section => ({
  name: `paths-${name}`,
  manager,
  routes,
  cases,
});

const pathSections: readonly Section[] = [
  normalized('as-sent', {}),
  normalized('normalized', { normalize_path: true }),
  normalized('merged', { merge_slashes: true }),
  normalized('normalized-and-merged', { normalize_path: true, merge_slashes: true }),
  normalized('escaped-rejected', {
    normalize_path: true,
    path_with_escaped_slashes_action: 'REJECT_REQUEST',
  }),
  normalized('escaped-redirected', {
    normalize_path: true,
    path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT',
  }),
  normalized('escaped-forwarded', {
    normalize_path: true,
    path_with_escaped_slashes_action: 'UNESCAPE_AND_FORWARD',
  }),
  normalized('escaped-forwarded-merged', {
    normalize_path: true,
    merge_slashes: true,
    path_with_escaped_slashes_action: 'UNESCAPE_AND_FORWARD',
  }),
  normalized('escaped-kept', { path_with_escaped_slashes_action: 'KEEP_UNCHANGED' }),
];

const claims: readonly (readonly [name: string, parts: RequestParts])[] = [
  ['nothing', {}],
  ['one address', { headers: [['x-forwarded-for', '192.0.2.7']] }],
  ['two addresses', { headers: [['x-forwarded-for', '192.0.2.7, 198.51.100.3']] }],
  [
    'two fields',
    {
      headers: [
        ['x-forwarded-for', '192.0.2.7'],
        ['x-forwarded-for', '198.51.100.3'],
      ],
    },
  ],
  ['a private address', { headers: [['x-forwarded-for', '10.0.0.1']] }],
  ['an IPv6 address', { headers: [['x-forwarded-for', '2001:db8::1']] }],
  ['no address', { headers: [['x-forwarded-for', 'not an address']] }],
  ['an empty field', { headers: [['x-forwarded-for', '']] }],
  ['https', { headers: [['x-forwarded-proto', 'https']] }],
  ['http', { headers: [['x-forwarded-proto', 'http']] }],
  ['another scheme', { headers: [['x-forwarded-proto', 'ftp']] }],
  ['a request id', { headers: [['x-request-id', 'mine']] }],
  ['a UUID as request id', { headers: [['x-request-id', '6ba7b810-9dad-41d1-80b4-00c04fd430c8']] }],
  ['an empty request id', { headers: [['x-request-id', '']] }],
  [
    'a forwarded host',
    {
      headers: [
        ['x-forwarded-host', 'outside.test'],
        ['x-forwarded-port', '444'],
        ['forwarded', 'for=192.0.2.7'],
      ],
    },
  ],
  ['a real ip', { headers: [['x-real-ip', '192.0.2.7']] }],
  ['a client certificate', { headers: [['x-forwarded-client-cert', 'By=spiffe://a;Hash=1']] }],
  ['internal', { headers: [['x-envoy-internal', 'true']] }],
  ['an external address', { headers: [['x-envoy-external-address', '192.0.2.9']] }],
  ['an original path', { headers: [['x-envoy-original-path', '/secret']] }],
  ['a decorator', { headers: [['x-envoy-decorator-operation', 'op']] }],
  [
    'a timeout',
    {
      headers: [
        ['x-envoy-upstream-rq-timeout-ms', '5000'],
        ['x-envoy-upstream-rq-per-try-timeout-ms', '1000'],
      ],
    },
  ],
  ['an expected timeout', { headers: [['x-envoy-expected-rq-timeout-ms', '5']] }],
  ['an attempt count', { headers: [['x-envoy-attempt-count', '7']] }],
  [
    'retries',
    {
      headers: [
        ['x-envoy-retry-on', '5xx'],
        ['x-envoy-max-retries', '2'],
      ],
      script: 'first=2:503',
    },
  ],
  [
    'another x-envoy header',
    {
      headers: [
        ['x-envoy-something', '1'],
        ['x-envoy-peer-metadata', 'e30='],
      ],
    },
  ],
  ['a host to go to', { headers: [['x-envoy-original-dst-host', '127.0.0.1:1']] }],
  [
    'a trace',
    {
      headers: [
        ['traceparent', '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'],
        ['x-b3-traceid', '1'],
      ],
    },
  ],
  [
    'a user agent',
    {
      headers: [
        ['user-agent', 'test'],
        ['x-envoy-downstream-service-cluster', 'c'],
      ],
    },
  ],
];

const claimCases = claims.map(([name, parts]) => sends(name, '/', parts));
const trusting = (name: string, manager: Json): Section => ({
  name: `trust-${name}`,
  manager,
  routes: anyHost([catchAll]),
  cases: claimCases,
});

const trustSections: readonly Section[] = [
  trusting('internal', {}),
  trusting('edge', { use_remote_address: true }),
  trusting('edge-one-hop', { use_remote_address: true, xff_num_trusted_hops: 1 }),
  trusting('internal-one-hop', { xff_num_trusted_hops: 1 }),
  trusting('edge-no-append', { use_remote_address: true, skip_xff_append: true }),
  trusting('keeps-request-id', { use_remote_address: true, preserve_external_request_id: true }),
  trusting('no-request-id', { generate_request_id: false }),
  trusting('request-id-in-response', { always_set_request_id_in_response: true }),
  trusting('via', { via: 'mesh' }),
];

const serverSections: readonly Section[] = (['OVERWRITE', 'APPEND_IF_ABSENT', 'PASS_THROUGH'] as const).map(
  (transformation) => ({
    name: `server-${transformation}`,
    manager: { server_header_transformation: transformation },
    routes: anyHost([catchAll, forwards('none', { prefix: '/' }, 'empty')]),
    cases: [sends('without', '/'), sends('with', '/', { script: 'header=server: origin' })],
  }),
);

export const trustedSections: readonly Section[] = [...pathSections, ...trustSections, ...serverSections];
