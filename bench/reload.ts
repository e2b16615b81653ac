/**
 * 1,000 services, and so 1,000 clusters, arrive at a proxy that serves 1,000 requests a second: what the slowest
 * requests wait. The proxy is alone on core 1; load and control plane share core 0. Times of the seconds before the
 * change are printed beside those of the change, since a busy machine has spikes of its own.
 */
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { proxyCommand } from '../packages/cli/src/process/proxy-bundle.ts';
import { proxyEnvironment } from '../packages/cli/src/process/proxy-environment.ts';
import { freePort, spawn, stopAll } from './peers.ts';
import { printTable } from './table.ts';

const services = Number(process.argv[2] ?? 1_000);
const rounds = 3;
const quietSeconds = 6;
const measuredSeconds = 14;
/** Below the ports that the system gives away, and not always the same: meshes may be running beside. */
const firstPort = 14_000 + Math.floor(Math.random() * 12) * 1_200;
const folder = mkdtempSync(join(tmpdir(), 'sluice-reload-'));
const packages = join(import.meta.dir, '../packages');

const base = `apiVersion: v1
kind: Service
metadata: {name: first}
spec: {selector: {app: first}, ports: [{name: http, port: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: first}
spec:
  hosts: [first]
  http:
  - directResponse: {status: 200, body: {string: here}}
`;

try {
  const rows: string[][] = [];
  for (let round = 1; round <= rounds; round++) rows.push(...(await measure(String(round))));
  printTable(
    `${services} clusters loaded under 1,000 requests a second, ms`,
    ['round', 'requests', 'p99', 'p99.9', 'max'],
    rows,
  );
} finally {
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
}

async function measure(round: string): Promise<string[][]> {
  const resources = join(folder, round);
  const api = `127.0.0.1:${await freePort()}`;
  save(resources, 'base.yaml', base);
  const control = spawn([
    'taskset',
    '-c',
    '0',
    process.execPath,
    join(packages, 'control/src/main.ts'),
    '--state-dir',
    join(folder, `state-${round}`),
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
  const token = readFileSync(join(folder, `state-${round}/token`), 'utf8').trim();
  const { port, pid } = await startProxy(api, token, round);
  await until(async () => (await fetch(`http://127.0.0.1:${port}/`)).ok);
  await load(port, 3, join(folder, `warm-${round}`));
  const log = join(folder, `log-${round}`);
  const running = load(port, quietSeconds + measuredSeconds, log);
  await Bun.sleep(quietSeconds * 1000);
  const changedUs = Date.now() * 1000;
  save(
    resources,
    'more.yaml',
    Array.from({ length: services }, (_, index) => serviceYaml(index)).join('---\n'),
  );
  await running;
  process.kill(pid);
  process.kill(control.pid);
  const lines = readFileSync(log, 'utf8').trim().split('\n');
  const requests = lines.map((line) => {
    const [startedUs = 0, , tookUs = 0] = line.split('\t').map(Number);
    return { isBefore: startedUs < changedUs, tookMs: tookUs / 1000 };
  });
  return [true, false].map((isBefore) => {
    const times = requests.filter((one) => one.isBefore === isBefore).map((one) => one.tookMs);
    times.sort((a, b) => a - b);
    const at = (share: number): string =>
      (times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0).toFixed(1);
    return [`${round}, ${isBefore ? 'before' : 'after'}`, String(times.length), at(0.99), at(0.999), at(1)];
  });
}

async function startProxy(
  api: string,
  token: string,
  round: string,
): Promise<{ readonly port: number; readonly pid: number }> {
  const adminPort = await freePort();
  const reply = await fetch(`http://${api}/sluice/v1/registrations`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      name: 'client',
      namespace: 'default',
      serviceAccount: 'default',
      labels: { app: 'client' },
      address: '127.0.0.1',
      interceptionMode: 'NONE',
      ports: [],
      outboundPortRange: [firstPort, firstPort + services + 50],
      adminPort,
      healthPort: await freePort(),
      version: '0.1.0',
      ttlMs: 60_000,
      capabilities: ['sluice.dev/method-aware-retry', 'sluice.dev/vhds'],
    }),
  });
  const registered = (await reply.json()) as {
    readonly instance: string;
    readonly token: string;
    readonly outbound: readonly { readonly service: string; readonly localPort: number }[];
  };
  const bootstrap = await fetch(`http://${api}/sluice/v1/bootstrap?instance=${registered.instance}`, {
    headers: { authorization: `Bearer ${registered.token}` },
  });
  const file = join(folder, `client-${round}.json`);
  writeFileSync(file, await bootstrap.text());
  const { pid } = spawn(
    ['taskset', '-c', '1', ...(await proxyCommand(console.warn)), '-c', file, '-l', 'error'],
    proxyEnvironment(process.env),
  );
  const port = registered.outbound.find((binding) => binding.service === 'first')?.localPort;
  if (port === undefined) throw new Error('no port was allotted');
  return { port, pid };
}

async function load(port: number, seconds: number, log: string): Promise<void> {
  await Bun.spawn(
    [
      'taskset',
      '-c',
      '0',
      'h2load',
      '--h1',
      '-c4',
      '--rps=250',
      `-D${seconds}`,
      `--log-file=${log}`,
      `http://127.0.0.1:${port}/`,
    ],
    { stdout: 'ignore' },
  ).exited;
}

/** Saved as editors save: a new file in the old one's place. */
function save(resources: string, name: string, text: string): void {
  const path = join(resources, name);
  Bun.spawnSync(['mkdir', '-p', resources]);
  writeFileSync(`${path}.new`, text);
  renameSync(`${path}.new`, path);
}

function serviceYaml(index: number): string {
  return `apiVersion: v1
kind: Service
metadata: {name: service-${index}}
spec: {selector: {app: service-${index}}, ports: [{name: http, port: 8080}]}
`;
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    if (await isTrue().catch(() => false)) return;
    await Bun.sleep(100);
  }
  throw new Error('waited a minute in vain');
}
