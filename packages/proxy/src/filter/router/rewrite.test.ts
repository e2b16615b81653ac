import { describe, expect, test } from 'bun:test';
import { HeaderList } from '@sluice/wire';
import type { RequestMessage } from '../../http/streams.ts';
import type { RedirectAction } from '../../route/route.ts';
import { redirectLocation, rewritePath, rewrittenHost } from './rewrite.ts';

describe('paths', () => {
  test('a prefix is replaced, the rest and the query stay', () => {
    const to = (replacement: string, matchedLength: number, path: string) =>
      rewritePath(path, { kind: 'prefix', matchedLength, replacement });
    expect(to('/v2', 4, '/api/x?q=1')).toBe('/v2/x?q=1');
    expect(to('/', 5, '/api/x')).toBe('/x');
    expect(to('v2/', 1, '/x')).toBe('/v2/x');
  });
  test('a whole path keeps the query unless it brings its own', () => {
    expect(rewritePath('/a?q=1', { kind: 'full', path: '/b' })).toBe('/b?q=1');
    expect(rewritePath('/a?q=1', { kind: 'full', path: '/b?r=2' })).toBe('/b?r=2');
  });
  test('a regex sees the path without the query', () => {
    expect(rewritePath('/a/1?q=/a/', { kind: 'regex', apply: (path) => path.replace(/\/a\//g, '/z/') })).toBe(
      '/z/1?q=/a/',
    );
  });
});

test('hosts: literal, from a header, from the path, or per endpoint', () => {
  const headers = new HeaderList();
  headers.append('x-host', 'other');
  expect(rewrittenHost({ kind: 'literal', host: 'h' }, headers, '/')).toBe('h');
  expect(rewrittenHost({ kind: 'header', header: 'x-host' }, headers, '/')).toBe('other');
  expect(rewrittenHost({ kind: 'header', header: 'x-none' }, headers, '/')).toBeNull();
  expect(rewrittenHost({ kind: 'pathRegex', apply: (path) => path.slice(1) }, headers, '/p?q')).toBe('p');
  expect(rewrittenHost({ kind: 'auto' }, headers, '/')).toBeNull();
});

describe('redirects', () => {
  const base: RedirectAction = {
    kind: 'redirect',
    status: 301,
    scheme: null,
    httpsRedirect: false,
    host: null,
    port: null,
    rewrite: null,
    stripQuery: false,
  };
  const location = (more: Partial<RedirectAction>, authority = 'a:8080') => {
    const message: RequestMessage = {
      method: 'GET',
      scheme: 'http',
      authority,
      path: '/p?q',
      protocol: 'HTTP/1.1',
      headers: new HeaderList(),
      upgrade: '',
      expectsContinue: false,
      contentLength: -1,
    };
    return redirectLocation({ ...base, ...more }, message, '/p?q');
  };
  test('only what the action names changes', () => {
    expect(location({})).toBe('http://a:8080/p?q');
    expect(location({ httpsRedirect: true })).toBe('https://a:8080/p?q');
    expect(location({ httpsRedirect: true }, 'a:80')).toBe('https://a/p?q');
    expect(location({ host: 'b' })).toBe('http://b/p?q');
    expect(location({ port: 443 })).toBe('http://a:443/p?q');
    expect(location({ rewrite: { kind: 'full', path: '/new' } })).toBe('http://a:8080/new?q');
    expect(location({ stripQuery: true })).toBe('http://a:8080/p');
    expect(location({}, '[::1]:9')).toBe('http://[::1]:9/p?q');
    expect(location({}, '[::1]')).toBe('http://[::1]/p?q');
  });
});
