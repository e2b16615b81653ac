/**
 * What `propagation.ts` measures: a control plane with 100 services on a folder of files, N proxies registered with it
 * (started as `sluice up` does, from the bundle), and one VirtualService whose answer is changed.
 */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { proxyCommand } from '../packages/cli/src/process/proxy-bundle.ts';
import { proxyEnvironment } from '../packages/cli/src/process/proxy-environment.ts';
import { freePort, spawn } from './peers.ts';

export const services = 100;
const folder = mkdtempSync(join(tmpdir(), 'sluice-propagation-'));
const packages = join(import.meta.dir, '../packages');
/** What the control plane watches: nothing but resources. */
const resources = join(folder, 'resources');
/** Below the system's ephemeral ports. */
const firstPort = 12_000;
const portsEach = 130;
/** Half of the longest lease: one that ended would be a change of its own. */
const renewalMs = 30_000;

export interface Client {
  readonly pid: number;
  readonly port: number;
}

export interface MeshUnderTest {
  readonly controlPid: number;
  readonly clients: readonly Client[];
}

interface Binding {
  readonly service: string;
  readonly localPort: number;
}

export async function startMesh(proxies: number): Promise<MeshUnderTest> {
  const api = `127.0.0.1:${await freePort()}`;
  mkdirSync(resources);
  writeFileSync(
    join(resources, 'services.yaml'),
    Array.from({ length: services }, (_, index) => serviceYaml(index)).join('---\n'),
  );
  change(0);
  const control = spawn([
    process.execPath,
    join(packages, 'control/src/main.ts'),
    '--state-dir',
    join(folder, 'state'),
    '--resources',
    resources,
    '--xds-address',
    `127.0.0.1:${await freePort()}`,
    '--secure-xds-address',
    '127.0.0.1:0',
    '--api-address',
    api,
    '--metrics-address',
    `127.0.0.1:${await freePort()}`,
    '--log-level',
    'error',
  ]);
  await until(async () => (await fetch(`http://${api}/readyz`)).ok);
  const token = readFileSync(join(folder, 'state/token'), 'utf8').trim();
  const command = await proxyCommand(console.warn);
  const clients: Client[] = [];
  for (let index = 0; index < proxies; index++) clients.push(await startProxy(command, api, token, index));
  for (const { port } of clients) await until(async () => (await fetch(`http://127.0.0.1:${port}/`)).ok);
  return { controlPid: control.pid, clients };
}

/** Saved as editors save: a new file in the old one's place. */
export function change(generation: number): void {
  const path = join(resources, 'route.yaml');
  writeFileSync(
    `${path}.new`,
    `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: route}
spec:
  hosts: [service-0]
  http:
  - directResponse: {status: 200, body: {string: ${answerOf(generation)}}}
`,
  );
  renameSync(`${path}.new`, path);
}

export function answerOf(generation: number): string {
  return `generation ${generation}`;
}

export function removeFiles(): void {
  rmSync(folder, { recursive: true, force: true });
}

async function startProxy(
  command: readonly string[],
  api: string,
  token: string,
  index: number,
): Promise<Client> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const base = firstPort + index * portsEach;
  const registration = {
    name: `client-${index}`,
    namespace: 'default',
    serviceAccount: 'default',
    labels: { app: 'client' },
    address: '127.0.0.1',
    interceptionMode: 'NONE',
    ports: [],
    outboundPortRange: [base + 10, base + portsEach - 1],
    adminPort: base,
    healthPort: base + 1,
    version: '0.1.0',
    ttlMs: 60_000,
    capabilities: ['sluice.dev/method-aware-retry', 'sluice.dev/vhds'],
  };
  const reply = await fetch(`http://${api}/sluice/v1/registrations`, {
    method: 'POST',
    headers,
    body: JSON.stringify(registration),
  });
  const {
    instance,
    token: own,
    outbound,
  } = (await reply.json()) as { instance: string; token: string; outbound: Binding[] };
  const bootstrap = await fetch(`http://${api}/sluice/v1/bootstrap?instance=${instance}`, {
    headers: { authorization: `Bearer ${own}` },
  });
  const file = join(folder, `client-${index}.json`);
  writeFileSync(file, await bootstrap.text());
  const { pid } = spawn([...command, '-c', file, '-l', 'error'], proxyEnvironment(process.env));
  const renew = (): void =>
    void fetch(`http://${api}/sluice/v1/registrations/${instance}`, {
      method: 'PUT',
      headers: { authorization: `Bearer ${own}` },
    }).catch(() => undefined);
  setInterval(renew, renewalMs).unref();
  const port = outbound.find((binding) => binding.service === 'service-0')?.localPort;
  if (port === undefined) throw new Error('no port was allotted');
  return { pid, port };
}

function serviceYaml(index: number): string {
  return `apiVersion: v1
kind: Service
metadata: {name: service-${index}}
spec: {selector: {app: service-${index}}, ports: [{name: http, port: 8080}]}
`;
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 1200; attempt++) {
    if (await isTrue().catch(() => false)) return;
    await Bun.sleep(100);
  }
  throw new Error('waited two minutes in vain');
}
