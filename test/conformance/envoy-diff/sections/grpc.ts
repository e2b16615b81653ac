/** gRPC: deadlines, replies in its terms, retries by status, gRPC-Web. Over HTTP/1, where bytes can be read. */
import {
  anyHost,
  forwards,
  request,
  sends,
  type Case,
  type Json,
  type RequestParts,
  type Section,
} from '../section.ts';

const message = '\0\0\0\0\x05hello';
/** Takes and gives trailers, as the sections' managers do. */
const cluster = 'alpha-trailers';
const trailers: Json = { http_protocol_options: { enable_trailers: true } };

function call(name: string, path: string, parts: RequestParts = {}, type = 'application/grpc'): Case {
  const headers = [['content-type', type], ['te', 'trailers'], ...(parts.headers ?? [])] as const;
  return sends(name, path, { method: 'POST', body: message, ...parts, headers });
}

const forwarding = (name: string, action: Json): Json =>
  forwards(name, { prefix: `/${name}/` }, cluster, action);

const deadlines: readonly (readonly [name: string, action: Json])[] = [
  ['old-as-asked', { timeout: '0.1s', max_grpc_timeout: '0s' }],
  ['old-capped', { max_grpc_timeout: '0.1s' }],
  ['old-offset', { max_grpc_timeout: '0.1s', grpc_timeout_offset: '0.05s' }],
  [
    'old-tries',
    { max_grpc_timeout: '0.15s', retry_policy: { retry_on: '5xx', per_try_timeout: '0.1s', num_retries: 0 } },
  ],
  [
    'new-capped',
    { timeout: '1s', max_stream_duration: { grpc_timeout_header_max: '0.1s', max_stream_duration: '0.15s' } },
  ],
  [
    'new-offset',
    {
      max_stream_duration: {
        grpc_timeout_header_max: '0.2s',
        grpc_timeout_header_offset: '0.05s',
        max_stream_duration: '0.1s',
      },
    },
  ],
  ['new-not-read', { max_stream_duration: { max_stream_duration: '0.1s' } }],
  ['not-read', { timeout: '0.1s' }],
];

const asked: readonly (readonly [name: string, value: string | null])[] = [
  ['no deadline', null],
  ['150 ms', '150m'],
  ['20 ms', '20m'],
  ['in microseconds', '20500u'],
  ['an hour', '1H'],
  ['malformed', 'soon'],
];

const timeouts: Section = {
  name: 'grpc-timeouts',
  routes: anyHost(deadlines.map(([name, action]) => forwarding(name, action))),
  manager: trailers,
  cases: deadlines.flatMap(([name]) =>
    asked
      // Nothing would end these; and what is over before it begins may or may not reach the origin.
      .filter(([, value]) => name !== 'old-as-asked' || /^[0-9]+[mu]$/.test(value ?? ''))
      .filter(([, value]) => name !== 'new-offset' || !(value ?? '').startsWith('20'))
      .flatMap(([what, value]) => {
        const headers = value === null ? [] : ([['grpc-timeout', value]] as const);
        return [
          call(`${name}, ${what}, hanging`, `/${name}/s/M`, { headers, script: 'hang' }),
          call(`${name}, ${what}, in time`, `/${name}/s/M`, { headers, script: 'grpc=0' }),
        ];
      }),
  ),
};

const trailersOnly = (status: number | string): string =>
  `type=application/grpc;header=grpc-status: ${status};body=`;

const replies: Section = {
  name: 'grpc-replies',
  routes: anyHost([
    {
      name: 'direct',
      match: { prefix: '/direct/' },
      direct_response: { status: 403, body: { inline_string: 'go away' } },
    },
    { name: 'redirect', match: { prefix: '/redirect/' }, redirect: { path_redirect: '/elsewhere' } },
    forwards('refusing', { prefix: '/refusing/' }, 'refusing'),
    forwards('empty', { prefix: '/empty/' }, 'empty'),
    forwards('unknown', { prefix: '/unknown/' }, 'no-such-cluster'),
    forwards('no-requests', { prefix: '/no-requests/' }, 'no-requests'),
    forwards('grpc-only', { prefix: '/only/', grpc: {} }, cluster),
    forwards('up', { prefix: '/up/' }, cluster),
  ]),
  manager: trailers,
  cases: [
    ...['direct', 'redirect', 'refusing', 'empty', 'unknown', 'no-requests', 'nowhere', 'only'].flatMap(
      (name) => [
        call(`${name}`, `/${name}/s/M`, { script: 'grpc=0' }),
        call(`${name}, +json`, `/${name}/s/M`, { script: 'grpc=0' }, 'application/grpc+json'),
        sends(`${name}, grpc-web is not gRPC`, `/${name}/s/M`, {
          method: 'POST',
          body: message,
          headers: [['content-type', 'application/grpc-web']],
          script: 'status=200',
        }),
      ],
    ),
    ...[
      'grpc=0',
      'grpc=5',
      'grpc=99',
      trailersOnly(0),
      trailersOnly(7),
      trailersOnly(14),
      'status=400',
      'status=401',
      'status=403',
      'status=404',
      'status=429',
      'status=500',
      'status=502',
      'status=503',
      'status=504',
      'status=200',
      'type=application/grpc;status=503',
      'reset',
      'half-body',
    ].map((script) => call(`upstream: ${script}`, '/up/s/M', { script })),
  ],
};

const conditions = ['cancelled', 'deadline-exceeded', 'internal', 'resource-exhausted', 'unavailable'];
const backoff = { retry_back_off: { base_interval: '0.001s', max_interval: '0.002s' } };

const retries: Section = {
  name: 'grpc-retries',
  routes: anyHost([
    ...conditions.map((condition) =>
      forwarding(condition, { retry_policy: { retry_on: condition, num_retries: 1, ...backoff } }),
    ),
    forwarding('none', {}),
    forwarding('reset', { retry_policy: { retry_on: 'reset', num_retries: 2, ...backoff } }),
  ]),
  manager: trailers,
  cases: [
    ...conditions.flatMap((condition) =>
      ['1', '2', '4', '8', '13', '14', '014', 'x'].map((status) =>
        call(`${condition}, status ${status}`, `/${condition}/s/M`, { script: trailersOnly(status) }),
      ),
    ),
    call('in the trailers', '/unavailable/s/M', { script: 'grpc=14' }),
    call('over HTTP status 200 with content', '/unavailable/s/M', {
      script: 'type=application/grpc;header=grpc-status: 14',
    }),
    ...['none', 'reset'].flatMap((name) =>
      ['unavailable', 'cancelled,unavailable', 'cancelled', 'nonsense', '5xx'].map((value) =>
        call(`${name}, asks for ${value}`, `/${name}/s/M`, {
          script: trailersOnly(14),
          headers: [['x-envoy-retry-grpc-on', value]],
        }),
      ),
    ),
    ...['none', 'reset'].map((name) =>
      call(`${name}, asks for gateway-error`, `/${name}/s/M`, {
        script: 'first=1:503',
        headers: [['x-envoy-retry-on', 'gateway-error']],
      }),
    ),
    call('at most one', '/reset/s/M', {
      script: trailersOnly(14),
      headers: [
        ['x-envoy-retry-grpc-on', 'unavailable'],
        ['x-envoy-max-retries', '1'],
      ],
    }),
  ],
};

const types = 'type.googleapis.com/envoy.extensions.filters.http';
const web: Section = {
  name: 'grpc-web',
  routes: anyHost([
    forwards('refusing', { prefix: '/refusing/' }, 'refusing'),
    forwards('up', { prefix: '/up/' }, cluster),
  ]),
  manager: {
    ...trailers,
    http_filters: [
      { name: 'envoy.filters.http.grpc_web', typed_config: { '@type': `${types}.grpc_web.v3.GrpcWeb` } },
      { name: 'envoy.filters.http.router', typed_config: { '@type': `${types}.router.v3.Router` } },
    ],
  },
  cases: [
    'application/grpc-web',
    'application/grpc-web+proto',
    'application/grpc-web-text',
    'application/grpc-web-text+proto',
    'application/grpc-web+json',
    'application/grpc',
    'text/plain',
  ].flatMap((type) => {
    const body = type.includes('text') && type !== 'text/plain' ? btoa(message) : message;
    const to = (name: string, parts: RequestParts): Case =>
      sends(`${type}, ${name}`, '/up/s/M', {
        method: 'POST',
        body,
        headers: [['content-type', type]],
        ...parts,
      });
    return [
      to('answered', { script: 'grpc=0' }),
      to('answered with an error', { script: 'grpc=5' }),
      to('answered in text', {
        script: 'grpc=0',
        headers: [
          ['content-type', type],
          ['accept', 'application/grpc-web-text'],
        ],
      }),
      to('trailers only', { script: trailersOnly(7) }),
      to('an error page', { script: 'status=503;body=no more' }),
      to('an error page in text', {
        script: 'status=404;body=not here',
        headers: [
          ['content-type', type],
          ['accept', 'application/grpc-web-text+proto'],
        ],
      }),
      to('an error without content', { script: 'status=503;body=' }),
      to('not base64', { script: 'grpc=0', body: 'AA!A' }),
      to('base64 cut short', { script: 'grpc=0', body: 'AAAAA' }),
      sends(`${type}, refused`, '/refusing/s/M', { method: 'POST', body, headers: [['content-type', type]] }),
      {
        name: `${type}, two on one connection`,
        steps: [1, 2].map(() => ({
          send: request('/up/s/M', {
            method: 'POST',
            body,
            headers: [['content-type', type]],
            script: 'grpc=0',
          }),
        })),
      },
    ];
  }),
};

export const grpcSections: readonly Section[] = [timeouts, replies, retries, web];
