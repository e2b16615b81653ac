/**
 * TCP proxying beside HAProxy in TCP mode and Envoy, in one run: the CPU of small exchanges on kept
 * connections, and of bulk. Proxies run on core 1, origin and load on core 0.
 */
import { chmodSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { measureHop } from './load.ts';
import { cpuMicros, freePort, memoryMb, spawn, startOrigin, stopAll, type Hop } from './peers.ts';
import { printTable } from './table.ts';

const seconds = Number(process.argv[2] ?? 4);
const connections = 32;
const bulkBytes = 1024 * 1024 * 1024;
const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-tcp-'));
// nginx's worker is another user.
chmodSync(folder, 0o755);
const proxyMain = join(import.meta.dir, '../packages/proxy/src/main.ts');

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

/** Until something accepts: what is behind a TCP proxy need not speak HTTP. */
async function accepts(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const isOpen = await Bun.connect({ hostname: '127.0.0.1', port, socket: { data() {} } }).then(
      (socket) => (socket.end(), true),
      () => false,
    );
    if (isOpen) return;
    await Bun.sleep(50);
  }
  throw new Error(`nothing listens on port ${port}`);
}

/** One large file, sparse: zeros from the page cache. */
async function startBulkOrigin(): Promise<number> {
  const port = await freePort();
  truncateSync(write('bulk', ''), bulkBytes);
  const config = write(
    'bulk.conf',
    `daemon off; worker_processes 1; error_log /dev/null; pid ${folder}/bulk.pid; events { worker_connections 100; }
http { access_log off; sendfile on; server { listen ${port}; root ${folder}; } }`,
  );
  spawn(['taskset', '-c', '0', 'nginx', '-p', folder, '-c', config]);
  await accepts(port);
  return port;
}

async function startHaproxy(originPort: number): Promise<Hop> {
  const port = await freePort();
  const config = write(
    `haproxy-${originPort}.cfg`,
    `global
  nbthread 1
defaults
  mode tcp
  timeout client 60s
  timeout server 60s
  timeout connect 5s
listen l
  bind 127.0.0.1:${port}
  server o 127.0.0.1:${originPort}
`,
  );
  const child = spawn(['taskset', '-c', '1', 'haproxy', '-db', '-f', config]);
  await accepts(port);
  return { name: 'HAProxy, TCP mode', port, adminPort: 0, pids: [child.pid] };
}

function bootstrap(port: number, adminPort: number, originPort: number): string {
  const socket = (port_value: number): object => ({
    socket_address: { address: '127.0.0.1', port_value },
  });
  const proxy = {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
    stat_prefix: 'bench',
    cluster: 'origin',
  };
  const endpoints = [{ lb_endpoints: [{ endpoint: { address: socket(originPort) } }] }];
  return JSON.stringify({
    admin: { address: socket(adminPort) },
    static_resources: {
      listeners: [
        {
          name: 'bench',
          address: socket(port),
          filter_chains: [{ filters: [{ name: 'envoy.filters.network.tcp_proxy', typed_config: proxy }] }],
        },
      ],
      clusters: [{ name: 'origin', type: 'STATIC', load_assignment: { cluster_name: 'origin', endpoints } }],
    },
  });
}

async function startEnvoy(originPort: number): Promise<Hop> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const config = write(`envoy-${originPort}.json`, bootstrap(port, adminPort, originPort));
  const launch = `import os,envoy; p=os.path.join(os.path.dirname(envoy.__file__),'_bin','envoy'); os.execv(p,['envoy','-c',${JSON.stringify(config)},'--concurrency','1','--use-dynamic-base-id','-l','error'])`;
  const child = spawn(['taskset', '-c', '1', 'python3', '-c', launch]);
  await accepts(port);
  return { name: 'Envoy', port, adminPort, pids: [child.pid] };
}

async function startSluice(originPort: number): Promise<Hop> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const config = write(`sluice-${originPort}.json`, bootstrap(port, adminPort, originPort));
  const child = spawn(['taskset', '-c', '1', process.execPath, proxyMain, '-c', config, '-l', 'error']);
  await accepts(port);
  return { name: 'Sluice', port, adminPort, pids: [child.pid] };
}

interface Bulk {
  readonly name: string;
  readonly cpuSeconds: number;
  readonly seconds: number;
  readonly peakMb: number;
}

async function measureBulk(hop: Hop): Promise<Bulk> {
  const before = cpuMicros(hop.pids);
  const startedMs = performance.now();
  const child = Bun.spawn(
    ['taskset', '-c', '0', 'curl', '-sf', '-o', '/dev/null', `http://127.0.0.1:${hop.port}/bulk`],
    { stdout: 'ignore' },
  );
  let peakMb = 0;
  const watch = setInterval(() => (peakMb = Math.max(peakMb, memoryMb(hop.pids).rss)), 20);
  const status = await child.exited;
  clearInterval(watch);
  if (status !== 0) throw new Error(`${hop.name}: the transfer failed with ${status}`);
  return {
    name: hop.name,
    cpuSeconds: (cpuMicros(hop.pids) - before) / 1e6,
    seconds: (performance.now() - startedMs) / 1000,
    peakMb,
  };
}

try {
  const starters = [startHaproxy, startEnvoy, startSluice];
  const origin = await startOrigin();
  const small = [];
  for (const start of starters) small.push(await measureHop(await start(origin), seconds, connections));
  const haproxy = small[0]?.micros ?? Number.NaN;
  const envoy = small[1]?.micros ?? Number.NaN;
  printTable(
    'One TCP hop, 1 KB exchanges on 32 kept connections',
    ['proxy', 'CPU µs / exchange', '× HAProxy', '× Envoy', 'exchanges / s', 'RSS MB'],
    small.map(({ name, micros, rps, rss }) => [
      name,
      micros.toFixed(1),
      (micros / haproxy).toFixed(2),
      (micros / envoy).toFixed(2),
      String(Math.round(rps)),
      rss.toFixed(0),
    ]),
  );
  const bulkOrigin = await startBulkOrigin();
  const bulk: Bulk[] = [];
  for (const start of starters) bulk.push(await measureBulk(await start(bulkOrigin)));
  const [first] = bulk;
  printTable(
    'One TCP hop, 1 GB in one connection',
    ['proxy', 'GB / s', '× HAProxy', 'CPU s', 'RSS MB, peak'],
    bulk.map((row) => [
      row.name,
      (1 / row.seconds).toFixed(2),
      ((first?.seconds ?? Number.NaN) / row.seconds).toFixed(2),
      row.cpuSeconds.toFixed(2),
      row.peakMb.toFixed(0),
    ]),
  );
} finally {
  await stopAll();
  rmSync(folder, { recursive: true, force: true });
}
