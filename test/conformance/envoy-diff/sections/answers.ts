/** Routes that the proxy answers itself: redirects and direct responses. */
import { anyHost, sends, type Json, type Section } from '../section.ts';

const redirect = (name: string, action: Json, match: Json = { prefix: `/${name}` }): Json => ({
  name,
  match,
  redirect: action,
});

const redirects: Section = {
  name: 'redirects',
  routes: anyHost([
    redirect('host', { host_redirect: 'other.test' }),
    redirect('https', { https_redirect: true }),
    redirect('scheme', { scheme_redirect: 'ftp' }),
    redirect('port', { port_redirect: 8443 }),
    redirect('default-port', { port_redirect: 80 }),
    redirect('https-port', { https_redirect: true, port_redirect: 443 }),
    redirect('https-other-port', { https_redirect: true, port_redirect: 8443 }),
    redirect('path', { path_redirect: '/new/place' }),
    redirect('path-and-query', { path_redirect: '/new/place?own=1' }),
    redirect('prefix', { prefix_rewrite: '/new' }),
    redirect('empty-prefix', { prefix_rewrite: '' }),
    redirect('slash-prefix', { prefix_rewrite: '/' }, { prefix: '/slash-prefix/' }),
    redirect('regex', {
      regex_rewrite: { pattern: { regex: '^/regex/([^/]+)(/.*)?$' }, substitution: '\\2/by/\\1' },
    }),
    redirect('strip', { host_redirect: 'other.test', strip_query: true }),
    redirect('strip-path', { path_redirect: '/bare', strip_query: true }),
    redirect('301', { host_redirect: 'o.test', response_code: 'MOVED_PERMANENTLY' }),
    redirect('302', { host_redirect: 'o.test', response_code: 'FOUND' }),
    redirect('303', { host_redirect: 'o.test', response_code: 'SEE_OTHER' }),
    redirect('307', { host_redirect: 'o.test', response_code: 'TEMPORARY_REDIRECT' }),
    redirect('308', { host_redirect: 'o.test', response_code: 'PERMANENT_REDIRECT' }),
    redirect('all', {
      host_redirect: 'o.test',
      https_redirect: true,
      port_redirect: 1,
      path_redirect: '/p',
      strip_query: true,
    }),
    {
      ...redirect('with-headers', { host_redirect: 'o.test' }),
      response_headers_to_add: [{ header: { key: 'x-added', value: 'yes' } }],
    },
  ]),
  cases: [
    'host',
    'https',
    'scheme',
    'port',
    'default-port',
    'https-port',
    'https-other-port',
    'path',
    'path-and-query',
    'prefix',
    'empty-prefix',
    'slash-prefix/x',
    'regex/a/b',
    'strip',
    'strip-path',
    '301',
    '302',
    '303',
    '307',
    '308',
    'all',
    'with-headers',
  ].flatMap((name) => [
    sends(name, `/${name}`),
    sends(`${name} with a query`, `/${name}/more?a=1&b=2`),
    sends(`${name} with a port`, `/${name}`, { host: 'any.test:8080' }),
    sends(`${name}, POST`, `/${name}`, { method: 'POST', body: 'ignored' }),
    sends(`${name}, HEAD`, `/${name}`, { method: 'HEAD' }),
  ]),
};

const direct = (name: string, action: Json, more: Json = {}): Json => ({
  name,
  match: { prefix: `/${name}` },
  direct_response: action,
  ...more,
});

const directResponses: Section = {
  name: 'direct-responses',
  routes: anyHost([
    direct('empty', { status: 200 }),
    direct('text', { status: 200, body: { inline_string: 'hello' } }),
    direct('bytes', { status: 200, body: { inline_bytes: 'AAEC/w==' } }),
    direct('404', { status: 404, body: { inline_string: 'not here' } }),
    direct('403', { status: 403 }),
    direct('503', { status: 503, body: { inline_string: 'later' } }),
    direct('204', { status: 204 }),
    direct('599', { status: 599 }),
    direct(
      'headers',
      { status: 200, body: { inline_string: '{}' } },
      {
        response_headers_to_add: [
          {
            header: { key: 'content-type', value: 'application/json' },
            append_action: 'OVERWRITE_IF_EXISTS_OR_ADD',
          },
          { header: { key: 'x-route', value: '%ROUTE_NAME%' } },
        ],
      },
    ),
  ]),
  cases: ['empty', 'text', 'bytes', '404', '403', '503', '204', '599', 'headers', 'no-route'].flatMap(
    (name) => [
      sends(name, `/${name}`),
      sends(`${name}, HEAD`, `/${name}`, { method: 'HEAD' }),
      sends(`${name}, POST`, `/${name}`, { method: 'POST', body: 'ignored' }),
    ],
  ),
};

const noHost: Section = {
  name: 'no-virtual-host',
  routes: { virtual_hosts: [{ name: 'only', domains: ['only.test'], routes: [] }] },
  cases: [
    sends('a host without routes', '/', { host: 'only.test' }),
    sends('an unknown host', '/', { host: 'other.test' }),
    sends('an unknown host, HEAD', '/', { host: 'other.test', method: 'HEAD' }),
  ],
};

export const answerSections: readonly Section[] = [redirects, directResponses, noHost];
