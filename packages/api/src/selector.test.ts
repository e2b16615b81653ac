import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import {
  formatSelector,
  isSelectorError,
  matches,
  matchesFields,
  parseFieldSelector,
  parseSelector,
  selectorOf,
  type Requirement,
  type Selector,
} from './selector.ts';

function parsed(text: string): Selector {
  const selector = parseSelector(text);
  if (isSelectorError(selector)) throw new Error(selector.error);
  return selector;
}

describe('label selectors', () => {
  const labels = { app: 'web', tier: 'front', 'a.b/c': '' };

  test.each([
    ['', true],
    ['app=web', true],
    ['app==web,tier!=db', true],
    ['app in (web, api)', true],
    ['app notin (web)', false],
    ['missing notin (web)', true],
    ['missing!=x', true],
    ['tier', true],
    ['!tier', false],
    ['!missing , app = web', true],
    ['a.b/c=', true],
    ['constructor', false],
  ])('%j', (text, isMatch) => {
    expect(matches(parsed(text), labels)).toBe(isMatch);
  });

  test.each([
    '=',
    'a b',
    'app in web',
    'app in (web',
    'a=b=c',
    'a=b,,c',
    '!(a)',
    'a in ((b))',
    `a=${'x'.repeat(64)}`,
  ])('%j is refused', (text) => {
    expect(isSelectorError(parseSelector(text))).toBe(true);
  });

  test('objects say the same as text', () => {
    const selector = selectorOf({
      matchLabels: { app: 'web' },
      matchExpressions: [{ key: 'tier', operator: 'NotIn', values: ['db'] }],
    });
    expect(formatSelector(selector)).toBe('app=web,tier!=db');
  });

  test('what is written is read back', () => {
    const name = fc
      .stringMatching(/^[a-z][a-z0-9]{0,5}$/)
      .filter((text) => text !== 'in' && text !== 'notin');
    const requirement = fc.oneof(
      fc.record({
        key: name,
        operator: fc.constantFrom<'In' | 'NotIn'>('In', 'NotIn'),
        values: fc.uniqueArray(name, { minLength: 1, maxLength: 3 }),
      }),
      fc.record({
        key: name,
        operator: fc.constantFrom<'Exists' | 'DoesNotExist'>('Exists', 'DoesNotExist'),
        values: fc.constant([]),
      }),
    ) as fc.Arbitrary<Requirement>;
    fc.assert(
      fc.property(fc.array(requirement, { maxLength: 4 }), (selector) => {
        expect(parsed(formatSelector(selector))).toEqual(selector);
      }),
      { seed: 1 },
    );
  });
});

test('field selectors know name and namespace', () => {
  const object = { apiVersion: 'v1', kind: 'A', metadata: { name: 'a', namespace: 'n' } };
  const check = (text: string) => {
    const selector = parseFieldSelector(text);
    return isSelectorError(selector) ? 'refused' : matchesFields(selector, object);
  };
  expect(check('metadata.name=a,metadata.namespace==n')).toBe(true);
  expect(check('metadata.name!=a')).toBe(false);
  expect(check('spec.x=1')).toBe('refused');
});
