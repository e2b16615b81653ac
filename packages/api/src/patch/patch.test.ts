import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import type { KubeObject } from '../object.ts';
import { applyObject, lastAppliedAnnotation, threeWayMergePatch } from './apply.ts';
import { isJsonObject, type Json, PatchError } from './json.ts';
import { formatPointer, jsonPatch, parsePointer } from './json-patch.ts';
import { diffMergePatch, mergePatch } from './merge-patch.ts';

const key = fc.constantFrom('a', 'b', 'c', 'a/b', 'm~n', '');
const { value } = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom<Json>(0, 1, 'x', true, null),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
  ),
}));

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof PatchError) return error.code;
    throw error;
  }
  return 'none';
}

describe('merge patch (RFC 7396 appendix A)', () => {
  test.each<[Json, Json, Json]>([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b' }, { a: null }, {}],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [
      ['a', 'b'],
      ['c', 'd'],
      ['c', 'd'],
    ],
    [{ a: 'b' }, ['c'], ['c']],
    [{ a: 'foo' }, null, null],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('%j with %j', (target, patch, result) => {
    expect(mergePatch(target, patch)).toEqual(result);
  });

  test('a difference, applied, gives the other object; inputs stay as they are', () => {
    const plain = value.filter(isJsonObject).map((object) => mergePatch({}, object));
    fc.assert(
      fc.property(plain, plain, (before, after) => {
        const copies = structuredClone([before, after]);
        expect(mergePatch(before, diffMergePatch(before, after))).toEqual(after);
        expect([before, after]).toEqual(copies);
      }),
      { numRuns: 500, seed: 1 },
    );
  });

  test('keys that reach a prototype are refused', () => {
    expect(codeOf(() => mergePatch({}, JSON.parse('{"__proto__": {"x": 1}}')))).toBe('invalid');
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  test('endless depth is refused', () => {
    let deep: Json = 1;
    for (let depth = 0; depth < 100; depth++) deep = { a: deep };
    expect(codeOf(() => mergePatch({}, deep))).toBe('too-large');
  });
});

describe('JSON patch (RFC 6902 appendix A)', () => {
  test.each<[Json, Json, Json]>([
    [{ foo: 'bar' }, [{ op: 'add', path: '/baz', value: 'qux' }], { foo: 'bar', baz: 'qux' }],
    [{ foo: ['bar', 'baz'] }, [{ op: 'add', path: '/foo/1', value: 'qux' }], { foo: ['bar', 'qux', 'baz'] }],
    [{ baz: 'qux', foo: 'bar' }, [{ op: 'remove', path: '/baz' }], { foo: 'bar' }],
    [{ foo: ['bar', 'qux', 'baz'] }, [{ op: 'remove', path: '/foo/1' }], { foo: ['bar', 'baz'] }],
    [{ baz: 'qux' }, [{ op: 'replace', path: '/baz', value: 'boo' }], { baz: 'boo' }],
    [
      { foo: { bar: 'baz', w: 'f' }, q: { c: 'g' } },
      [{ op: 'move', from: '/foo/w', path: '/q/t' }],
      { foo: { bar: 'baz' }, q: { c: 'g', t: 'f' } },
    ],
    [
      { foo: ['all', 'grass', 'cows', 'eat'] },
      [{ op: 'move', from: '/foo/1', path: '/foo/3' }],
      { foo: ['all', 'cows', 'eat', 'grass'] },
    ],
    [
      { baz: 'qux', foo: ['a', 2, 'c'] },
      [
        { op: 'test', path: '/baz', value: 'qux' },
        { op: 'test', path: '/foo/1', value: 2 },
      ],
      { baz: 'qux', foo: ['a', 2, 'c'] },
    ],
    [
      { foo: 'bar' },
      [{ op: 'add', path: '/child', value: { grandchild: {} } }],
      { foo: 'bar', child: { grandchild: {} } },
    ],
    [{ '/': 9, '~1': 10 }, [{ op: 'test', path: '/~01', value: 10 }], { '/': 9, '~1': 10 }],
    [
      { foo: ['bar'] },
      [{ op: 'add', path: '/foo/-', value: ['abc', 'def'] }],
      { foo: ['bar', ['abc', 'def']] },
    ],
    [
      { a: { b: 1 } },
      [
        { op: 'copy', from: '/a', path: '/c' },
        { op: 'replace', path: '/c/b', value: 2 },
      ],
      { a: { b: 1 }, c: { b: 2 } },
    ],
    [{ a: 1 }, [{ op: 'replace', path: '', value: [1] }], [1]],
  ])('%j by %j', (target, patch, result) => {
    const before = structuredClone(target);
    expect(jsonPatch(target, patch)).toEqual(result);
    expect(target).toEqual(before);
  });

  test.each<[string, Json, string]>([
    ['a failed test', [{ op: 'test', path: '/a', value: 2 }], 'test-failed'],
    ['a missing parent', [{ op: 'add', path: '/x/y', value: 1 }], 'not-found'],
    ['a missing value to remove', [{ op: 'remove', path: '/x' }], 'not-found'],
    ['an index beyond the end', [{ op: 'add', path: '/l/5', value: 1 }], 'not-found'],
    ['an index with a leading zero', [{ op: 'replace', path: '/l/00', value: 1 }], 'not-found'],
    ['an unknown operation', [{ op: 'merge', path: '/a' }], 'invalid'],
    ['an operation without value', [{ op: 'add', path: '/a' }], 'invalid'],
    ['a move into itself', [{ op: 'move', from: '/o', path: '/o/p' }], 'invalid'],
    ['a pointer that is none', [{ op: 'remove', path: 'a' }], 'invalid'],
    ['a prototype', [{ op: 'add', path: '/__proto__/x', value: 1 }], 'invalid'],
    ['an object', { op: 'add' }, 'invalid'],
  ])('%s is refused', (_, patch, code) => {
    expect(codeOf(() => jsonPatch({ a: 1, l: [1], o: {} }, patch))).toBe(code);
  });

  test('copies cannot multiply without end', () => {
    const patch = Array.from({ length: 40 }, () => ({ op: 'copy', from: '/a', path: '/a/-' }));
    expect(codeOf(() => jsonPatch({ a: [1, 2] }, patch))).toBe('too-large');
  });

  test('pointers are read back as they are written', () => {
    fc.assert(
      fc.property(fc.array(key), (steps) => expect(parsePointer(formatPointer(steps))).toEqual(steps)),
      { seed: 2 },
    );
  });
});

describe('apply', () => {
  const object = (spec: unknown, more: Partial<KubeObject> = {}): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'a' },
    spec,
    ...more,
  });

  test('removes what it wrote before, keeps what others wrote, sets what it writes', () => {
    const first = applyObject(object({ a: 1, b: 2, list: [1] }), object({}));
    const live = { ...first, spec: { ...(first.spec as object), byOthers: true }, status: { ok: true } };
    const second = applyObject(object({ a: 3, list: [2] }), live);
    expect(second.spec).toEqual({ a: 3, list: [2], byOthers: true });
    expect(second['status']).toEqual({ ok: true });
    const annotation = second.metadata.annotations?.[lastAppliedAnnotation] ?? '';
    expect(JSON.parse(annotation).spec).toEqual({ a: 3, list: [2] });
  });

  test('applying the same again changes nothing', () => {
    const once = applyObject(object({ a: { b: [1] } }), object({ c: 1 }));
    expect(applyObject(object({ a: { b: [1] } }), once)).toEqual(once);
  });

  test('the content of a Secret is set and removed without a copy of it', () => {
    const secret = (data: object): KubeObject => ({ ...object({}), kind: 'Secret', data });
    const { spec: _, ...live } = secret({});
    const first = applyObject(secret({ a: 'c2VjcmV0', b: 'eA==' }), live as KubeObject);
    expect(JSON.stringify(first.metadata)).not.toContain('c2VjcmV0');
    const second = applyObject(secret({ a: 'eQ==' }), first);
    expect(second['data']).toEqual({ a: 'eQ==' });
  });

  test('the server’s fields are neither set nor removed', () => {
    const live = object({}, { metadata: { name: 'a', uid: 'u', resourceVersion: '7' } });
    const applied = applyObject(object({ a: 1 }, { metadata: { name: 'a', resourceVersion: '3' } }), live);
    expect(applied.metadata).toMatchObject({ uid: 'u', resourceVersion: '7' });
  });

  test('what is written always holds afterwards', () => {
    const plain = value.filter(isJsonObject).map((object) => mergePatch({}, object));
    fc.assert(
      fc.property(plain, plain, plain, (original, modified, live) => {
        const result = mergePatch(live, threeWayMergePatch(original, modified, live));
        expect(mergePatch(result, modified)).toEqual(result);
      }),
      { numRuns: 500, seed: 4 },
    );
  });
});
