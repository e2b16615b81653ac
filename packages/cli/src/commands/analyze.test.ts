/** What a folder beside sluice.yaml is judged by, before anything runs. */
import { expect, test } from 'bun:test';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeTempDir } from '@sluice/testkit';
import { parseArgs } from '../args/parse.ts';
import { emptySurroundings, recordedOutput } from '../test-surroundings.ts';
import { run } from './analyze.ts';

function inFolder(cwd: string, ...words: string[]) {
  const { said, out } = recordedOutput();
  const args = parseArgs(words, [{ name: 'filename', short: 'f', type: 'list', about: '' }]);
  return { said, status: run({ ...emptySurroundings(cwd), args, out }) };
}

const route = (host: string): string => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api}
spec:
  hosts: [${host}]
  http: [{route: [{destination: {host: ${host}}}]}]
`;

test('the services that up makes for workloads are known, by folder and by file; others are not', async () => {
  const dir = makeTempDir();
  mkdirSync(join(dir, 'mesh'));
  writeFileSync(join(dir, 'sluice.yaml'), 'workloads: {api: {command: bun api.ts, port: 8081}}\n');
  writeFileSync(join(dir, 'mesh', 'routes.yaml'), route('api'));
  for (const path of ['mesh', '.', 'mesh/routes.yaml']) {
    const { said, status } = inFolder(dir, path, 'mesh/routes.yaml');
    expect([path, await status, said.out]).toEqual([path, 0, '']);
    expect(said.error).toMatch(/0 errors, 0 warnings/);
  }
  writeFileSync(join(dir, 'mesh', 'routes.yaml'), route('cart'));
  const { said, status } = inFolder(dir, 'mesh');
  expect(await status).toBe(1);
  expect(said.out).toContain('there is no service cart');
  expect(said.error).toBe('1 file, 1 resource: 1 error, 0 warnings\n');
});

test('an address is not fetched, and the message says what to type', async () => {
  const { status } = inFolder('/', 'https://example.com/a.yaml');
  await expect(status).rejects.toThrow('curl -sfL https://example.com/a.yaml | sluice');
});
