import { afterAll, expect, test } from 'bun:test';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readMeshFile } from './mesh-file.ts';
import { MeshFileWatch } from './mesh-file-watch.ts';

const dir = mkdtempSync(join(tmpdir(), 'sluice-mesh-file-'));
afterAll(() => rmSync(dir, { recursive: true }));
const path = join(dir, 'sluice.yaml');

const written = `name: shop
workloads:
  web: { command: run web, port: 8080 }
  api: { command: run api, port: 8081 }
`;

function watching(): { edit: (text: string) => string[] } {
  writeFileSync(path, written);
  const said: string[] = [];
  const watch = new MeshFileWatch({
    file: readMeshFile(path),
    timers: { after: () => () => {}, nowMs: () => 0 },
    say: (text) => said.push(text),
  });
  return {
    edit(text) {
      said.length = 0;
      writeFileSync(path, text);
      watch.look();
      return [...said];
    },
  };
}

test('changed, new and removed workloads are named with what to do', () => {
  const { edit } = watching();
  const text = written.replace('run web', 'run web --fast').replace('  api:', '  store:');
  expect(edit(text)).toEqual([
    'sluice.yaml changed: workload web, new workload store, the end of workload api take effect when the mesh is started again (Ctrl-C, then up)',
  ]);
});

test('ports, folders and settings of sidecars wait too; other mesh settings go live and are not mentioned', () => {
  const { edit } = watching();
  expect(edit(`${written}meshConfig: { accessLogFile: '' }\n`)).toEqual([]);
  expect(
    edit(`${written}ports: { api: 15999 }\nmeshConfig: { defaultConfig: { concurrency: 2 } }\n`),
  ).toEqual([
    'sluice.yaml changed: ports, meshConfig.defaultConfig take effect when the mesh is started again (Ctrl-C, then up)',
  ]);
});

test('nothing is said twice, of a file without a difference, or of a broken one; a return to the start is', () => {
  const { edit } = watching();
  expect(edit(`${written}\n# a note\n`)).toEqual([]);
  expect(edit(written.replace('8080', '9090'))).toHaveLength(1);
  expect(edit(`# again\n${written.replace('8080', '9090')}`)).toEqual([]);
  expect(edit('workloads: [')).toEqual([]);
  expect(edit(written)).toEqual(['sluice.yaml is again what the mesh was started with']);
});
