import { afterEach, expect, test } from 'bun:test';
import { join } from 'node:path';
import { cleanUp, onCleanUp, startHttpOrigin, waitFor } from '@sluice/testkit';
import { ControlMesh, waitForSync, type Instance } from './control-mesh.ts';
import { localService, versionRoute } from './hello-resources.ts';
import { runCli, type CliResult } from './up-mesh.ts';

/**
 * A proxy that refuses one resource of a live mesh: the ports that its listeners may have are taken by another
 * process. Who wrote the resource is told in the proxy's words, and nobody else notices.
 */
afterEach(cleanUp);

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

/** Every port that the instance could still be given; what listens there already keeps it. */
function takePorts({ outboundPorts: [low, high] }: Instance): () => void {
  const taken: { stop(closeActive?: boolean): void }[] = [];
  for (let port = low; port <= high; port++) {
    try {
      taken.push(Bun.listen({ hostname: '127.0.0.1', port, socket: { data: () => {} } }));
    } catch (error) {
      if ((error as { code?: string }).code !== 'EADDRINUSE') throw error;
    }
  }
  const free = (): void => {
    for (const listener of taken.splice(0)) listener.stop(true);
  };
  onCleanUp(free);
  return free;
}

async function conditions(mesh: ControlMesh, path: string): Promise<readonly Condition[]> {
  const { status } = await mesh.api<{ status?: { conditions?: readonly Condition[] } }>(
    `/apis/networking.istio.io/v1/namespaces/default/${path}`,
  );
  return status?.conditions ?? [];
}

/** What proxies made of a resource, once it is as `status` says; while they have not answered it is False, too. */
function programmed(mesh: ControlMesh, path: string, status: string): Promise<Condition> {
  return waitFor(
    async () =>
      (await conditions(mesh, path)).find(
        (one) => one.type === 'Programmed' && one.status === status && one.reason !== 'Pending',
      ),
    { what: `${path} to have Programmed=${status}` },
  );
}

function cli(mesh: ControlMesh, ...args: readonly string[]): Promise<CliResult> {
  const server = ['--server', mesh.apiUrl, '--token-file', join(mesh.stateDir, 'token')];
  return runCli([...args, ...server], { NO_COLOR: '1', FORCE_COLOR: '' });
}

for (const variant of ['sotw', 'delta'] as const) {
  test(`${variant}: a listener that a proxy refuses is told, hinders nobody, and is taken when it can be`, async () => {
    const mesh = new ControlMesh();
    const hello = startHttpOrigin(() => ({ body: 'hello' }));
    const late = startHttpOrigin(() => ({ body: 'late' }));
    mesh.write('hello.yaml', localService('hello', hello.port, 'HTTP'));
    mesh.write('route.yaml', versionRoute(201));
    await mesh.start();
    const client = await mesh.register({ name: 'client' });
    mesh.startProxy(client, variant);
    await waitForSync(mesh, client);
    const port = await client.localPort('hello.default.svc.cluster.local');
    const ask = (path: string, at = port): Promise<Response> => fetch(`http://127.0.0.1:${at}${path}`);
    expect(await (await ask('/')).text()).toBe('hello');

    const free = takePorts(client);
    mesh.write('late.yaml', localService('late', late.port, 'TCP'));
    const refused = await programmed(mesh, 'serviceentries/late', 'False');
    const latePort = await client.localPort('late.default.svc.cluster.local');
    const words = `cannot bind 127.0.0.1:${latePort}: the address is in use`;
    expect(refused.reason).toBe('Invalid');
    expect(refused.message).toContain('0 of 1 proxy; 1 refused it: ');
    expect(refused.message).toContain(words);
    expect(await programmed(mesh, 'serviceentries/hello', 'True')).toMatchObject({ message: '1 of 1 proxy' });

    const status = await cli(mesh, 'status');
    expect(status.code).toBe(1);
    expect(status.out).toContain('NACK LDS');
    expect(status.out).toContain('NACK client refuses LDS: ');
    expect(status.out).toContain(words);
    expect(status.out).toContain('resource networking.istio.io/ServiceEntry/default/late: Invalid: ');
    const check = await cli(mesh, 'check');
    expect(check.code).toBe(1);
    expect(check.out).toContain('client refuses LDS: ');
    expect(check.out).toContain(words);
    expect((await cli(mesh, 'describe', 'serviceentry', 'late')).out).toContain(words);

    // Others go on, and what is changed meanwhile takes effect.
    expect(await (await ask('/')).text()).toBe('hello');
    mesh.replace('route.yaml', versionRoute(202));
    await waitFor(async () => (await ask('/version')).status === 202, { what: 'the other route to change' });
    expect((await programmed(mesh, 'serviceentries/late', 'False')).message).toContain(words);

    // A refused version is not sent again; its companions are.
    free();
    mesh.write('third.yaml', localService('third', hello.port, 'HTTP'));
    expect(await programmed(mesh, 'serviceentries/third', 'True')).toMatchObject({ message: '1 of 1 proxy' });
    const thirdPort = await client.localPort('third.default.svc.cluster.local');
    expect(await (await ask('/', thirdPort)).text()).toBe('hello');
    expect((await programmed(mesh, 'serviceentries/late', 'False')).message).toContain(words);
    expect((await cli(mesh, 'status')).out).toContain('NACK LDS');

    mesh.replace('late.yaml', localService('late', late.port, 'HTTP'));
    expect(await programmed(mesh, 'serviceentries/late', 'True')).toMatchObject({ message: '1 of 1 proxy' });
    expect(await (await ask('/', latePort)).text()).toBe('late');
    expect(await (await ask('/')).text()).toBe('hello');
    await waitForSync(mesh, client);
    const after = await cli(mesh, 'status');
    expect(after.out).not.toContain('NACK');
    expect(after.code).toBe(0);
    expect((await cli(mesh, 'check')).out).not.toContain('refuses LDS');
  }, 60_000);
}
