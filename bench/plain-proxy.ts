/**
 * CPU per request of a plain HTTP/1.1 hop, ours beside HAProxy and nginx in the same run.
 *
 * Origin (nginx, 1 KB) and wrk on core 0, each proxy pinned to core 1, one after the other; CPU from
 * /proc/PID/stat over the measured seconds. Prints ratios: bare times depend on the machine and the hour.
 * Usage: bun bench/plain-proxy.ts [seconds per proxy] [connections]
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Subprocess } from 'bun';

const seconds = Number(process.argv[2] ?? 4);
const connections = Number(process.argv[3] ?? 32);
const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
const running: Subprocess[] = [];
/** USER_HZ of Linux. */
const ticksPerSecond = 100;

interface Result {
  readonly name: string;
  readonly microsPerRequest: number;
  readonly requestsPerSecond: number;
  readonly rssMb: number;
}

try {
  await main();
} finally {
  for (const process of running) process.kill();
  await Promise.all(running.map((process) => process.exited));
  rmSync(folder, { recursive: true });
}

async function main(): Promise<void> {
  const originPort = await startNginx(
    'origin',
    0,
    (port) => `server { listen ${port} reuseport; location / { return 200 '${'x'.repeat(1024)}'; } }`,
    1,
  );
  const results: Result[] = [];
  results.push(await measure('haproxy', await startHaproxy(originPort)));
  results.push(
    await measure('nginx', {
      port: await startNginx('proxy', 1, (port) => nginxProxy(port, originPort), 1),
      pids: workersOf(running.at(-1)!.pid),
    }),
  );
  results.push(await measure('sluice', await startSluice(originPort)));
  const base = results[0]!.microsPerRequest;
  for (const { name, microsPerRequest, requestsPerSecond, rssMb } of results) {
    console.log(
      `${name.padEnd(8)} ${microsPerRequest.toFixed(1).padStart(6)} µs/request  ${(microsPerRequest / base).toFixed(2)} × HAProxy  ${Math.round(requestsPerSecond)} rps  ${rssMb.toFixed(0)} MB`,
    );
  }
}

async function startNginx(
  name: string,
  core: number,
  server: (port: number) => string,
  workers: number,
): Promise<number> {
  const port = await freePort();
  const config = join(folder, `${name}.conf`);
  writeFileSync(
    config,
    `daemon off; worker_processes ${workers}; error_log /dev/null; pid ${folder}/${name}.pid;
events { worker_connections 1024; }
http { access_log off; keepalive_requests 100000000; keepalive_timeout 3600; ${server(port)} }`,
  );
  spawn(['taskset', '-c', String(core), 'nginx', '-p', folder, '-c', config]);
  await answers(port);
  return port;
}

function nginxProxy(port: number, originPort: number): string {
  return `upstream o { server 127.0.0.1:${originPort}; keepalive 256; keepalive_requests 100000000; }
server { listen ${port}; location / { proxy_pass http://o; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
proxy_set_header X-Request-Id $request_id; proxy_set_header X-Forwarded-Proto http; } }`;
}

async function startHaproxy(originPort: number): Promise<{ port: number; pids: number[] }> {
  const port = await freePort();
  const config = join(folder, 'haproxy.cfg');
  writeFileSync(
    config,
    `global
  nbthread 1
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  http-reuse always
frontend f
  bind 127.0.0.1:${port}
  unique-id-format %{+X}o%ci:%cp_%fi:%fp_%Ts_%rt:%pid
  unique-id-header X-Request-Id
  http-request set-header X-Forwarded-Proto http
  default_backend b
backend b
  server o 127.0.0.1:${originPort}
`,
  );
  const process = spawn(['taskset', '-c', '1', 'haproxy', '-db', '-f', config]);
  await answers(port);
  return { port, pids: [process.pid] };
}

async function startSluice(originPort: number): Promise<{ port: number; pids: number[] }> {
  const profile = process.env['SLUICE_BENCH_PROFILE'];
  const flags = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profile}`];
  const child = Bun.spawn(
    [
      'taskset',
      '-c',
      '1',
      process.execPath,
      ...flags,
      join(import.meta.dir, 'plain-proxy-target.ts'),
      String(originPort),
    ],
    {
      stdout: 'pipe',
      stderr: 'inherit',
    },
  );
  running.push(child);
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const port = Number(new TextDecoder().decode(value).trim());
  await answers(port);
  return { port, pids: [child.pid] };
}

function spawn(command: string[]): Subprocess {
  const child = Bun.spawn(command, { stdout: 'ignore', stderr: 'inherit' });
  running.push(child);
  return child;
}

async function measure(name: string, proxy: { port: number; pids: number[] }): Promise<Result> {
  await load(proxy.port, 1);
  const before = cpuMicros(proxy.pids);
  const requests = await load(proxy.port, seconds);
  const micros = cpuMicros(proxy.pids) - before;
  return {
    name,
    microsPerRequest: micros / requests,
    requestsPerSecond: requests / seconds,
    rssMb: rssMb(proxy.pids),
  };
}

/** Requests that were answered. */
async function load(port: number, forSeconds: number): Promise<number> {
  const child = Bun.spawn(
    [
      'taskset',
      '-c',
      '0',
      'wrk',
      '-t1',
      `-c${connections}`,
      `-d${forSeconds}s`,
      `http://127.0.0.1:${port}/bench`,
    ],
    { stdout: 'pipe' },
  );
  const text = await new Response(child.stdout).text();
  if (/Non-2xx|Socket errors/.test(text)) console.error(text);
  return Number(/(\d+) requests in/.exec(text)?.[1] ?? Number.NaN);
}

function cpuMicros(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
    return sum + ((Number(fields[11]) + Number(fields[12])) * 1e6) / ticksPerSecond;
  }, 0);
}

function rssMb(pids: readonly number[]): number {
  return pids.reduce(
    (sum, pid) =>
      sum + Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) / 1024,
    0,
  );
}

/** nginx's worker does the work, its master none. */
function workersOf(master: number): number[] {
  return readFileSync(`/proc/${master}/task/${master}/children`, 'latin1').trim().split(' ').map(Number);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const { port } = server.address() as { port: number };
  await new Promise((done) => server.close(done));
  return port;
}

async function answers(port: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    try {
      await (await fetch(`http://127.0.0.1:${port}/`)).arrayBuffer();
      return;
    } catch {
      // Not listening yet.
      await Bun.sleep(25);
    }
  }
  throw new Error(`nothing answers on port ${port}`);
}
