import { expect, test } from 'bun:test';
import { HeaderList, internName } from '@sluice/wire';
import type { HeaderOperation } from '../route/route.ts';
import { applyHeaderOperations } from './header-operations.ts';

const facts = { operator: () => null };

function operation(
  kind: HeaderOperation['kind'],
  name: string,
  value = '',
  more: Partial<HeaderOperation> = {},
): HeaderOperation {
  return {
    kind,
    name,
    nameId: internName(name.toLowerCase()),
    value,
    format: null,
    keepEmptyValue: false,
    ...more,
  };
}

function apply(fields: readonly (readonly [string, string])[], ...operations: HeaderOperation[]): string[] {
  const headers = new HeaderList();
  for (const [name, value] of fields) headers.append(name, value);
  applyHeaderOperations(headers, operations, facts);
  const out: string[] = [];
  headers.forEach((name, value) => void out.push(`${name}: ${value}`));
  return out;
}

test('each kind of operation', () => {
  const fields = [
    ['X-A', '1'],
    ['x-a', '2'],
    ['x-b', '3'],
  ] as const;
  expect(apply(fields, operation('append', 'X-A', '9'))).toEqual(['X-A: 1', 'x-a: 2', 'x-b: 3', 'X-A: 9']);
  expect(apply(fields, operation('set', 'x-a', '9'))).toEqual(['X-A: 9', 'x-b: 3']);
  expect(apply(fields, operation('set', 'x-new', '9'))).toEqual(['X-A: 1', 'x-a: 2', 'x-b: 3', 'x-new: 9']);
  expect(apply(fields, operation('setIfAbsent', 'x-a', '9'), operation('setIfAbsent', 'x-c', '9'))).toEqual([
    'X-A: 1',
    'x-a: 2',
    'x-b: 3',
    'x-c: 9',
  ]);
  expect(apply(fields, operation('setIfPresent', 'x-b', '9'), operation('setIfPresent', 'x-c', '9'))).toEqual(
    ['X-A: 1', 'x-a: 2', 'x-b: 9'],
  );
  expect(apply(fields, operation('remove', 'x-a'))).toEqual(['x-b: 3']);
});

test('an empty value adds nothing unless it is to be kept', () => {
  expect(apply([], operation('append', 'x-a'))).toEqual([]);
  expect(apply([], operation('append', 'x-a', '', { keepEmptyValue: true }))).toEqual(['x-a: ']);
});

test('a format is evaluated, and a value that may not stand in a header changes nothing', () => {
  expect(apply([], operation('set', 'x-a', '', { format: () => 'made' }))).toEqual(['x-a: made']);
  expect(apply([['x-a', '1']], operation('set', 'x-a', '', { format: () => 'a\r\nx-evil: 1' }))).toEqual([
    'x-a: 1',
  ]);
});
