import { afterEach, expect, test } from 'bun:test';
import { appendFileSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, makeTempDir, onCleanUp, startHttpOrigin, waitFor } from '@sluice/testkit';
import { ControlMesh, waitForSync, type Instance } from './control-mesh.ts';

/** A state directory on a disk of its own that is really full, while instances fall ill and die. */
afterEach(cleanUp);

const service = `
apiVersion: v1
kind: Service
metadata: {name: api}
spec: {selector: {app: api}, ports: [{name: http, port: 80}]}
`;

/** May be asked by root only, and not in every container. */
const canMount = ((): boolean => {
  const path = makeTempDir();
  const isMounted = Bun.spawnSync(['mount', '-t', 'tmpfs', 'tmpfs', path], { stderr: 'ignore' }).success;
  if (isMounted) Bun.spawnSync(['umount', path]);
  else console.warn('SKIPPED: a file system in memory cannot be mounted here');
  return isMounted;
})();

function mountSmallDisk(path: string): void {
  mkdirSync(path);
  const mounted = Bun.spawnSync(['mount', '-t', 'tmpfs', '-o', 'size=6m,mode=0700', 'tmpfs', path]);
  if (!mounted.success) throw new Error(mounted.stderr.toString());
  onCleanUp(() => void Bun.spawnSync(['umount', '-l', path]));
}

/** Takes what is left, down to the last byte; returns how to give it back. */
function fill(path: string): () => void {
  const ballast = join(path, 'ballast');
  for (const size of [65_536, 4096, 1]) {
    for (let isFull = false; !isFull;) {
      try {
        appendFileSync(ballast, Buffer.alloc(size));
      } catch (error) {
        if ((error as { code?: string }).code !== 'ENOSPC') throw error;
        isFull = true;
      }
    }
  }
  return () => rmSync(ballast);
}

async function replica(mesh: ControlMesh, name: string): Promise<Instance> {
  const origin = startHttpOrigin(() => ({ body: name }));
  return mesh.register({
    name,
    labels: { app: 'api' },
    ports: [{ name: 'http', appPort: 80, inboundPort: origin.port }],
  });
}

/** Who answers: asked until each known replica had its turn several times over. */
async function answering(port: number): Promise<string> {
  const names = new Set<string>();
  for (let i = 0; i < 12; i++) names.add(await (await fetch(`http://127.0.0.1:${port}/`)).text());
  return [...names].sort().join(' ');
}

/** The `Healthy` condition in the store; empty when the entry is gone. */
async function stored(mesh: ControlMesh, name: string): Promise<string> {
  interface Entry {
    readonly metadata: { readonly name: string };
    readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
  }
  const path = '/apis/networking.istio.io/v1/namespaces/default/workloadentries';
  const { items } = await mesh.api<{ items: readonly Entry[] }>(path);
  const entry = items.find(({ metadata }) => metadata.name === name);
  return entry?.status?.conditions?.find(({ type }) => type === 'Healthy')?.status ?? '';
}

test.skipIf(!canMount)(
  'on a full disk the ill and the dead leave load balancing, and the store agrees when there is room',
  async () => {
    const mesh = new ControlMesh();
    mountSmallDisk(mesh.stateDir);
    mesh.write('service.yaml', service);
    await mesh.start();
    const client = await mesh.register({ name: 'client' });
    const [a, b] = [await replica(mesh, 'api-a'), await replica(mesh, 'api-b')];
    mesh.startProxy(client);
    await waitForSync(mesh, client);
    const port = await client.localPort('api');
    const becomes = (names: string): Promise<unknown> =>
      waitFor(async () => (await answering(port)) === names, { what: `${names} to answer` });
    await becomes('api-a api-b');

    const free = fill(mesh.stateDir);
    await mesh.reportHealth(a, false);
    await becomes('api-b');
    expect(await stored(mesh, 'api-a')).toBe('True');
    await mesh.reportHealth(a, true);
    await becomes('api-a api-b');
    await mesh.reportHealth(a, false);
    await becomes('api-b');
    b.stopRenewing();
    await mesh.reportHealth(a, true);
    await becomes('api-a');
    expect(await stored(mesh, 'api-b')).toBe('True');
    const { storageTrouble } = await mesh.api<{ storageTrouble: string | null }>('/sluice/v1/status');
    expect(storageTrouble).toContain('full');

    free();
    await waitFor(async () => (await stored(mesh, 'api-b')) === '', { what: 'the dead to leave the store' });
    expect(await stored(mesh, 'api-a')).toBe('True');
    await mesh.kill();
    await mesh.start();
    await waitForSync(mesh, client);
    expect(await stored(mesh, 'api-b')).toBe('');
    expect(await answering(port)).toBe('api-a');
  },
  60_000,
);
