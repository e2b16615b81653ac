/** Documents that name files name files that exist, and links lead somewhere. */
import { Glob } from 'bun';
import { expect, test } from 'bun:test';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = join(import.meta.dir, '../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

test('the life of a request and of an update name files that exist', () => {
  const homes: Record<string, string> = {
    'docs/life-of-a-request.md': 'packages/proxy/src',
    'docs/life-of-an-update.md': 'packages/control/src',
  };
  const missing = Object.entries(homes).flatMap(([document, home]) =>
    [...read(document).matchAll(/`([\w/.-]+\.ts)`/g)]
      .map((match) => match[1] ?? '')
      .filter((path) => !existsSync(join(root, path.startsWith('packages/') ? path : join(home, path))))
      .map((path) => `${document}: ${path}`),
  );
  expect(missing).toEqual([]);
});

test('links between documents lead to files that exist', () => {
  const documents = ['*.md', 'docs/**/*.md', 'packages/*/*.md', 'examples/**/*.md'].flatMap((pattern) => [
    ...new Glob(pattern).scanSync({ cwd: root }),
  ]);
  const broken = documents
    .filter((document) => !document.includes('node_modules') && document !== 'docs/config.md')
    .flatMap((document) =>
      [...read(document).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
        .map((match) => match[1] ?? '')
        .filter((target) => !existsSync(join(root, dirname(document), target)))
        .map((target) => `${document}: ${target}`),
    );
  expect(broken).toEqual([]);
  expect(documents.length).toBeGreaterThan(10);
});

test('every package has a README of at most 60 lines', () => {
  const packages = [...new Glob('packages/*/package.json').scanSync({ cwd: root })].map(dirname);
  const wrong = packages.filter((path) => {
    const readme = join(root, path, 'README.md');
    return !existsSync(readme) || readFileSync(readme, 'utf8').split('\n').length > 61;
  });
  expect(wrong).toEqual([]);
});
