/** STRICT is no lie: an application that could be called past its sidecar does not run, unless its owner says so. */
import { afterAll, describe, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, waitFor } from '@sluice/testkit';
import { exchange, makeMtlsFolder } from './mtls-fixture.ts';
import { MeshUnderTest } from './up-mesh.ts';

const timeoutMs = 90_000;
const strict = `apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: api}
spec: {selector: {matchLabels: {app: api}}, mtls: {mode: STRICT}}
`;

afterAll(cleanUp, timeoutMs);

async function appPort(mesh: MeshUnderTest): Promise<number> {
  return Number(new URL(await mesh.out('url', 'api', '--direct')).port);
}

/** Whether something answers where the application listens. */
async function answers(mesh: MeshUnderTest): Promise<boolean> {
  const said = await exchange(await appPort(mesh), 'GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  return said.includes('HTTP/1.1 200');
}

describe.if(process.platform === 'linux')('an application that listens beyond loopback', () => {
  test(
    'is stopped under STRICT with place, policy and remedy, and started again when STRICT goes',
    async () => {
      const dir = makeMtlsFolder('0.0.0.0');
      const policy = join(dir, 'mesh/strict.yaml');
      writeFileSync(policy, strict);
      const mesh = await MeshUnderTest.start(dir, { waitsUntilUp: false });
      const said = await mesh.up.waitForLine(/it listens on 0\.0\.0\.0:/, { timeoutMs: 60_000 });
      expect(said).toMatch(
        /api +│.*security\.istio\.io\/PeerAuthentication\/default\/api says STRICT: it is stopped/,
      );
      expect(said).toContain('--allow-bypass');
      await waitFor(async () => ((await answers(mesh)) ? undefined : true), {
        what: 'the application to end',
      });

      writeFileSync(policy, strict.replace('STRICT', 'PERMISSIVE'));
      await mesh.up.waitForLine(/STRICT holds no longer/);
      await waitFor(async () => ((await answers(mesh)) ? true : undefined), {
        what: 'the application to come back',
      });

      // And the other way round, under a running application.
      writeFileSync(policy, strict);
      await waitFor(async () => ((await answers(mesh)) ? undefined : true), {
        what: 'the application to end again',
      });
      expect(await mesh.up.stop()).toBe(0);
      expect(mesh.processes()).toEqual([]);
    },
    timeoutMs,
  );

  test(
    'runs where its owner allows it, and is named',
    async () => {
      const dir = makeMtlsFolder('0.0.0.0', ', allowBypass: true');
      writeFileSync(join(dir, 'mesh/strict.yaml'), strict);
      const mesh = await MeshUnderTest.start(dir);
      expect(await mesh.up.waitForLine(/it listens on 0\.0\.0\.0:/)).toContain(
        'it runs because this is allowed',
      );
      expect(await answers(mesh)).toBe(true);
      expect(await mesh.up.stop()).toBe(0);
    },
    timeoutMs,
  );
});
