/** docs/your-own-services.md: what people copy from it is right, for the schemas and for the analysis. */
import { expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { analyze, readObjects, readSluiceFile } from '@sluice/api';
import { commands } from '../commands/list.ts';
import { renderServices } from './generated-services.ts';

const text = readFileSync(join(import.meta.dir, '../../../../docs/your-own-services.md'), 'utf8');
const blocks = (language: string): readonly string[] =>
  [...text.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, body = '']) => body);

test('its sluice.yaml and its resources are valid, and fit together', () => {
  const [mesh = '', resources = ''] = blocks('yaml');
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

test('its commands and their flags exist', () => {
  const lines = blocks('sh')
    .join('\n')
    .split('\n')
    .flatMap((line) => /\bsluice (.*?)(?:#|\)"|$)/.exec(line)?.[1] ?? []);
  const used = lines.map((line) => line.trim().split(' -- ')[0]?.split(/\s+/) ?? []);
  expect(used.length).toBeGreaterThan(6);
  for (const [name, ...words] of used) {
    const spec = commands.find((one) => one.name === name);
    expect([name, spec?.name]).toEqual([name, name]);
    for (const word of words.filter((one) => one.startsWith('--')))
      expect(spec?.flags.map((flag) => `--${flag.name}`)).toContain(word);
  }
});
