import { expect, test } from 'bun:test';
import { runtimeErrors } from './errors.ts';
import { MeshError, allErrorTables, defineErrors } from './mesh-error.ts';
import type { CodeOf } from './mesh-error.ts';

const errors = defineErrors('mesh-error-test', [
  { code: 'no-soup', meaning: 'the soup is gone', httpStatus: 503, responseFlag: 'UH', action: 'cook' },
  { code: 'cold-soup', meaning: 'the soup is cold', action: 'heat it' },
]);

test('a table makes errors of its codes, with the meaning as their message', () => {
  const cause = new Error('pot');
  const error = errors.error('no-soup', { source: 'upstream', retry: 'safe', cause });
  expect(error).toBeInstanceOf(MeshError);
  expect(error).toBeInstanceOf(Error);
  expect({ ...error, message: error.message, cause: error.cause }).toMatchObject({
    name: 'MeshError',
    code: 'no-soup',
    source: 'upstream',
    retry: 'safe',
    message: 'the soup is gone',
    cause,
  });
});

test('an error is not to be retried unless it says so', () => {
  const error = new MeshError('cold-soup', { source: 'local' });
  expect([error.retry, error.message, 'cause' in error]).toEqual(['never', 'cold-soup', false]);
});

test('codes are a closed union', () => {
  const code: CodeOf<typeof errors> = 'cold-soup';
  // @ts-expect-error -- not a code of this table
  const other: CodeOf<typeof errors> = 'hot-soup';
  expect([errors.has(code), errors.has(other)]).toEqual([true, false]);
  expect(errors.entry(code).action).toBe('heat it');
});

test('every table is listed, by package', () => {
  const names = allErrorTables().map((table) => table.packageName);
  expect(names).toContain('mesh-error-test');
  expect(names).toContain(runtimeErrors.packageName);
  expect(names).toEqual([...names].sort());
});

test('a code belongs to one package, and a package declares once', () => {
  const entry = { code: 'no-soup', meaning: 'again', action: 'none' };
  expect(() => defineErrors('another-test', [entry])).toThrow('declared by mesh-error-test');
  expect(() => defineErrors('mesh-error-test', [])).toThrow('declared twice');
  const twice = { ...entry, code: 'twice' };
  expect(() => defineErrors('third-test', [twice, twice])).toThrow('declared by third-test');
});
