/**
 * From a saved file to real proxies: a control plane with 100 services, N proxies (default 100), one VirtualService
 * changed again and again. A change is live at a proxy when a request through its own listener gets the new answer;
 * every proxy is asked every 20 ms, so a figure is up to that much too high.
 */
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, spawn, stopAll } from './peers.ts';
import { printTable } from './table.ts';

const proxies = Number(process.argv[2] ?? 100);
const changes = Number(process.argv[3] ?? 15);
const services = 100;
const pollMs = 20;
const folder = mkdtempSync(join(tmpdir(), 'sluice-propagation-'));
const packages = join(import.meta.dir, '../packages');
/** Below the system's ephemeral ports. */
const firstPort = 12_000;
const portsEach = 130;

interface Binding {
  readonly service: string;
  readonly localPort: number;
}

try {
  await main();
} finally {
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
}

async function main(): Promise<void> {
  const api = `127.0.0.1:${await freePort()}`;
  writeFileSync(
    join(folder, 'services.yaml'),
    Array.from({ length: services }, (_, index) => serviceYaml(index)).join('---\n'),
  );
  change(0);
  spawn([
    process.execPath,
    join(packages, 'control/src/main.ts'),
    '--state-dir',
    join(folder, 'state'),
    '--resources',
    folder,
    '--xds-address',
    `127.0.0.1:${await freePort()}`,
    '--api-address',
    api,
    '--metrics-address',
    `127.0.0.1:${await freePort()}`,
    '--log-level',
    'error',
  ]);
  await until(async () => (await fetch(`http://${api}/readyz`)).ok);
  const token = readFileSync(join(folder, 'state/token'), 'utf8').trim();
  const ports: number[] = [];
  for (let index = 0; index < proxies; index++) ports.push(await startProxy(api, token, index));
  for (const port of ports) await until(async () => (await ask(port)) === 'generation 0');
  await Bun.sleep(2000);
  const times: number[] = [];
  for (let generation = 1; generation <= changes; generation++) {
    const savedMs = performance.now();
    change(generation);
    times.push(...(await Promise.all(ports.map((port) => live(port, generation, savedMs)))));
    await Bun.sleep(300);
  }
  times.sort((a, b) => a - b);
  const at = (share: number): string =>
    (times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0).toFixed(0);
  printTable(
    `A changed route, ${services} services, ${proxies} real proxies, file saved to answer changed, ms`,
    ['p50', 'p90', 'p99', 'max', 'samples'],
    [[at(0.5), at(0.9), at(0.99), at(1), String(times.length)]],
  );
}

async function startProxy(api: string, token: string, index: number): Promise<number> {
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
  spawn([process.execPath, join(packages, 'proxy/src/main.ts'), '-c', file, '-l', 'error']);
  const port = outbound.find((binding) => binding.service === 'service-0')?.localPort;
  if (port === undefined) throw new Error('no port was allotted');
  return port;
}

/** Saved as editors save: a new file in the old one's place. */
function change(generation: number): void {
  const path = join(folder, 'route.yaml');
  writeFileSync(
    `${path}.new`,
    `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: route}
spec:
  hosts: [service-0]
  http:
  - directResponse: {status: 200, body: {string: generation ${generation}}}
`,
  );
  renameSync(`${path}.new`, path);
}

function serviceYaml(index: number): string {
  return `apiVersion: v1
kind: Service
metadata: {name: service-${index}}
spec: {selector: {app: service-${index}}, ports: [{name: http, port: 8080}]}
`;
}

async function live(port: number, generation: number, savedMs: number): Promise<number> {
  for (;;) {
    if ((await ask(port)) === `generation ${generation}`) return performance.now() - savedMs;
    await Bun.sleep(pollMs);
  }
}

async function ask(port: number): Promise<string> {
  return (await fetch(`http://127.0.0.1:${port}/`)).text();
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 1200; attempt++) {
    if (await isTrue().catch(() => false)) return;
    await Bun.sleep(100);
  }
  throw new Error('waited two minutes in vain');
}
