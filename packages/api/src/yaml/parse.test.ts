import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { stringify } from 'yaml';
import { formatProblem } from '../problem.ts';
import { parseYaml } from './parse.ts';

const lines = (...text: string[]) => text.join('\n');
const codes = (text: string) => parseYaml(text, 'f.yaml').problems.map((problem) => problem.code);

describe('documents', () => {
  test('many documents come out in order with the place where each begins', () => {
    const { documents, problems } = parseYaml(
      '# c\na: 1\n---\n\nb: 2\n---\n# nothing\n---\nc: 3\n',
      'f.yaml',
    );
    expect(problems).toEqual([]);
    expect(documents.map(({ value, line, column }) => [value, line, column])).toEqual([
      [{ a: 1 }, 2, 1],
      [{ b: 2 }, 5, 1],
      [{ c: 3 }, 9, 1],
    ]);
  });

  test.each([
    ['an open quote', 'b: "x'],
    ['an open bracket', 'b: [1, 2'],
    ['an open brace', 'b: {x: 1'],
    ['a tab for indentation', 'b:\n\tx: 1'],
    ['wrong indentation', 'b:\n    x: 1\n  y: 2'],
    ['two values on a line', 'b: c: d'],
    ['a stray bracket', 'b: ]'],
  ])('%s breaks only its own document, as one problem', (_, broken) => {
    const { documents, problems } = parseYaml(`a: 1\n---\n${broken}\n---\nc: 3\n`, 'dir/f.yaml');
    expect(documents.map((document) => document.value)).toEqual([{ a: 1 }, { c: 3 }]);
    expect(problems).toHaveLength(1);
    expect(formatProblem(problems[0]!)).toMatch(/^dir\/f\.yaml:[3456]:\d+: error \[syntax\] /);
  });

  test('JSON is accepted, tabs and all', () => {
    const json = JSON.stringify({ a: [1, { b: 'x: y' }], c: null, d: '\u2028"' }, null, '\t');
    const { documents, problems } = parseYaml(json, 'f.json');
    expect(problems).toEqual([]);
    expect(documents[0]?.value).toEqual({ a: [1, { b: 'x: y' }], c: null, d: '\u2028"' });
  });

  test('objects of a List come out one by one with their own places', () => {
    const text = lines(
      'apiVersion: v1',
      'kind: List',
      'items:',
      '- kind: A',
      '  x: 1',
      '- kind: B',
      '  x: 2',
    );
    const { documents } = parseYaml(text, 'f.yaml');
    expect(documents.map(({ value, line, column }) => [value, line, column])).toEqual([
      [{ kind: 'A', x: 1 }, 4, 3],
      [{ kind: 'B', x: 2 }, 6, 3],
    ]);
    expect(documents[1]?.locate(['x'])).toEqual({ line: 7, column: 3 });
  });

  test('items of a typed list take kind and version from it', () => {
    const { documents } = parseYaml(
      '{"apiVersion":"v1","kind":"ServiceList","items":[{"metadata":{"name":"a"}}]}',
      'f',
    );
    expect(documents[0]?.value).toEqual({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' } });
  });

  test('what is not an object is a problem', () => {
    expect(codes('- a\n---\nhello\n')).toEqual(['not-an-object', 'not-an-object']);
  });

  test('directives belong to the document they precede', () => {
    const { documents, problems } = parseYaml('%YAML 1.2\n---\na: 1\n...\n%YAML 1.2\n---\nb: 2\n', 'f');
    expect(problems).toEqual([]);
    expect(documents.map((document) => [document.value, document.line])).toEqual([
      [{ a: 1 }, 3],
      [{ b: 2 }, 7],
    ]);
  });

  test('an empty text holds nothing', () => {
    expect(parseYaml('', 'f')).toEqual({ documents: [], problems: [] });
  });

  test('Windows line ends and a byte order mark do not matter', () => {
    const { documents, problems } = parseYaml('\uFEFFa: 1\r\nb:\r\n  c: x\r\n---\r\nd: 2\r\n', 'f');
    expect(problems).toEqual([]);
    expect(documents.map((document) => document.value)).toEqual([{ a: 1, b: { c: 'x' } }, { d: 2 }]);
  });
});

describe('places', () => {
  const text = lines(
    'base: &base',
    '  port: 80',
    '  host: a',
    'use:',
    '  <<: *base',
    '  list:',
    '    - x: 1',
    '      y: [p, q]',
  );
  const document = parseYaml(text, 'f.yaml').documents[0]!;

  test.each([
    [['base', 'port'], 'key', 2, 3],
    [['base', 'port'], 'value', 2, 9],
    [['use', 'list', 0, 'y', 1], 'value', 8, 14],
    [['use', 'list', 0], 'key', 7, 7],
    [['use', 'host'], 'value', 3, 9],
    [['use', 'missing', 'deeper'], 'key', 4, 1],
    [[], 'key', 1, 1],
  ] as const)('%j %s', (path, part, line, column) => {
    expect(document.locate(path, part)).toEqual({ line, column });
  });

  test('merge keys give what YAML says, own members first', () => {
    expect(document.value['use']).toEqual({ port: 80, host: 'a', list: [{ x: 1, y: ['p', 'q'] }] });
  });

  test('an alias points into its anchor', () => {
    const aliased = parseYaml('a: &x {k: 1}\nb: *x\n', 'f').documents[0]!;
    expect(aliased.value).toEqual({ a: { k: 1 }, b: { k: 1 } });
    expect(aliased.locate(['b', 'k'], 'value')).toEqual({ line: 1, column: 11 });
    expect(aliased.value['a']).not.toBe(aliased.value['b']);
  });
});

describe('what is refused', () => {
  test('repeated keys, at the repetition', () => {
    const { problems } = parseYaml('a: 1\nb:\n  c: 1\n  "c": 2\n', 'f.yaml');
    expect(problems.map(formatProblem)).toEqual([
      'f.yaml:4:3: error [duplicate-key] the key "c" is repeated',
    ]);
  });

  test.each(['__proto__', 'constructor', 'prototype'])('the key %s', (key) => {
    expect(codes(`a:\n  ${key}: {polluted: true}\n`)).toEqual(['forbidden-key']);
    expect(codes(`{"a": {"${key}": 1}}`)).toEqual(['forbidden-key']);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });

  test('aliases that multiply', () => {
    let bomb = 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n';
    for (let level = 1; level < 12; level++) {
      bomb += `a${level}: &a${level} [${Array(10)
        .fill(`*a${level - 1}`)
        .join(', ')}]\n`;
    }
    expect(codes(bomb)).toEqual(['too-large']);
  });

  test('an alias within its own anchor, and one without anchor', () => {
    expect(codes('a: &a [*a]\n')).toEqual(['invalid-value']);
    expect(codes('a: *b\n').length).toBe(1);
  });

  test.each([
    ['brackets', '['.repeat(100_000)],
    ['braces', '{a: '.repeat(50_000)],
    ['balanced brackets', `a: ${'['.repeat(5000)}${']'.repeat(5000)}`],
    ['dashes', '- '.repeat(50_000)],
    ['indentation', Array.from({ length: 300 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n')],
  ])('endless nesting by %s, without exhausting the stack', (_, text) => {
    expect(codes(text).length).toBeGreaterThan(0);
  });

  test('nesting built up through aliases', () => {
    let text = 'a0: &a0 [x]\n';
    for (let level = 1; level < 100; level++) text += `a${level}: &a${level} [*a${level - 1}]\n`;
    expect(codes(text)).toEqual(['too-large']);
  });

  test('texts, documents and values beyond the limits', () => {
    expect(parseYaml('a: 1234567', 'f', { maxLength: 5 }).problems[0]?.code).toBe('too-large');
    expect(parseYaml('a: [1,2,3,4]', 'f', { maxValues: 3 }).problems[0]?.code).toBe('too-large');
    const many = parseYaml('a: 1\n---\na: 2\n---\na: 3\n---\na: 4', 'f', { maxDocuments: 2 });
    expect(many.documents).toHaveLength(2);
    expect(many.problems.map((problem) => problem.code)).toEqual(['too-many-documents']);
  });

  test('numbers JSON cannot hold', () => {
    expect(codes('a: .inf\n')).toEqual(['invalid-value']);
    expect(codes('a: 12345678901234567890\n')).toEqual(['invalid-value']);
  });

  test('NUL', () => {
    expect(codes('a: 1\nb: "\0"\n')).toEqual(['syntax']);
  });

  test('a mapping as a key', () => {
    expect(codes('? {a: 1}\n: b\n')).toHaveLength(1);
  });
});

describe('properties', () => {
  const key = fc.string().filter((text) => !['__proto__', 'constructor', 'prototype', '<<'].includes(text));
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      fc.string(),
      fc.integer(),
      fc.boolean(),
      fc.constant(null),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.dictionary(key, tie('value'), { maxKeys: 4, noNullPrototype: true }),
    ),
  }));
  const object = fc.dictionary(key, value, { minKeys: 1, maxKeys: 5, noNullPrototype: true });

  test('what is written as YAML or JSON is read back as it was', () => {
    fc.assert(
      fc.property(object, (object) => {
        if (typeof object['kind'] === 'string' && object['kind'].endsWith('List')) return;
        for (const text of [stringify(object), JSON.stringify(object), JSON.stringify(object, null, 2)]) {
          const { documents, problems } = parseYaml(text, 'f');
          expect(problems).toEqual([]);
          expect(documents[0]?.value).toEqual(object as Record<string, unknown>);
        }
      }),
      { numRuns: 200, seed: 7 },
    );
  });

  test('no text makes it throw, and every problem has a place', () => {
    const fragment = fc.constantFrom(
      'a',
      ': ',
      '\n',
      '- ',
      '[',
      ']',
      '{',
      '}',
      '"',
      "'",
      '|',
      '>',
      '&a ',
      '*a',
      '---\n',
      '\t',
      '  ',
      '#',
      '!!x ',
      '?',
      '<<',
      ',',
      '%YAML\n',
      '...\n',
      '\r',
    );
    fc.assert(
      fc.property(fc.array(fragment, { maxLength: 40 }), (parts) => {
        const { documents, problems } = parseYaml(parts.join(''), 'f');
        for (const problem of problems) expect(problem.line! >= 1 && problem.column! >= 1).toBe(true);
        for (const document of documents) expect(document.locate([])).toBeDefined();
      }),
      { numRuns: 2000, seed: 11 },
    );
  });
});
