/**
 * Two proxies with mutual TLS between them, for minutes, among every kind of bad company: connections reset at
 * random points, garbage, half a handshake, half a request, readers that stall, HTTP/2 streams opened and reset,
 * upstreams that break off, and new certificates for both every 20 s. Beside it wrk and h2load behave.
 *
 *   npm run bench -- soak [MINUTES]
 *
 * Fails when a proxy ends or loses a data loop, a well-behaved request goes wrong, or memory or descriptors keep growing.
 */
import { certificatePem } from '@sluice/identity';
import { TestAuthority } from '@sluice/testkit';
import { mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, memoryMb, spawn, startOrigin, stopAll } from './peers.ts';
import { startChaos } from './soak-chaos.ts';
import { clientSidecar, secretsFile, serverSidecar } from './soak-config.ts';
import { printTable } from './table.ts';

const minutes = Number(process.argv[2] ?? 10);
const rotationMs = 20_000;
const sampleMs = 10_000;
const folder = mkdtempSync(join(tmpdir(), 'sluice-soak-'));
const proxyMain = join(import.meta.dir, '../packages/proxy/src/main.ts');

interface Sample {
  readonly rss: number;
  readonly descriptors: number;
}

let isGood = false;
try {
  isGood = await soak();
} finally {
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
}
// Mischief that is still under way would keep the process.
process.exit(isGood ? 0 : 1);

async function soak(): Promise<boolean> {
  const authority = new TestAuthority();
  rotate(authority);
  const origin = await startOrigin();
  const ports = { client: await freePort(), server: await freePort(), tls: await freePort() };
  const breaking = startBreakingOrigin();
  const server = startProxy('server', serverSidecar({ folder, port: ports.tls, origin, breaking }));
  const client = startProxy('client', clientSidecar({ folder, port: ports.client, server: ports.tls }));
  const proxies = [client, server];
  await until(async () => (await fetch(`http://127.0.0.1:${ports.client}/`)).ok);
  const rotation = setInterval(() => rotate(authority), rotationMs);
  const chaos = startChaos({ plainPort: ports.client, tlsPort: ports.tls });
  const samples: Sample[][] = [[], []];
  const watching = setInterval(() => {
    for (const [i, proxy] of proxies.entries()) samples[i]?.push(sample(proxy.pid));
  }, sampleMs);
  const failures: string[] = [];
  const untilMs = Date.now() + minutes * 60_000;
  let requests = 0;
  while (Date.now() < untilMs && proxies.every((proxy) => proxy.exitCode === null)) {
    const rounds = await Promise.all([wrk(ports.client, '/'), h2load(ports.client, '/h2/')]);
    for (const round of rounds) {
      requests += round.requests;
      if (round.failure !== '') failures.push(round.failure);
    }
  }
  clearInterval(rotation);
  clearInterval(watching);
  const counts = chaos.stop();
  printTable(
    `${minutes} minutes, new certificates every ${rotationMs / 1000} s`,
    [
      'process',
      'RSS first third, MB',
      'RSS last third, MB',
      'descriptors, max first third',
      'last third',
      'ended',
    ],
    proxies.map((proxy, i) =>
      describe(i === 0 ? 'client sidecar' : 'server sidecar', samples[i] ?? [], proxy.exitCode),
    ),
  );
  printTable(
    'What happened',
    ['what', 'times'],
    [
      ['well-behaved requests', String(requests)],
      ['of them gone wrong', String(failures.length)],
      ...Object.entries(counts).map(([what, times]) => [what, String(times)]),
    ],
  );
  for (const failure of failures.slice(0, 10)) console.error(failure);
  const logs = proxies.map((_, i) =>
    readFileSync(join(folder, i === 0 ? 'client.log' : 'server.log'), 'utf8'),
  );
  const alarms = logs.flatMap((log) =>
    log.split('\n').filter((line) => /\bcritical\b|unexpected error/.test(line)),
  );
  for (const alarm of alarms.slice(0, 10)) console.error(alarm.slice(0, 300));
  const areFlat = samples.every((each) => isFlat(each));
  if (!areFlat) console.error('memory or descriptors have grown');
  return (
    failures.length === 0 && alarms.length === 0 && areFlat && proxies.every((one) => one.exitCode === null)
  );
}

function startProxy(name: string, bootstrap: object): Bun.Subprocess {
  const config = join(folder, `${name}.json`);
  writeFileSync(config, JSON.stringify(bootstrap));
  const log = join(folder, `${name}.log`);
  return spawn([process.execPath, proxyMain, '-c', config, '-l', 'warning', '--log-path', log]);
}

/** New leaves for both ends, put in place as a secret store does: whole, by rename. */
function rotate(authority: TestAuthority): void {
  for (const account of ['client', 'server']) {
    const leaf = authority.leaf({ account });
    const path = join(folder, `${account}-sds.json`);
    writeFileSync(`${path}.new`, secretsFile(leaf, certificatePem(authority.root.certificate)));
    renameSync(`${path}.new`, path);
  }
}

/** Answers half, and resets. */
function startBreakingOrigin(): number {
  const listener = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data(socket) {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf');
        setTimeout(() => socket.terminate(), Math.random() * 20);
      },
    },
  });
  return listener.port;
}

interface Round {
  readonly requests: number;
  /** Empty when all went well. */
  readonly failure: string;
}

async function wrk(port: number, path: string): Promise<Round> {
  const child = Bun.spawn(['wrk', '-t1', '-c32', '-d5s', `http://127.0.0.1:${port}${path}`], {
    stdout: 'pipe',
  });
  const text = await new Response(child.stdout).text();
  const bad = /Non-2xx.*|Socket errors.*/.exec(text)?.[0] ?? '';
  return {
    requests: Number(/(\d+) requests in/.exec(text)?.[1] ?? 0),
    failure: bad === '' ? '' : `wrk: ${bad}`,
  };
}

async function h2load(port: number, path: string): Promise<Round> {
  const child = Bun.spawn(['h2load', '-c4', '-m8', '-n20000', `http://127.0.0.1:${port}${path}`], {
    stdout: 'pipe',
  });
  const text = await new Response(child.stdout).text();
  const summary = /requests: .*/.exec(text)?.[0] ?? 'no summary';
  const isGood = / 20000 succeeded, 0 failed, 0 errored, 0 timeout/.test(summary);
  const is2xx = /status codes: 20000 2xx/.test(text);
  return { requests: 20_000, failure: isGood && is2xx ? '' : `h2load: ${summary}` };
}

function sample(pid: number): Sample {
  return { rss: memoryMb([pid]).rss, descriptors: readdirSync(`/proc/${pid}/fd`).length };
}

function thirds(samples: readonly Sample[]): [readonly Sample[], readonly Sample[]] {
  const size = Math.max(1, Math.floor(samples.length / 3));
  return [samples.slice(0, size), samples.slice(-size)];
}

function describe(name: string, samples: readonly Sample[], exitCode: number | null): string[] {
  const [first, last] = thirds(samples);
  return [
    name,
    mean(first.map((one) => one.rss)).toFixed(0),
    mean(last.map((one) => one.rss)).toFixed(0),
    String(Math.max(0, ...first.map((one) => one.descriptors))),
    String(Math.max(0, ...last.map((one) => one.descriptors))),
    exitCode === null ? 'no' : `with ${exitCode}`,
  ];
}

/** Garbage collection moves the figures by some megabytes, stalled readers by some hundred descriptors. */
function isFlat(samples: readonly Sample[]): boolean {
  const [first, last] = thirds(samples);
  const rss = (of: readonly Sample[]): number => mean(of.map((one) => one.rss));
  const descriptors = (of: readonly Sample[]): number => Math.max(0, ...of.map((one) => one.descriptors));
  return rss(last) < rss(first) * 1.25 + 10 && descriptors(last) < descriptors(first) * 1.5 + 100;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

async function until(isTrue: () => Promise<boolean>): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (await isTrue().catch(() => false)) return;
    await Bun.sleep(100);
  }
  throw new Error('waited 20 s in vain');
}
