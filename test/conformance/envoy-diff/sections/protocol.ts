/** HTTP/1 itself: framings, versions, malformed requests, limits, upgrades. */
import {
  anyHost,
  catchAll,
  forwards,
  request,
  sends,
  sendsRaw,
  type Case,
  type Section,
} from '../section.ts';

const head = (...lines: readonly string[]): string => `${lines.join('\r\n')}\r\n\r\n`;
const chunked = 'Transfer-Encoding: chunked';

const wellFormed: readonly Case[] = [
  ...['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'PROPFIND', 'QUERY'].map(
    (method) => sends(`method ${method}`, '/m', { method, ...(method === 'POST' ? { body: 'abc' } : {}) }),
  ),
  sends('GET with a body', '/', { body: 'abc' }),
  sends('DELETE with a body', '/', { method: 'DELETE', body: 'abc' }),
  sends('POST without a body', '/', { method: 'POST', body: '' }),
  sends('POST without a length', '/', { method: 'POST' }),
  sendsRaw('chunked', head('POST / HTTP/1.1', 'Host: a', chunked) + '3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n'),
  sendsRaw(
    'chunked with extensions',
    head('POST / HTTP/1.1', 'Host: a', chunked) + '3;a=b\r\nabc\r\n0;c\r\n\r\n',
  ),
  sendsRaw(
    'chunked with upper-case size',
    head('POST / HTTP/1.1', 'Host: a', chunked) + 'A\r\n0123456789\r\n0\r\n\r\n',
  ),
  sendsRaw(
    'chunked with leading zeros',
    head('POST / HTTP/1.1', 'Host: a', chunked) + '0003\r\nabc\r\n000\r\n\r\n',
  ),
  sendsRaw(
    'chunked with trailers',
    head('POST / HTTP/1.1', 'Host: a', chunked, 'Trailer: X-Sum') + '3\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n',
  ),
  sendsRaw('chunked, empty', head('POST / HTTP/1.1', 'Host: a', chunked) + '0\r\n\r\n'),
  sendsRaw(
    'Transfer-Encoding: Chunked',
    head('POST / HTTP/1.1', 'Host: a', 'Transfer-Encoding: Chunked') + '0\r\n\r\n',
  ),
  sendsRaw('two on one connection', request('/1'), request('/2')),
  sendsRaw('POST then GET', request('/1', { method: 'POST', body: 'abc' }), request('/2')),
  sendsRaw('three pipelined', {
    send: request('/1') + request('/2', { method: 'POST', body: 'abc' }) + request('/3'),
    responses: 3,
  }),
  sendsRaw('an empty line before', `\r\n${request('/')}`),
  sendsRaw('two empty lines before', `\r\n\r\n${request('/')}`),
  sendsRaw(
    'Connection: close, then another',
    request('/', { headers: [['Connection', 'close']] }),
    request('/2'),
  ),
  sendsRaw(
    'Connection: keep-alive',
    request('/', { headers: [['Connection', 'keep-alive']] }),
    request('/2'),
  ),
  sendsRaw(
    'Connection: Close, X-A',
    request('/', {
      headers: [
        ['Connection', 'Close, X-A'],
        ['X-A', '1'],
      ],
    }),
    request('/2'),
  ),
  sendsRaw(
    'Connection names a header',
    request('/', {
      headers: [
        ['Connection', 'X-Hop'],
        ['X-Hop', '1'],
      ],
    }),
  ),
  ...[
    'Keep-Alive: timeout=5',
    'Proxy-Connection: keep-alive',
    'TE: trailers',
    'TE: gzip',
    'Trailer: x',
    'Proxy-Authorization: Basic x',
    'Upgrade: h2c',
    'HTTP2-Settings: x',
  ].map((line) => sendsRaw(`hop-by-hop ${line}`, head('GET / HTTP/1.1', 'Host: a', line))),
  sendsRaw('Expect', {
    send: head('POST / HTTP/1.1', 'Host: a', 'Content-Length: 3', 'Expect: 100-continue'),
    afterContinue: 'abc',
  }),
  sendsRaw('Expect in capitals', {
    send: head('POST / HTTP/1.1', 'Host: a', 'Content-Length: 3', 'Expect: 100-Continue'),
    afterContinue: 'abc',
  }),
  sendsRaw(
    'Expect with the body at once',
    head('POST / HTTP/1.1', 'Host: a', 'Content-Length: 3', 'Expect: 100-continue') + 'abc',
  ),
  sendsRaw(
    'Expect, then another',
    {
      send: head('POST / HTTP/1.1', 'Host: a', 'Content-Length: 3', 'Expect: 100-continue'),
      afterContinue: 'abc',
    },
    request('/2'),
  ),
  sendsRaw('Expect, no route', {
    send: head('POST /none/x HTTP/1.1', 'Host: none', 'Content-Length: 3', 'Expect: 100-continue'),
    afterContinue: 'abc',
  }),
  sendsRaw('asterisk form', head('OPTIONS * HTTP/1.1', 'Host: a')),
  sendsRaw('asterisk form with GET', head('GET * HTTP/1.1', 'Host: a')),
  sendsRaw('absolute form', head('GET http://other.test/x?y HTTP/1.1', 'Host: a')),
  sendsRaw('absolute form, https', head('GET https://other.test/x HTTP/1.1', 'Host: a')),
  sendsRaw('absolute form with a port', head('GET http://other.test:8080/x HTTP/1.1', 'Host: a')),
  sendsRaw('CONNECT', head('CONNECT other.test:443 HTTP/1.1', 'Host: other.test:443')),
  sends('no user agent, much else', '/', {
    headers: [
      ['Accept', '*/*'],
      ['Cookie', 'a=1'],
      ['Cookie', 'b=2'],
      ['User-Agent', 'test'],
    ],
  }),
  sends('a header with underscores', '/', { headers: [['x_under_score', '1']] }),
  sends('bytes above 127 in a value', '/', { headers: [['X-Bytes', '\xe9\xff']] }),
  sends('a tab in a value', '/', { headers: [['X-Tab', 'a\tb']] }),
  sends('an empty value', '/', { headers: [['X-Empty', '']] }),
  sends('a long target', `/${'x'.repeat(4000)}`),
  sends('a long header', '/', { headers: [['X-Long', 'y'.repeat(8000)]] }),
  sends('a large body', '/', { method: 'POST', body: 'z'.repeat(50_000) }),
];

const malformed: readonly (readonly [name: string, bytes: string])[] = [
  ['no host', head('GET / HTTP/1.1')],
  ['an empty host', head('GET / HTTP/1.1', 'Host:')],
  ['two hosts', head('GET / HTTP/1.1', 'Host: a', 'Host: b')],
  ['two equal hosts', head('GET / HTTP/1.1', 'Host: a', 'Host: a')],
  ['a host with a space', head('GET / HTTP/1.1', 'Host: a b')],
  ['a host with a slash', head('GET / HTTP/1.1', 'Host: a/b')],
  ['a host with an at sign', head('GET / HTTP/1.1', 'Host: user@a')],
  ['garbage', 'garbage\r\n\r\n'],
  ['binary garbage', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
  ['no version', head('GET /', 'Host: a')],
  ['HTTP/0.9', head('GET / HTTP/0.9', 'Host: a')],
  ['HTTP/1.2', head('GET / HTTP/1.2', 'Host: a')],
  ['HTTP/2.0', head('GET / HTTP/2.0', 'Host: a')],
  ['HTTP/1.10', head('GET / HTTP/1.10', 'Host: a')],
  ['http/1.1', head('GET / http/1.1', 'Host: a')],
  ['two spaces', head('GET  / HTTP/1.1', 'Host: a')],
  ['a space in the target', head('GET /a b HTTP/1.1', 'Host: a')],
  ['a tab in the request line', head('GET\t/ HTTP/1.1', 'Host: a')],
  ['a bad method', head('G@T / HTTP/1.1', 'Host: a')],
  ['a relative target', head('GET a/b HTTP/1.1', 'Host: a')],
  ['an empty target', head('GET  HTTP/1.1', 'Host: a')],
  ['a control character in the target', head('GET /\x01 HTTP/1.1', 'Host: a')],
  ['bytes above 127 in the target', head('GET /\xe9 HTTP/1.1', 'Host: a')],
  ['a fragment', head('GET /a#b HTTP/1.1', 'Host: a')],
  ['a header without a colon', head('GET / HTTP/1.1', 'Host: a', 'nocolon')],
  ['a space before the colon', head('GET / HTTP/1.1', 'Host: a', 'X-A : 1')],
  ['an empty name', head('GET / HTTP/1.1', 'Host: a', ': 1')],
  ['a bad character in a name', head('GET / HTTP/1.1', 'Host: a', 'X(A): 1')],
  ['a NUL in a value', head('GET / HTTP/1.1', 'Host: a', 'X-A: 1\x002')],
  ['a control character in a value', head('GET / HTTP/1.1', 'Host: a', 'X-A: 1\x012')],
  ['a bare CR in a value', head('GET / HTTP/1.1', 'Host: a', 'X-A: 1\r2')],
  ['bare LFs', 'GET / HTTP/1.1\nHost: a\n\n'],
  ['a bare LF in the head', 'GET / HTTP/1.1\r\nHost: a\nX-A: 1\r\n\r\n'],
  ['folding', head('GET / HTTP/1.1', 'Host: a', 'X-A: 1', ' 2')],
  ['folding first', head('GET / HTTP/1.1', ' Host: a')],
  ['a negative length', head('POST / HTTP/1.1', 'Host: a', 'Content-Length: -1')],
  ['a signed length', head('POST / HTTP/1.1', 'Host: a', 'Content-Length: +3') + 'abc'],
  ['a hexadecimal length', head('POST / HTTP/1.1', 'Host: a', 'Content-Length: 0x3') + 'abc'],
  ['an empty length', head('POST / HTTP/1.1', 'Host: a', 'Content-Length:')],
  ['a length of letters', head('POST / HTTP/1.1', 'Host: a', 'Content-Length: abc') + 'abc'],
  [
    'a length beyond 64 bits',
    head('POST / HTTP/1.1', 'Host: a', 'Content-Length: 18446744073709551616') + 'abc',
  ],
  ['two lengths', head('POST / HTTP/1.1', 'Host: a', 'Content-Length: 3', 'Content-Length: 4') + 'abcd'],
  ['two equal lengths', head('POST / HTTP/1.1', 'Host: a', 'Content-Length: 3', 'Content-Length: 3') + 'abc'],
  ['a list of lengths', head('POST / HTTP/1.1', 'Host: a', 'Content-Length: 3, 3') + 'abc'],
  [
    'length and chunked',
    head('POST / HTTP/1.1', 'Host: a', 'Content-Length: 3', chunked) + '3\r\nabc\r\n0\r\n\r\n',
  ],
  [
    'chunked and length',
    head('POST / HTTP/1.1', 'Host: a', chunked, 'Content-Length: 3') + '3\r\nabc\r\n0\r\n\r\n',
  ],
  ['encoding gzip', head('POST / HTTP/1.1', 'Host: a', 'Transfer-Encoding: gzip')],
  [
    'encoding gzip, chunked',
    head('POST / HTTP/1.1', 'Host: a', 'Transfer-Encoding: gzip, chunked') + '0\r\n\r\n',
  ],
  [
    'encoding chunked, gzip',
    head('POST / HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked, gzip') + '0\r\n\r\n',
  ],
  ['encoding chunked twice', head('POST / HTTP/1.1', 'Host: a', chunked, chunked) + '0\r\n\r\n'],
  ['encoding identity', head('POST / HTTP/1.1', 'Host: a', 'Transfer-Encoding: identity')],
  ['encoding xchunked', head('POST / HTTP/1.1', 'Host: a', 'Transfer-Encoding: xchunked')],
  ['encoding in HTTP/1.0', head('POST / HTTP/1.0', 'Host: a', chunked) + '0\r\n\r\n'],
  ['a bad chunk size', head('POST / HTTP/1.1', 'Host: a', chunked) + 'xyz\r\nabc\r\n0\r\n\r\n'],
  ['a negative chunk size', head('POST / HTTP/1.1', 'Host: a', chunked) + '-3\r\nabc\r\n0\r\n\r\n'],
  [
    'a chunk size beyond 64 bits',
    head('POST / HTTP/1.1', 'Host: a', chunked) + 'fffffffffffffffff\r\nabc\r\n0\r\n\r\n',
  ],
  ['a chunk without its end', head('POST / HTTP/1.1', 'Host: a', chunked) + '3\r\nabcd\r\n0\r\n\r\n'],
  ['a chunk line with a bare LF', head('POST / HTTP/1.1', 'Host: a', chunked) + '3\nabc\r\n0\r\n\r\n'],
];

const http11: Section = {
  name: 'http11',
  routes: {
    virtual_hosts: [
      { name: 'none', domains: ['none'], routes: [] },
      { name: 'any', domains: ['*'], routes: [catchAll] },
    ],
  },
  cases: wellFormed,
};

const malformedRequests: Section = {
  name: 'malformed',
  routes: anyHost([catchAll]),
  // The second request tells a connection that was closed from one that goes on.
  cases: malformed.map(([name, bytes]) => sendsRaw(name, bytes, request('/next'))),
};

const http10Cases: readonly Case[] = [
  sendsRaw('with a host', head('GET / HTTP/1.0', 'Host: a'), request('/next')),
  sendsRaw('without a host', head('GET / HTTP/1.0'), request('/next')),
  sendsRaw('keep-alive', head('GET / HTTP/1.0', 'Host: a', 'Connection: keep-alive'), request('/next')),
  sendsRaw('chunked answer', head('GET / HTTP/1.0', 'Host: a', 'x-script: chunked'), request('/next')),
  sendsRaw(
    'chunked answer, keep-alive',
    head('GET / HTTP/1.0', 'Host: a', 'Connection: keep-alive', 'x-script: chunked'),
    request('/next'),
  ),
  sendsRaw('POST', head('POST / HTTP/1.0', 'Host: a', 'Content-Length: 3') + 'abc', request('/next')),
  sendsRaw('HEAD', head('HEAD / HTTP/1.0', 'Host: a'), request('/next')),
  sendsRaw('204', head('GET / HTTP/1.0', 'Host: a', 'x-script: status=204'), request('/next')),
  sendsRaw('Expect', head('POST / HTTP/1.0', 'Host: a', 'Content-Length: 3', 'Expect: 100-continue') + 'abc'),
];

const limits: Section = {
  name: 'limits',
  manager: { max_request_headers_kb: 8, common_http_protocol_options: { max_headers_count: 20 } },
  routes: anyHost([catchAll]),
  cases: [
    sends('just below 8 KiB', '/', { headers: [['X-Long', 'y'.repeat(7900)]] }),
    sends('above 8 KiB', '/', { headers: [['X-Long', 'y'.repeat(9000)]] }),
    sends('far above 8 KiB', '/', { headers: [['X-Long', 'y'.repeat(100_000)]] }),
    sends('a target above 8 KiB', `/${'x'.repeat(9000)}`),
    ...[10, 18, 19, 20, 21, 50].map((count) =>
      sends(`${count} more headers`, '/', {
        headers: Array.from({ length: count }, (_, i) => [`X-${i}`, '1'] as const),
      }),
    ),
  ],
};

const upgrade = (type: string, ...more: readonly string[]): string =>
  head('GET /ws HTTP/1.1', 'Host: a', 'Connection: Upgrade', `Upgrade: ${type}`, ...more);

const upgradeCases: readonly Case[] = [
  sendsRaw('websocket', { send: upgrade('websocket', 'x-script: upgrade'), tunnel: 'ping' }),
  sendsRaw('WebSocket in other case', { send: upgrade('WebSocket', 'x-script: upgrade'), tunnel: 'ping' }),
  sendsRaw(
    'websocket refused by the upstream',
    upgrade('websocket', 'x-script: status=403'),
    request('/next'),
  ),
  sendsRaw('websocket answered with 200', upgrade('websocket'), request('/next')),
  sendsRaw('websocket with handshake headers', {
    send: upgrade(
      'websocket',
      'x-script: upgrade',
      'Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==',
      'Sec-WebSocket-Version: 13',
    ),
    tunnel: 'bytes',
  }),
  sendsRaw('other type', upgrade('other'), request('/next')),
  sendsRaw('h2c', upgrade('h2c'), request('/next')),
  sendsRaw(
    'Upgrade without Connection',
    head('GET /ws HTTP/1.1', 'Host: a', 'Upgrade: websocket', 'x-script: status=200'),
  ),
  sendsRaw('CONNECT', head('CONNECT a:80 HTTP/1.1', 'Host: a:80')),
];

const upgradeRoutes = anyHost([
  forwards('off here', { prefix: '/off' }, 'alpha', {
    upgrade_configs: [{ upgrade_type: 'websocket', enabled: false }],
  }),
  catchAll,
]);

export const protocolSections: readonly Section[] = [
  http11,
  malformedRequests,
  { name: 'http10-refused', routes: anyHost([catchAll]), cases: http10Cases },
  {
    name: 'http10-accepted',
    routes: anyHost([catchAll]),
    manager: { http_protocol_options: { accept_http_10: true, default_host_for_http_10: 'default.test' } },
    cases: http10Cases,
  },
  {
    name: 'http10-accepted-no-default',
    routes: anyHost([catchAll]),
    manager: { http_protocol_options: { accept_http_10: true } },
    cases: http10Cases,
  },
  {
    name: 'forwarded-continue',
    manager: { proxy_100_continue: true },
    routes: anyHost([catchAll]),
    cases: wellFormed.filter(({ name }) => name.startsWith('Expect')),
  },
  limits,
  { name: 'upgrades-off', routes: anyHost([catchAll]), cases: upgradeCases },
  {
    name: 'upgrades-on',
    manager: { upgrade_configs: [{ upgrade_type: 'websocket' }] },
    routes: upgradeRoutes,
    cases: [
      ...upgradeCases,
      sendsRaw('off on this route', upgrade('websocket').replace('/ws', '/off'), request('/next')),
    ],
  },
];
