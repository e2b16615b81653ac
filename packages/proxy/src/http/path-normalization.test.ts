import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import type { PathNormalization } from '../listener/listener.ts';
import { normalizePath } from './path-normalization.ts';

const NONE: PathNormalization = { normalize: false, mergeSlashes: false, escapedSlashes: 'KEEP' };
const BASE: PathNormalization = { ...NONE, normalize: true };
const MERGE: PathNormalization = { ...BASE, mergeSlashes: true };
const DECODE: PathNormalization = { ...MERGE, escapedSlashes: 'UNESCAPE_FORWARD' };

function run(path: string, rules: PathNormalization): string {
  const out = normalizePath(path, rules, { outcome: 'ok', path: '' });
  return out.outcome === 'ok' ? out.path : `${out.outcome} ${out.path}`;
}

describe("Istio's levels", () => {
  const rows: readonly [path: string, none: string, base: string, merge: string, decode: string][] = [
    ['/', '/', '/', '/', '/'],
    ['/a/b?x=/../y', '/a/b?x=/../y', '/a/b?x=/../y', '/a/b?x=/../y', '/a/b?x=/../y'],
    ['/a/../b', '/a/../b', '/b', '/b', '/b'],
    ['/a/./b/.', '/a/./b/.', '/a/b/', '/a/b/', '/a/b/'],
    ['/a/b/..', '/a/b/..', '/a/', '/a/', '/a/'],
    ['/../../etc', '/../../etc', '/etc', '/etc', '/etc'],
    ['/a//b', '/a//b', '/a//b', '/a/b', '/a/b'],
    ['/a%2fb', '/a%2fb', '/a%2Fb', '/a%2Fb', '/a/b'],
    ['/a%2F..%2Fb', '/a%2F..%2Fb', '/a%2F..%2Fb', '/a%2F..%2Fb', '/b'],
    ['/%61dmin', '/%61dmin', '/admin', '/admin', '/admin'],
    ['/%2e%2e/admin', '/%2e%2e/admin', '/admin', '/admin', '/admin'],
    ['/a\\b', '/a\\b', '/a/b', '/a/b', '/a/b'],
    ['/a%5Cb', '/a%5Cb', '/a%5Cb', '/a%5Cb', '/a/b'],
  ];
  for (const [path, none, base, merge, decode] of rows) {
    test(path, () => {
      expect([run(path, NONE), run(path, BASE), run(path, MERGE), run(path, DECODE)]).toEqual([
        none,
        base,
        merge,
        decode,
      ]);
    });
  }
});

test('escaped slashes are refused, or the client is sent to the plain path', () => {
  expect(run('/a%2fb', { ...BASE, escapedSlashes: 'REJECT' })).toStartWith('reject');
  expect(run('/a%2fb?q', { ...BASE, escapedSlashes: 'UNESCAPE_REDIRECT' })).toBe('redirect /a/b?q');
});

test('a NUL and a broken escape are refused', () => {
  expect(run('/a%00', BASE)).toStartWith('reject');
  expect(run('/a%zz', BASE)).toStartWith('reject');
  expect(run('/a%', BASE)).toStartWith('reject');
});

test('what is normal stays so: a second pass changes nothing, and no dot segment is left', () => {
  const piece = fc.constantFrom('a', '.', '..', '%2e', '%2E%2e', '%41', '%2f', '', '\\', '%25');
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      for (const rules of [BASE, MERGE, DECODE]) {
        const once = run(`/${pieces.join('/')}`, rules);
        if (rules !== DECODE) expect(run(once, rules)).toBe(once);
        expect(once.split('/')).not.toContain('..');
        expect(once).toStartWith('/');
      }
    }),
  );
});
