import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { sluiceVersion } from './version.ts';

test('the version is that of package.json', () => {
  const manifest = JSON.parse(readFileSync(`${import.meta.dir}/../../../package.json`, 'utf8')) as {
    version: string;
  };
  expect(sluiceVersion).toBe(manifest.version);
});
