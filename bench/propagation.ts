/**
 * From a saved file to real proxies: a control plane with 100 services, N proxies (default 100), one VirtualService
 * changed again and again. A change is live at a proxy when a request through its own listener gets the new answer.
 *
 * Asking costs the processor that the change needs, so each proxy has one connection and is asked after 20, 40, 60 …
 * 120 ms, then more and more rarely: a figure is too high by up to the pause before it. The second table says what one
 * change costs each process.
 */
import { mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, spawn, stopAll } from './peers.ts';
import { printTable } from './table.ts';

const proxies = Number(process.argv[2] ?? 100);
const changes = Number(process.argv[3] ?? 15);
const services = 100;
/** Pauses between questions, ms; 320 from then on. */
const pausesMs = [20, 20, 20, 20, 20, 20, 40, 80, 160];
const folder = mkdtempSync(join(tmpdir(), 'sluice-propagation-'));
const packages = join(import.meta.dir, '../packages');
/** Below the system's ephemeral ports. */
const firstPort = 12_000;
const portsEach = 130;
const request = Buffer.from('GET / HTTP/1.1\r\nHost: service-0:8080\r\n\r\n');

interface Binding {
  readonly service: string;
  readonly localPort: number;
}

interface Client {
  readonly pid: number;
  readonly port: number;
}

/** One kept connection; answers are small enough to come in one piece. */
class Probe {
  readonly #socket: Socket;
  #onAnswer: ((text: string) => void) | null = null;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (data: Buffer) => this.#onAnswer?.(data.toString('latin1')));
  }

  static open(port: number): Promise<Probe> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => resolve(new Probe(socket)));
      socket.once('error', reject);
    });
  }

  ask(): Promise<string> {
    return new Promise((resolve) => {
      this.#onAnswer = resolve;
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
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
  const control = spawn([
    process.execPath,
    join(packages, 'control/src/main.ts'),
    '--state-dir',
    join(folder, 'state'),
    '--resources',
    folder,
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
  const clients: Client[] = [];
  for (let index = 0; index < proxies; index++) clients.push(await startProxy(api, token, index));
  const probes: Probe[] = [];
  for (const { port } of clients) {
    await until(async () => (await fetch(`http://127.0.0.1:${port}/`)).ok);
    probes.push(await Probe.open(port));
  }
  await Bun.sleep(2000);
  const times: number[] = [];
  const pids = clients.map(({ pid }) => pid);
  const before = { proxies: cpuMs(pids), control: cpuMs([control.pid]) };
  for (let generation = 1; generation <= changes; generation++) {
    const savedMs = performance.now();
    change(generation);
    times.push(...(await Promise.all(probes.map((probe) => live(probe, generation, savedMs)))));
    await Bun.sleep(300);
  }
  for (const probe of probes) probe.close();
  times.sort((a, b) => a - b);
  const at = (share: number): string =>
    (times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0).toFixed(0);
  printTable(
    `A changed route, ${services} services, ${proxies} real proxies, file saved to answer changed, ms`,
    ['p50', 'p90', 'p99', 'max', 'samples'],
    [[at(0.5), at(0.9), at(0.99), at(1), String(times.length)]],
  );
  printTable(
    'CPU time of one change, its probes and 300 ms of rest included, ms',
    ['each proxy', 'control plane'],
    [
      [
        ((cpuMs(pids) - before.proxies) / proxies / changes).toFixed(2),
        ((cpuMs([control.pid]) - before.control) / changes).toFixed(1),
      ],
    ],
  );
}

async function startProxy(api: string, token: string, index: number): Promise<Client> {
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
  const { pid } = spawn([process.execPath, join(packages, 'proxy/src/main.ts'), '-c', file, '-l', 'error']);
  const port = outbound.find((binding) => binding.service === 'service-0')?.localPort;
  if (port === undefined) throw new Error('no port was allotted');
  return { pid, port };
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

async function live(probe: Probe, generation: number, savedMs: number): Promise<number> {
  for (let asked = 0; ; asked++) {
    await Bun.sleep(pausesMs[asked] ?? 320);
    if ((await probe.ask()).endsWith(`generation ${generation}`)) return performance.now() - savedMs;
  }
}

/** Of all threads; /proc/PID/stat counts in steps of 10 ms, which is more than a change takes. */
function cpuMs(pids: readonly number[]): number {
  let total = 0;
  for (const pid of pids)
    for (const task of readdirSync(`/proc/${pid}/task`))
      total += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'latin1').split(' ')[0]) / 1e6;
  return total;
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 1200; attempt++) {
    if (await isTrue().catch(() => false)) return;
    await Bun.sleep(100);
  }
  throw new Error('waited two minutes in vain');
}
