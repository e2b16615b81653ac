import { afterEach, beforeEach, expect, test } from 'bun:test';
import { cleanUp, onCleanUp, freePort, startHttpOrigin, waitFor } from '@sluice/testkit';
import type { HttpOrigin } from '@sluice/testkit';
import { ControlMesh, waitForSync } from './control-mesh.ts';
import { localService, versionRoute } from './hello-resources.ts';
import type { Instance } from './control-mesh.ts';

/** A control plane that dies at any time costs no request and no configuration; files may be edited as people do. */
let mesh: ControlMesh;
let origin: HttpOrigin;
let instance: Instance;
let port = 0;

beforeEach(async () => {
  mesh = new ControlMesh();
  origin = startHttpOrigin(() => ({ body: 'hello' }));
  mesh.write('service.yaml', localService('hello', origin.port, 'HTTP'));
  mesh.write('route.yaml', versionRoute(201));
  await mesh.start();
  instance = await mesh.register({
    name: 'client',
    ports: [{ name: 'http', appPort: origin.port, inboundPort: freePort() }],
  });
  mesh.startProxy(instance);
  await waitForSync(mesh, instance);
  port = await instance.localPort('hello.default.svc.cluster.local');
});

afterEach(cleanUp);

async function liveVersion(): Promise<number> {
  return (await fetch(`http://127.0.0.1:${port}/version`)).status;
}

async function becomes(status: number): Promise<void> {
  await waitFor(async () => (await liveVersion()) === status, { what: `the route of version ${status}` });
}

/** Requests one after the other until stopped; what did not come back as it should. */
function load(): { readonly failures: string[]; stop(): Promise<number> } {
  const failures: string[] = [];
  let isStopped = false;
  let count = 0;
  const done = (async () => {
    while (!isStopped) {
      try {
        const response = await fetch(`http://127.0.0.1:${port}/`);
        const text = await response.text();
        if (response.status !== 200 || text !== 'hello') failures.push(`${response.status} ${text}`);
      } catch (error) {
        failures.push(String(error));
      }
      count += 1;
    }
    return count;
  })();
  const stop = (): Promise<number> => {
    isStopped = true;
    return done;
  };
  onCleanUp(async () => void (await stop()));
  return { failures, stop };
}

async function resourceNames(): Promise<string[]> {
  const { resources } = await mesh.api<{ resources: { key: { kind: string; name: string } }[] }>(
    '/sluice/v1/resources',
  );
  return resources.map(({ key }) => `${key.kind}/${key.name}`).sort();
}

test('killed and started again under load, it fails no request and loses nothing', async () => {
  await becomes(201);
  await mesh.api('/api/v1/namespaces/default/services', {
    method: 'POST',
    body: JSON.stringify({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'by-api' },
      spec: { ports: [{ name: 'http', port: 8080 }] },
    }),
  });
  const before = await resourceNames();
  const traffic = load();
  for (const version of [202, 203, 204]) {
    await mesh.kill();
    // The file changes while nobody looks; traffic goes on.
    expect(await liveVersion()).toBe(version - 1);
    mesh.replace('route.yaml', versionRoute(version));
    await mesh.start();
    await becomes(version);
  }
  await waitForSync(mesh, instance);
  expect(await traffic.stop()).toBeGreaterThan(100);
  expect(traffic.failures).toEqual([]);
  expect(await resourceNames()).toEqual(before);
  expect(await instance.localPort('hello.default.svc.cluster.local')).toBe(port);
}, 60_000);

test('a file that is broken, mended, replaced and deleted takes effect at the proxy, and never by half', async () => {
  await becomes(201);
  const traffic = load();
  mesh.write('route.yaml', `${versionRoute(202)}  - oops: [`);
  await waitFor(() => mesh.output.includes('route.yaml'), { what: 'the control plane to say what is wrong' });
  expect(await liveVersion()).toBe(201);
  mesh.write('route.yaml', versionRoute(203).replace('{host: hello}', '{host: hello}, weight: many'));
  const invalid = await waitFor(async () => {
    const { status } = await mesh.api<{
      status?: { conditions?: { type: string; status: string; message: string }[] };
    }>('/apis/networking.istio.io/v1/namespaces/default/virtualservices/hello');
    return status?.conditions?.find((one) => one.type === 'Accepted' && one.status === 'False');
  });
  expect(invalid.message).toContain('generation 1 still serves');
  expect(await liveVersion()).toBe(201);
  mesh.write('route.yaml', versionRoute(204));
  await becomes(204);
  mesh.replace('route.yaml', versionRoute(205));
  await becomes(205);
  mesh.remove('route.yaml');
  await becomes(200);
  await traffic.stop();
  expect(traffic.failures).toEqual([]);
}, 60_000);
