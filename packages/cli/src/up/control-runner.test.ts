/** A control plane of a mesh that is started: whose answer counts. */
import { afterEach, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRandom } from '@sluice/runtime';
import { cleanUp, freePort, makeTempDir, onCleanUp } from '@sluice/testkit';
import { ProcessLedger } from '../process/ledger.ts';
import { ControlRunner } from './control-runner.ts';
import { prepareLogs } from './log-files.ts';

afterEach(cleanUp);

const onLoopback = (port: number): string => `127.0.0.1:${port}`;

test('one of another mesh that took the port a moment before is not taken for ours', async () => {
  const asked: string[] = [];
  const other = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: ({ url }) => {
      asked.push(new URL(url).pathname);
      if (url.endsWith('/readyz')) return new Response('ok');
      return Response.json({ message: 'the token is another' }, { status: 401 });
    },
  });
  onCleanUp(() => other.stop(true));
  const stateDir = makeTempDir();
  prepareLogs(stateDir);
  const meshConfig = join(stateDir, 'mesh-config.json');
  writeFileSync(meshConfig, '{}');
  const runner = new ControlRunner({
    stateDir,
    resources: [],
    optionalResources: [],
    meshConfig,
    addresses: {
      xds: onLoopback(freePort()),
      secure: onLoopback(freePort()),
      api: onLoopback(other.port ?? 0),
      metrics: onLoopback(freePort()),
    },
    ledger: new ProcessLedger(stateDir, () => {}),
    env: process.env,
    random: createRandom('control-runner'),
    onEvent: () => {},
  });
  onCleanUp(() => runner.stop());
  const failed = await runner.start().then(
    () => 'started',
    (error: unknown) => String(error),
  );
  expect(failed).toContain('the control plane exited with 1; its log');
  expect(failed).toContain(`${other.port}`);
  expect(asked).toContain('/readyz');
}, 20_000);
