/** What people copy from the documents is right: for the schemas, for the analysis, and as command lines. */
import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { analyze, readObjects, readSluiceFile } from '@sluice/api';
import { commands } from '../commands/list.ts';
import { renderServices } from './generated-services.ts';

const document = (name: string): string =>
  readFileSync(join(import.meta.dir, '../../../../docs', name), 'utf8');
const blocks = (text: string, language: string): readonly string[] =>
  [...text.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, body = '']) => body);

test('the sluice.yaml and the resources of your-own-services.md are valid, and fit together', () => {
  const [mesh = '', resources = ''] = blocks(document('your-own-services.md'), 'yaml');
  const { config, problems } = readSluiceFile(mesh, 'sluice.yaml');
  expect(problems).toEqual([]);
  expect(config?.workloads.map(({ name }) => name)).toEqual(['web', 'api-v1', 'api-v2']);
  const workloads = config?.workloads ?? [];
  const read = readObjects(resources, 'mesh/api.yaml');
  expect(read.problems).toEqual([]);
  expect(read.objects).toHaveLength(2);
  const services = readObjects(renderServices(workloads, new Set()), 'generated').objects;
  expect(services.map(({ object }) => object.metadata.name).sort()).toEqual(['api', 'web']);
  const found = analyze(
    [...read.objects, ...services].map(({ object }) => ({ object })),
    { instances: workloads, knowsAllInstances: true },
  );
  expect(found.filter(({ severity }) => severity === 'error')).toEqual([]);
});

test.each(['your-own-services.md', 'operations.md'])('the commands of %s and their flags exist', (name) => {
  const lines = blocks(document(name), 'sh')
    .join('\n')
    .split('\n')
    .flatMap((line) => /\bsluice (.*?)(?:#|\)"|$)/.exec(line)?.[1] ?? []);
  const used = lines.map((line) => line.trim().split(' -- ')[0]?.split(/\s+/) ?? []);
  expect(used.length).toBeGreaterThan(3);
  for (const [command, ...words] of used) {
    const spec = commands.find((one) => one.name === command);
    expect([command, spec?.name]).toEqual([command, command]);
    for (const word of words.filter((one) => one.startsWith('--')))
      expect(spec?.flags.map((flag) => `--${flag.name}`)).toContain(word);
  }
});
