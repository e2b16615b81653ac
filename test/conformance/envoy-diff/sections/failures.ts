/** What happens when the upstream does not do its part: failures, timeouts, retries, circuit breakers. */
import {
  anyHost,
  catchAll,
  forwards,
  request,
  sends,
  sendsRaw,
  type Json,
  type Section,
} from '../section.ts';

const to = (cluster: string, action: Json = {}): Json =>
  forwards(cluster, { prefix: `/${cluster}/` }, cluster, action);

const noUpstream: Section = {
  name: 'no-upstream',
  routes: anyHost([
    to('refusing'),
    to('blackhole'),
    to('empty'),
    to('unhealthy'),
    to('draining'),
    to('no-requests'),
    to('no-pending'),
    to('nowhere'),
    forwards('404', { prefix: '/404/' }, 'nowhere', { cluster_not_found_response_code: 'NOT_FOUND' }),
    forwards('500', { prefix: '/500/' }, 'nowhere', {
      cluster_not_found_response_code: 'INTERNAL_SERVER_ERROR',
    }),
  ]),
  cases: [
    'refusing',
    'blackhole',
    'empty',
    'unhealthy',
    'draining',
    'no-requests',
    'no-pending',
    'nowhere',
    '404',
    '500',
  ].flatMap((name) => [
    sends(name, `/${name}/`),
    sends(`${name}, POST`, `/${name}/`, { method: 'POST', body: 'abc' }),
    sends(`${name}, HEAD`, `/${name}/`, { method: 'HEAD' }),
    sendsRaw(`${name}, then another request`, request(`/${name}/`), request(`/${name}/again`)),
  ]),
};

const scripts = [
  'reset',
  'close',
  'garbage',
  'half-head',
  'half-body',
  'half-chunk',
  'bad-chunk',
  'two-lengths',
  'length-and-chunked',
  'chunked',
  'trailers',
  'until-close',
  'until-close-10',
  'hints',
  'connection-headers',
  'status=204',
  'status=304',
  'status=500',
  'status=404',
  'status=599',
  'status=205',
  'status=200;body=',
  'header=server: origin',
  'header=date: Thu, 01 Jan 1970 00:00:00 GMT',
  'header=x-envoy-upstream-service-time: 5',
  'header=set-cookie: a=1;header=set-cookie: b=2',
  'header=x-request-id: theirs',
  'header=via: 1.1 other',
  'header=x-envoy-overloaded: true',
  'header=X-MiXeD: Case',
  'header=x-empty:',
  'header=proxy-connection: close',
  'header=upgrade: h2c',
  'header=te: trailers',
  'header=keep-alive: timeout=5',
];

const upstreamBehaviour: Section = {
  name: 'upstream-behaviour',
  routes: anyHost([catchAll]),
  cases: scripts.flatMap((script) => [
    sends(script, '/', { script }),
    sends(`${script}, HEAD`, '/', { script, method: 'HEAD' }),
    sendsRaw(
      `${script}, then another request`,
      request('/', { script, method: 'POST', body: 'abc' }),
      request('/again'),
    ),
    sends(`${script}, HTTP/1.1 close`, '/', { script, headers: [['Connection', 'close']] }),
  ]),
};

const timeouts: Section = {
  name: 'timeouts',
  routes: anyHost([
    forwards('route timeout', { prefix: '/route' }, 'alpha', { timeout: '0.1s' }),
    forwards('no timeout', { prefix: '/none' }, 'alpha', { timeout: '0s' }),
    forwards('per try', { prefix: '/per-try' }, 'alpha', {
      timeout: '1s',
      retry_policy: { num_retries: 0, per_try_timeout: '0.1s' },
    }),
    forwards('per try, retried', { prefix: '/retried' }, 'alpha', {
      timeout: '2s',
      retry_policy: { retry_on: '5xx', num_retries: 1, per_try_timeout: '0.1s' },
    }),
    forwards('idle', { prefix: '/idle' }, 'alpha', { timeout: '0s', idle_timeout: '0.1s' }),
    forwards('duration', { prefix: '/duration' }, 'alpha', {
      timeout: '0s',
      max_stream_duration: { max_stream_duration: '0.1s' },
    }),
  ]),
  cases: ['route', 'per-try', 'retried', 'idle', 'duration'].flatMap((name) => [
    sends(`${name}, hanging`, `/${name}`, { script: 'hang' }),
    sends(`${name}, hanging, HEAD`, `/${name}`, { script: 'hang', method: 'HEAD' }),
    sendsRaw(
      `${name}, hanging POST, then another`,
      request(`/${name}`, { script: 'hang', method: 'POST', body: 'abc' }),
      request('/none'),
    ),
    sends(`${name}, in time`, `/${name}`),
    sends(`${name}, one hangs`, `/${name}`, { script: 'first=1:hang' }),
  ]),
};

const retried = (name: string, policy: Json, action: Json = {}, cluster = 'alpha'): Json =>
  forwards(name, { prefix: `/${name}/` }, cluster, {
    retry_policy: { retry_back_off: { base_interval: '0.001s', max_interval: '0.002s' }, ...policy },
    ...action,
  });

const retryPolicies: readonly (readonly [name: string, policy: Json, action?: Json])[] = [
  ['none', {}],
  ['5xx', { retry_on: '5xx', num_retries: 2 }],
  ['default-count', { retry_on: '5xx' }],
  ['gateway-error', { retry_on: 'gateway-error', num_retries: 2 }],
  ['reset', { retry_on: 'reset', num_retries: 2 }],
  ['connect-failure', { retry_on: 'connect-failure', num_retries: 2 }],
  ['reset-before-request', { retry_on: 'reset-before-request', num_retries: 2 }],
  ['refused-stream', { retry_on: 'refused-stream', num_retries: 2 }],
  ['retriable-4xx', { retry_on: 'retriable-4xx', num_retries: 2 }],
  ['codes', { retry_on: 'retriable-status-codes', retriable_status_codes: [418, 503], num_retries: 2 }],
  [
    'headers',
    {
      retry_on: 'retriable-headers',
      retriable_headers: [{ name: 'x-again', present_match: true }],
      num_retries: 2,
    },
  ],
  [
    'only-marked',
    {
      retry_on: '5xx',
      num_retries: 2,
      retriable_request_headers: [{ name: 'x-repeatable', present_match: true }],
    },
  ],
  [
    'several',
    {
      retry_on: 'connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes',
      retriable_status_codes: [503],
      num_retries: 2,
    },
  ],
  ['grpc', { retry_on: 'unavailable,internal,deadline-exceeded,resource-exhausted', num_retries: 2 }],
];

const retryScripts = [
  'status=200',
  'first=1:503',
  'first=2:503',
  'first=3:503',
  'status=503',
  'first=1:500',
  'first=1:502',
  'first=1:504',
  'first=1:409',
  'first=1:418',
  'first=1:429',
  'first=1:reset',
  'first=1:close',
  'first=1:garbage',
  'first=1:half-head',
  'first=1:half-body',
  'first=1:200;header=x-again: yes',
  'status=200;header=grpc-status: 14',
];

const retries: Section = {
  name: 'retries',
  routes: anyHost(
    [
      ...retryPolicies.map(([name, policy, action]) => retried(name, policy, action)),
      retried('refusing', { retry_on: 'connect-failure', num_retries: 2 }, {}, 'refusing'),
      retried('refusing-5xx', { retry_on: '5xx', num_retries: 1 }, {}, 'refusing'),
      retried('refusing-reset', { retry_on: 'reset', num_retries: 1 }, {}, 'refusing'),
      retried('breaker', { retry_on: '5xx', num_retries: 2 }, {}, 'no-retries'),
      retried('empty', { retry_on: '5xx', num_retries: 2 }, {}, 'empty'),
    ],
    { include_request_attempt_count: true, include_attempt_count_in_response: true },
  ),
  cases: [
    ...retryPolicies.flatMap(([name]) =>
      retryScripts.flatMap((script) => [sends(`${name}: ${script}`, `/${name}/`, { script })]),
    ),
    ...retryPolicies.flatMap(([name]) => [
      sends(`${name}: POST with a body, first=1:503`, `/${name}/`, {
        script: 'first=1:503',
        method: 'POST',
        body: 'replayed',
      }),
      sends(`${name}: POST with a body, first=1:reset`, `/${name}/`, {
        script: 'first=1:reset',
        method: 'POST',
        body: 'replayed',
      }),
      sends(`${name}: HEAD, first=1:503`, `/${name}/`, { script: 'first=1:503', method: 'HEAD' }),
    ]),
    ...['refusing', 'refusing-5xx', 'refusing-reset', 'empty'].map((name) => sends(name, `/${name}/`)),
    sends('only-marked, and it is', '/only-marked/', {
      script: 'first=1:503',
      headers: [['x-repeatable', 'yes']],
    }),
    sends('breaker', '/breaker/', { script: 'status=503' }),
    sends('asked for by the client', '/none/', {
      script: 'first=1:503',
      headers: [['x-envoy-retry-on', '5xx']],
    }),
    sends('asked for by the client, three', '/none/', {
      script: 'first=3:503',
      headers: [
        ['x-envoy-retry-on', '5xx'],
        ['x-envoy-max-retries', '3'],
      ],
    }),
    sends('more asked for by the client', '/5xx/', {
      script: 'first=3:503',
      headers: [['x-envoy-max-retries', '3']],
    }),
    sends('fewer asked for by the client', '/5xx/', {
      script: 'first=2:503',
      headers: [['x-envoy-max-retries', '1']],
    }),
  ],
};

const hostRetry: Section = {
  name: 'host-retries',
  routes: anyHost(
    [
      forwards('inherits', { prefix: '/inherits' }, 'alpha'),
      forwards('overrides', { prefix: '/overrides' }, 'alpha', {
        retry_policy: { retry_on: 'reset', num_retries: 1 },
      }),
    ],
    {
      retry_policy: {
        retry_on: '5xx',
        num_retries: 1,
        retry_back_off: { base_interval: '0.001s', max_interval: '0.002s' },
      },
    },
  ),
  cases: ['inherits', 'overrides'].flatMap((name) => [
    sends(`${name}: a 503`, `/${name}`, { script: 'first=1:503' }),
    sends(`${name}: a reset`, `/${name}`, { script: 'first=1:reset' }),
  ]),
};

export const failureSections: readonly Section[] = [
  noUpstream,
  upstreamBehaviour,
  timeouts,
  retries,
  hostRetry,
];
