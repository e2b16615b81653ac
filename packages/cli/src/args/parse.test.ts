/** Arguments as kubectl's users type them. */
import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { parseArgs, type FlagSpec } from './parse.ts';

const specs: readonly FlagSpec[] = [
  { name: 'namespace', short: 'n', type: 'text', about: '' },
  { name: 'all-namespaces', short: 'A', type: 'switch', about: '' },
  { name: 'watch', short: 'w', type: 'switch', about: '' },
  { name: 'filename', short: 'f', type: 'list', about: '' },
  { name: 'output', short: 'o', type: 'text', choices: ['json', 'yaml', 'wide'], about: '' },
];
const parse = (...words: string[]) => parseArgs(words, specs);

describe('values', () => {
  for (const words of [
    ['-n', 'shop'],
    ['-nshop'],
    ['-n=shop'],
    ['--namespace', 'shop'],
    ['--namespace=shop'],
    ['-wn', 'shop'],
    ['-Awnshop'],
  ]) {
    test(`${words.join(' ')} names a namespace`, () =>
      expect(parse(...words).text('namespace')).toBe('shop'));
  }

  test('switches cluster, and stand anywhere', () => {
    const args = parse('vs', '-Aw', 'reviews');
    expect(args.has('all-namespaces') && args.has('watch')).toBe(true);
    expect(args.positional).toEqual(['vs', 'reviews']);
  });

  test('lists collect commas and repetitions', () => {
    expect(parse('-f', 'a,b', '--filename=c').list('filename')).toEqual(['a', 'b', 'c']);
    expect(parse().list('filename')).toEqual([]);
  });

  test('a dash is an argument and a value, two dashes end the flags', () => {
    expect(parse('-f', '-').list('filename')).toEqual(['-']);
    expect(parse('-').positional).toEqual(['-']);
    const args = parse('vs', '--', '-n', 'x');
    expect([args.positional, args.rest]).toEqual([['vs'], ['-n', 'x']]);
    expect(args.text('namespace')).toBeUndefined();
  });

  test('a switch may be told off', () => {
    expect(parse('--watch=false').has('watch')).toBe(false);
    expect(parse('--watch=true').has('watch')).toBe(true);
  });
});

describe('mistakes say what was probably meant', () => {
  test.each([
    [['--namespce', 'x'], /--namespce is not a flag of this command: did you mean --namespace\?/],
    [['-o', 'jsn'], /did you mean json\?/],
    [['-o', 'toml-and-more'], /use json, yaml, wide/],
    [['-n'], /--namespace needs a value/],
    [['-x'], /-x is not a flag/],
    [['-Ax'], /-x \(in -Ax\) is not a flag/],
    [['-n', 'a', '-n', 'b'], /given twice, as "a" and as "b"/],
    [['--watch=maybe'], /takes true or false/],
  ] as const)('%p', (words, message) => expect(() => parse(...words)).toThrow(message));
});

test('arguments that are no flags come out as they went in, in order', () => {
  fc.assert(
    fc.property(fc.array(fc.string().filter((word) => !word.startsWith('-'))), (words) => {
      expect(parse(...words).positional).toEqual(words);
    }),
  );
});
