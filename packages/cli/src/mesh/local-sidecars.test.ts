import { afterEach, expect, test } from 'bun:test';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, makeTempDir, onCleanUp } from '@sluice/testkit';
import { askSidecar, localSidecars } from './local-sidecars.ts';

afterEach(cleanUp);

test('sidecars are found by their bootstrap files, and speak for themselves', async () => {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: ({ url }) =>
      new Response(
        url.endsWith('/ready')
          ? 'LIVE\n'
          : 'sluice_identity_certificate_expiry_timestamp_seconds: 1795466562\n',
      ),
  });
  onCleanUp(() => server.stop(true));
  const dir = makeTempDir();
  expect(localSidecars(dir)).toEqual([]);
  expect(localSidecars(undefined)).toEqual([]);
  const folder = join(dir, 'bootstrap');
  mkdirSync(folder);
  const bootstrap = (port: number | undefined) =>
    JSON.stringify({ admin: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } });
  writeFileSync(join(folder, 'web.json'), bootstrap(server.port));
  writeFileSync(join(folder, 'cut.json'), '{"admin": ');
  const [web, ...others] = localSidecars(dir);
  expect([web?.name, others]).toEqual(['web', []]);
  if (web === undefined) throw new Error('not found');
  expect(await askSidecar(web, 1000)).toEqual({ state: 'LIVE', certificateEndsMs: 1_795_466_562_000 });
  await server.stop(true);
  expect(await askSidecar(web, 1000)).toEqual({ state: 'no answer', certificateEndsMs: undefined });
});
