import { afterAll, expect, test } from 'bun:test';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = mkdtempSync(join(tmpdir(), 'sluice-control-process-'));
afterAll(() => rmSync(root, { recursive: true }));

interface Started {
  readonly process: Bun.Subprocess<'ignore', 'ignore', 'pipe'>;
  readonly api: string;
}

/** Starts a control plane and waits for the line that says it is ready. */
async function start(stateDir: string, apiAddress = '127.0.0.1:0'): Promise<Started> {
  const process_ = spawn(stateDir, apiAddress);
  let text = '';
  for await (const chunk of process_.stderr) {
    text += new TextDecoder().decode(chunk);
    const ready = /"message":"control plane ready".*?"api":"([^"]+)"/.exec(text);
    if (ready?.[1] !== undefined) return { process: process_, api: ready[1] };
  }
  throw new Error(`the control plane ended: ${text}`);
}

function spawn(stateDir: string, apiAddress: string): Bun.Subprocess<'ignore', 'ignore', 'pipe'> {
  const script = join(import.meta.dir, 'testdata', 'control-process.ts');
  const flags = [
    '--state-dir',
    stateDir,
    '--api-address',
    apiAddress,
    '--metrics-address',
    '127.0.0.1:0',
    '--log-format',
    'json',
  ];
  return Bun.spawn([process.execPath, script, ...flags], {
    stdin: 'ignore',
    stdout: 'ignore',
    stderr: 'pipe',
  });
}

function create(api: string, stateDir: string, name: string): Promise<Response> {
  const token = readFileSync(join(stateDir, 'token'), 'utf8').trim();
  return fetch(`http://${api}/api/v1/namespaces/default/services`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { ports: [{ port: 80 }] },
    }),
  });
}

test('killed in the middle of writes, it keeps everything it had answered for', async () => {
  const stateDir = join(root, 'killed');
  const first = await start(stateDir);
  const answered: string[] = [];
  const writer = (async () => {
    for (let index = 0; ; index++) {
      const response = await create(first.api, stateDir, `s${index}`);
      if (response.status === 201) answered.push(`s${index}`);
      if (index === 30) first.process.kill('SIGKILL');
    }
  })().catch(() => {});
  await first.process.exited;
  await writer;
  const second = await start(stateDir);
  const token = readFileSync(join(stateDir, 'token'), 'utf8').trim();
  const list = await fetch(`http://${second.api}/api/v1/services`, {
    headers: { authorization: `Bearer ${token}` },
  });
  const { items } = (await list.json()) as { items: { metadata: { name: string } }[] };
  const kept = new Set(items.map((item) => item.metadata.name));
  expect(answered.length).toBeGreaterThanOrEqual(30);
  expect(answered.filter((name) => !kept.has(name))).toEqual([]);
  second.process.kill('SIGTERM');
  expect(await second.process.exited).toBe(0);
});

test('a state directory in use is one sentence and exit status 1', async () => {
  const stateDir = join(root, 'shared');
  const first = await start(stateDir);
  const second = spawn(stateDir, '127.0.0.1:0');
  const text = await new Response(second.stderr).text();
  expect(await second.exited).toBe(1);
  expect(text).toStartWith('sluice control: the state in ');
  expect(text).toContain('--state-dir');
  first.process.kill('SIGINT');
  expect(await first.process.exited).toBe(0);
});
