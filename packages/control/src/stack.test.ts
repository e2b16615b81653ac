import { afterEach, beforeEach, describe, expect, test } from 'bun:test';
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RegistrationReply } from '@sluice/api';
import { createLogger } from '@sluice/runtime';
import { defaultAuthoritySettings } from './authority/authority-settings.ts';
import type { CreateMeshServing } from './serve/mesh-serving.ts';
import { startControl, type ControlOptions, type RunningControl } from './stack.ts';

let root = '';
let running: RunningControl[] = [];
let steps: string[] = [];
let logged: string[] = [];
const log = createLogger({ component: 'control', write: (line) => logged.push(line) });

/** Stands for model, translation and ADS: one service, no proxies, and a note of what happened when. */
const serving: CreateMeshServing = ({ store, registry }) => {
  steps.push(`made with ${[...store.all()].length} resources, ${registry.instances.size} instances`);
  const service = {
    key: 'default/ratings.default.svc.cluster.local',
    name: 'ratings',
    namespace: 'default',
    hostname: 'ratings.default.svc.cluster.local',
    port: 9080,
  };
  return {
    proxies: { proxies: new Map(), subscribe: () => () => {} },
    services: () => [],
    edges: () => [],
    outboundServices: () => [service],
    strictPorts: () => [],
    updateSettings: () => {},
    hasReachedAll: () => true,
    listen: () => {
      steps.push('listening');
      return Promise.resolve({ xds: '127.0.0.1:15010', secure: '127.0.0.1:15012' });
    },
    close: () => {
      steps.push('closed');
      return Promise.resolve();
    },
  };
};

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'sluice-control-'));
  mkdirSync(join(root, 'mesh'));
  running = [];
  steps = [];
  logged = [];
});

afterEach(async () => {
  for (const control of running) await control.close();
  rmSync(root, { recursive: true });
});

async function start(changes: Partial<ControlOptions> = {}): Promise<RunningControl> {
  const control = await startControl(
    {
      stateDir: join(root, 'state'),
      resources: [join(root, 'mesh')],
      meshConfig: undefined,
      xdsAddress: '127.0.0.1:15010',
      apiAddress: '127.0.0.1:0',
      metricsAddress: '127.0.0.1:0',
      identity: {
        secureAddress: '127.0.0.1:0',
        names: { dnsSans: [], ipSans: [] },
        authorityDir: undefined,
        settings: defaultAuthoritySettings,
        serviceAccounts: undefined,
      },
      ...changes,
    },
    { serving, log, version: '0.1.0' },
  );
  running.push(control);
  return control;
}

async function stop(control: RunningControl): Promise<void> {
  running = running.filter((one) => one !== control);
  await control.close();
}

function call(
  control: RunningControl,
  method: string,
  path: string,
  body?: unknown,
  token: string | null = control.token,
): Promise<Response> {
  return fetch(`http://${control.addresses.api}${path}`, {
    method,
    headers: token === null ? {} : { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
}

const serviceYaml =
  'apiVersion: v1\nkind: Service\nmetadata: {name: ratings}\nspec: {ports: [{name: http, port: 9080}]}\n';
const registration = {
  name: 'reviews-1',
  labels: { app: 'reviews' },
  ports: [{ name: 'http', appPort: 20000, inboundPort: 20001 }],
  outboundPortRange: [21000, 21099],
  adminPort: 20002,
  healthPort: 20003,
};

describe('starting', () => {
  test('restores folder and registry before xDS opens, and survives a restart', async () => {
    writeFileSync(join(root, 'mesh', 'ratings.yaml'), serviceYaml);
    const first = await start();
    expect(steps).toEqual(['made with 1 resources, 0 instances', 'listening']);
    const reply = (await (
      await call(first, 'POST', '/sluice/v1/registrations', registration)
    ).json()) as RegistrationReply;
    await call(first, 'POST', '/api/v1/namespaces/default/services', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'details' },
      spec: { ports: [{ port: 80 }] },
    });
    await stop(first);
    steps = [];
    const second = await start();
    expect(steps).toEqual(['made with 3 resources, 1 instances', 'listening']);
    expect(second.token).toBe(first.token);
    expect(second.registry.authenticate(reply.token)?.instance).toBe('reviews-1.default');
  });

  test('a failure takes down what was opened, and says what to do', async () => {
    const first = await start();
    const taken = first.addresses.api;
    await expect(start({ stateDir: join(root, 'other'), apiAddress: taken })).rejects.toThrow(
      /already in use.*--api-address/,
    );
    expect(steps.at(-1)).toBe('closed');
    await expect(start()).rejects.toThrow(/in use by another control plane/);
    await expect(
      start({ stateDir: join(root, 'other'), resources: [join(root, 'nowhere')] }),
    ).rejects.toThrow(/does not exist/);
    await start({ stateDir: join(root, 'other') });
  });
});

describe('the API port', () => {
  test('asks for the token, tells health to anybody, and refuses other sites', async () => {
    const control = await start();
    expect((await call(control, 'GET', '/api/v1/services', undefined, null)).status).toBe(401);
    expect((await call(control, 'GET', '/sluice/v1/status', undefined, null)).status).toBe(401);
    expect((await call(control, 'GET', '/', undefined, null)).status).toBe(401);
    expect((await call(control, 'GET', '/readyz', undefined, null)).status).toBe(200);
    expect((await call(control, 'GET', '/nothing')).status).toBe(404);
    const foreign = await fetch(`http://${control.addresses.api}/readyz`, {
      headers: { origin: 'https://evil.example' },
    });
    expect(foreign.status).toBe(403);
    const rebound = await fetch(`http://${control.addresses.api}/readyz`, {
      headers: { host: 'evil.example' },
    });
    expect(rebound.status).toBe(403);
  });

  test('tells whoever starts sidecars what meshConfig.defaultConfig asks of them', async () => {
    const meshConfig = join(root, 'sluice.yaml');
    const asked = '{ concurrency: 2, drainDuration: 20s, terminationDrainDuration: 7s }';
    writeFileSync(meshConfig, `meshConfig: { defaultConfig: ${asked} }\n`);
    const control = await start({ meshConfig });
    const reply = await call(control, 'GET', '/sluice/v1/status');
    expect(await reply.json()).toMatchObject({
      sidecars: { concurrency: 2, drainMs: 20_000, terminationDrainMs: 7000 },
    });
  });

  test('shows the page to a browser that followed the link', async () => {
    const control = await start();
    const login = await fetch(control.loginLink(), { redirect: 'manual' });
    expect(login.status).toBe(303);
    const cookie = (login.headers.get('set-cookie') ?? '').split(';')[0] ?? '';
    const page = await fetch(`http://${control.addresses.api}/`, { headers: { cookie } });
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(await page.text()).toContain('<h1>Sluice</h1>');
  });

  test('a watch stays open, and ends when the control plane does', async () => {
    const control = await start();
    const response = await call(control, 'GET', '/api/v1/services?watch=1');
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    writeFileSync(join(root, 'mesh', 'ratings.yaml'), serviceYaml);
    let text = '';
    while (!text.includes('}\n')) text += (await reader.read()).value;
    expect(text).toContain('"type":"ADDED"');
    await stop(control);
    const end = await reader.read().then(
      ({ done }) => done,
      () => true,
    );
    expect(end).toBe(true);
  });

  test('an instance registers with the API token and speaks with its own after that', async () => {
    const control = await start();
    const at = '/sluice/v1/registrations';
    expect((await call(control, 'POST', at, registration, null)).status).toBe(401);
    expect((await call(control, 'POST', at, { ...registration, adminPort: 0 })).status).toBe(422);
    const reply = (await (
      await call(control, 'POST', at, { ...registration, isHealthy: false })
    ).json()) as RegistrationReply;
    expect(reply.outbound).toMatchObject([{ service: 'ratings', port: 9080, address: '127.0.0.1' }]);
    const own = `${at}/${reply.instance}`;
    const revision = control.store.revision;
    expect((await call(control, 'PUT', own, { token: reply.token }, null)).status).toBe(200);
    expect(control.store.revision).toBe(revision);
    expect((await call(control, 'PUT', own, {}, 'guess')).status).toBe(401);
    expect((await call(control, 'PUT', `${at}/nobody.default`, {}, reply.token)).status).toBe(404);
    expect((await call(control, 'GET', '/api/v1/services', undefined, reply.token)).status).toBe(401);
    expect(
      (await call(control, 'PUT', `${own}/health`, { isHealthy: true, reason: 'ok' }, reply.token)).status,
    ).toBe(200);
    expect(control.registry.instances.get(reply.instance)?.isHealthy).toBe(true);
    const bootstrap = await (
      await call(control, 'GET', '/sluice/v1/bootstrap', undefined, reply.token)
    ).json();
    expect(bootstrap).toMatchObject({
      node: { id: reply.nodeId, metadata: { NAMESPACE: 'default', INTERCEPTION_MODE: 'NONE' } },
      admin: { address: { socket_address: { port_value: 20002 } } },
    });
    expect(JSON.stringify(bootstrap)).toContain(`Bearer ${reply.token}`);
    const shown = await (
      await call(control, 'GET', '/sluice/v1/bootstrap?instance=reviews-1.default')
    ).json();
    expect(JSON.stringify(shown)).not.toContain('Bearer');
    expect((await call(control, 'DELETE', own, {}, reply.token)).status).toBe(200);
    expect(control.registry.instances.size).toBe(0);
  });

  test('tells status, instances, services, proxies, resources and what is wrong with a text', async () => {
    writeFileSync(
      join(root, 'mesh', 'broken.yaml'),
      'apiVersion: v1\nkind: Service\nmetadata: {name: x}\nspec: {prots: []}\n---\n: [\n',
    );
    const control = await start();
    const get = async (path: string): Promise<unknown> =>
      (await call(control, 'GET', `/sluice/v1/${path}`)).json();
    expect(await get('status')).toMatchObject({
      version: '0.1.0',
      isEvictionFrozen: false,
      fileProblems: [{ severity: 'error' }],
    });
    expect(await get('instances')).toEqual({ instances: [] });
    expect(await get('services')).toEqual({ services: [] });
    expect(await get('proxies')).toEqual({ proxies: [] });
    expect(await get('resources')).toMatchObject({
      resources: [{ isServing: false, problems: [{ path: 'spec.prots', line: 4 }, { path: 'spec.ports' }] }],
    });
    const analyzed = await fetch(`http://${control.addresses.api}/sluice/v1/analyze`, {
      method: 'POST',
      headers: { authorization: `Bearer ${control.token}` },
      body: 'apiVersion: v1\nkind: Servce\nmetadata: {name: x}\n',
    });
    expect(await analyzed.json()).toMatchObject({ problems: [{ code: 'unknown-kind', line: 2 }] });
  });
});

test('metrics need no token and count resources, instances and requests', async () => {
  writeFileSync(join(root, 'mesh', 'ratings.yaml'), serviceYaml);
  const control = await start();
  await call(control, 'POST', '/sluice/v1/registrations', registration);
  const url = `http://${control.addresses.metrics}/metrics`;
  expect((await fetch(url, { headers: { origin: 'https://evil.example' } })).status).toBe(403);
  const text = await (await fetch(url)).text();
  expect(text).toContain('sluice_resources{kind="Service",owner="folder"} 1');
  expect(text).toContain('sluice_registry_instances{health="healthy"} 1');
  expect(text).toContain('sluice_registry_unwritten_instances 0');
  expect(text).toContain('sluice_api_requests_total{method="POST",code="201"} 1');
  expect(text).toContain('process_resident_memory_bytes');
});
