/** Finding the culprit of a refusal. */
import { describe, expect, test } from 'bun:test';
import { namedIn, SuspectQueue } from './nack.ts';

describe('names in the text of a refusal', () => {
  const names = ['a', 'a.b', 'outbound|80||reviews', 'outbound|80||reviews.default', 'route/one'];

  test('are found as whole words only', () => {
    expect(namedIn('a.b: bad', names)).toEqual(['a.b']);
    expect(namedIn('outbound|80||reviews.default: bad\na: bad too', names)).toEqual([
      'a',
      'outbound|80||reviews.default',
    ]);
    expect(namedIn('a bad route/one/two', names)).toEqual(['a']);
  });

  test('are found in the words that Envoy uses', () => {
    expect(namedIn('Error adding/updating cluster(s) outbound|80||reviews: no such thing', names)).toEqual([
      'outbound|80||reviews',
    ]);
    expect(namedIn('Only unique names are allowed: route/one.', names)).toEqual(['route/one']);
  });

  test('are absent from a text that is about something else', () => {
    expect(namedIn('something is wrong', ['x', 'some'])).toEqual([]);
  });
});

test('suspects are halved until one is left, in few rounds, and the innocent are all cleared', () => {
  const suspects = new SuspectQueue();
  const all = Array.from({ length: 1000 }, (_, index) => `cluster-${index}`);
  const guilty = new Set(['cluster-3', 'cluster-777']);
  const found: string[] = [];
  let rounds = 1;
  const refused = (names: readonly string[]): void => {
    const culprit = suspects.refused(names);
    if (culprit !== undefined) found.push(culprit);
  };
  refused(all);
  for (let group = suspects.current; group !== undefined; group = suspects.current) {
    rounds++;
    if ([...group].some((name) => guilty.has(name))) refused([...group]);
    else suspects.clearCurrent();
  }
  expect(found).toEqual([...guilty]);
  expect(rounds).toBeLessThan(60);
});
