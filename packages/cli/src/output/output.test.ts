/** What commands print: tables, differences, archives, and nothing secret. */
import { describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { withTempDir } from '@sluice/testkit';
import fc from 'fast-check';
import { createPalette, wantsColour } from './palette.ts';
import { redactJson, redactText } from './redact.ts';
import { renderAs } from './structured.ts';
import { cleanCell, orNone, renderTable } from './table.ts';
import { renderTar } from './tar.ts';
import { unifiedDiff } from './unified-diff.ts';

describe('tables', () => {
  test('columns line up and lines have no blanks at their ends', () => {
    expect(
      renderTable(
        ['NAME', 'AGE'],
        [
          ['reviews', '5s'],
          ['v', ''],
        ],
      ),
    ).toBe('NAME      AGE\nreviews   5s\nv\n');
  });

  describe('in a terminal', () => {
    const head = ['NAME', 'STATE', 'BECAUSE'];
    const rows = [
      ['web', 'mutual TLS', 'it is the default'],
      ['storefront', 'none', ''],
    ];

    test('a table that fits is drawn as everywhere', () =>
      expect(renderTable(head, rows, 80)).toBe(renderTable(head, rows)));

    test('a table that nearly fits loses a blank between columns', () => {
      const narrow = renderTable(head, rows, 41);
      expect(narrow.split('\n')[1]).toBe('web         mutual TLS  it is the default');
    });

    test('what finds no room goes below, under a head that is broken alike', () =>
      expect(renderTable(head, rows, 30)).toBe(
        [
          'NAME        STATE',
          '    BECAUSE',
          'web         mutual TLS',
          '    it is the default',
          'storefront  none',
          '',
        ].join('\n'),
      ));

    test('no line is wider than the terminal unless one cell is', () => {
      fc.assert(
        fc.property(
          fc.array(fc.array(fc.string({ maxLength: 20 }), { minLength: 4, maxLength: 4 }), { maxLength: 5 }),
          fc.integer({ min: 24, max: 90 }),
          (cells, columns) => {
            const text = renderTable(['A', 'B', 'C', 'D'], cells, columns);
            for (const line of text.split('\n')) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(columns);
            const words = cells.flat().map((cell) => cleanCell(cell).trim());
            for (const word of words) expect(text).toContain(word);
          },
        ),
      );
    });
  });

  test('wide characters count as two, and control characters cannot move the cursor', () => {
    expect(
      renderTable(
        ['A', 'B'],
        [
          ['日本', 'x'],
          ['\u001b[2Jab\ncd', 'y'],
        ],
      ),
    ).toBe('A           B\n日本        x\n [2Jab cd   y\n');
    expect(orNone('')).toBe('<none>');
  });
});

describe('colours', () => {
  test('are for terminals, unless the environment says otherwise', () => {
    expect(wantsColour({}, true)).toBe(true);
    expect(wantsColour({}, false)).toBe(false);
    expect(wantsColour({ NO_COLOR: '1' }, true)).toBe(false);
    expect(wantsColour({ FORCE_COLOR: '1' }, false)).toBe(true);
    expect(wantsColour({ TERM: 'dumb' }, true)).toBe(false);
    expect(createPalette(false).bad('x')).toBe('x');
  });
});

test('YAML and JSON hold the same', () => {
  const value = { a: [1, { b: 'yes' }], c: null };
  expect(JSON.parse(renderAs('json', value))).toEqual(value);
  expect(Bun.YAML.parse(renderAs('yaml', value))).toEqual(value);
});

describe('differences', () => {
  const names = { before: 'a', after: 'b' };

  test('are what diff -u prints', () => {
    const before = 'a\nb\nc\nd\ne\nf\ng\nh\n';
    const after = 'a\nb\nc\nD\ne\nf\ng\nh\ni\n';
    expect(unifiedDiff(before, after, names)).toBe(
      '--- a\n+++ b\n@@ -1,8 +1,9 @@\n a\n b\n c\n-d\n+D\n e\n f\n g\n h\n+i\n',
    );
    expect(unifiedDiff('', 'x\n', names)).toBe('--- a\n+++ b\n@@ -0,0 +1 @@\n+x\n');
    expect(unifiedDiff('x\n', 'x\n', names)).toBe('');
  });

  test.if(Bun.which('patch') !== null)('turn one text into the other, as patch reads them', async () => {
    const line = fc.constantFrom('a', 'b', 'c', 'd');
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 30 }), fc.array(line, { maxLength: 30 }), (a, b) =>
        withTempDir((dir) => {
          const [before, after] = [a, b].map((lines) => lines.map((one) => `${one}\n`).join('')) as [
            string,
            string,
          ];
          const diff = unifiedDiff(before, after, names);
          if (diff === '') return;
          writeFileSync(join(dir, 'file'), before);
          const result = Bun.spawnSync(['patch', '-s', 'file'], { cwd: dir, stdin: Buffer.from(diff) });
          expect(result.exitCode).toBe(0);
          expect(after === '' ? '' : readFileSync(join(dir, 'file'), 'utf8')).toBe(after);
        }),
      ),
      { numRuns: 25, seed: 7 },
    );
  });
});

test.if(Bun.which('tar') !== null)('archives are what tar unpacks', () =>
  withTempDir((dir) => {
    const long = 'x'.repeat(1025);
    writeFileSync(
      join(dir, 'a.tar'),
      renderTar(
        [
          { name: 'top/ü.txt', content: 'grün\n' },
          { name: 'top/long', content: long },
          { name: 'top/none', content: '' },
        ],
        1e12,
      ),
    );
    mkdirSync(join(dir, 'out'));
    expect(Bun.spawnSync(['tar', '-xf', '../a.tar'], { cwd: join(dir, 'out') }).exitCode).toBe(0);
    expect(readFileSync(join(dir, 'out/top/ü.txt'), 'utf8')).toBe('grün\n');
    expect(readFileSync(join(dir, 'out/top/long'), 'utf8')).toBe(long);
    expect(() => renderTar([{ name: 'x'.repeat(100), content: '' }], 0)).toThrow(RangeError);
  }),
);

describe('secrets', () => {
  test.each([
    ['authorization: Bearer abc.def-123', 'abc.def-123'],
    ['GET /?login=s3cr3tlink HTTP/1.1', 's3cr3tlink'],
    ['postgres://shop:hunter22@db/shop', 'hunter22'],
    ['DB_PASSWORD=hunter22', 'hunter22'],
    ['  "api_key": "hunter22",', 'hunter22'],
    ["client-secret: 'hunter22'", 'hunter22'],
    ['-----BEGIN EC PRIVATE KEY-----\nMHcCAQEE\n-----END EC PRIVATE KEY-----', 'MHcCAQEE'],
    ['cut short: -----BEGIN PRIVATE KEY-----\nMHcCAQEE', 'MHcCAQEE'],
    ['jwt eyJhbGciOiJI.eyJzdWIi.c2ln', 'eyJzdWIi'],
    ['the token of the file is known-secret-value', 'known-secret-value'],
  ])('leave %p', (text, secret) => {
    const clean = redactText(text, ['known-secret-value']);
    expect(clean).not.toContain(secret);
    expect(clean).toContain('[removed]');
  });

  test('leave JSON by name, by kind and as listed headers; the rest stays', () => {
    const value = {
      kind: 'Secret',
      data: { 'tls.key': 'aGVsbG8=' },
      headers: [
        { key: 'authorization', value: 'abcdef' },
        { key: 'host', value: 'reviews' },
      ],
      nested: [{ token: 'abcdef', port: 8080, path: '/ready' }],
    };
    expect(redactJson(value, [])).toEqual({
      kind: 'Secret',
      data: '[removed]',
      headers: [
        { key: 'authorization', value: '[removed]' },
        { key: 'host', value: 'reviews' },
      ],
      nested: [{ token: '[removed]', port: 8080, path: '/ready' }],
    });
  });

  test('ordinary log lines stay as they are', () => {
    const line =
      '[2026-11-23T12:00:00Z] "GET /books/1 HTTP/1.1" 200 - via_upstream - "-" 0 12 3 2 "-" "curl/8" "id" "reviews:9080"\n';
    expect(redactText(line, ['known-secret-value'])).toBe(line);
  });
});
