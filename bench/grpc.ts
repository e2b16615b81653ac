/**
 * CPU per gRPC call of one hop in the clear beside Envoy, in one run: unary calls with Istio's filters for them
 * (message counts), h2load as the client. The origin answers any call with 128 octets and status 0 in trailers.
 */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { listens } from './h2-peers.ts';
import { cpuMicros, freePort, memoryMb, spawn, stopAll, type Hop } from './peers.ts';
import { printTable } from './table.ts';

const seconds = Number(process.argv[2] ?? 4);
const warmSeconds = 3;
const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-grpc-'));
const proxyMain = join(import.meta.dir, '../packages/proxy/src/main.ts');
const types = 'type.googleapis.com/envoy.extensions';

async function startGrpcOrigin(): Promise<number> {
  const port = await freePort();
  const path = join(folder, 'origin.conf');
  writeFileSync(
    path,
    `daemon off; worker_processes 1; error_log /dev/null; pid ${folder}/origin.pid;
events { worker_connections 20000; }
http {
  access_log off; keepalive_requests 100000000; keepalive_timeout 3600; http2_max_concurrent_streams 1000;
  default_type application/grpc; client_body_temp_path ${folder}/body;
  server {
    listen 127.0.0.1:${port} http2 reuseport;
    location / { add_trailer grpc-status 0; return 200 '${'x'.repeat(128)}'; }
  }
}`,
  );
  spawn(['taskset', '-c', '0', 'nginx', '-p', folder, '-c', path]);
  await listens(port);
  return port;
}

function bootstrapOf(port: number, adminPort: number, originPort: number): object {
  const filter = (name: string, type: string, fields: object = {}): object => ({
    name: `envoy.filters.http.${name}`,
    typed_config: { '@type': `${types}.filters.http.${type}`, ...fields },
  });
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
                max_grpc_timeout: '0s',
                retry_policy: { retry_on: 'connect-failure,refused-stream,unavailable', num_retries: 2 },
              },
            },
          ],
        },
      ],
    },
    http_filters: [
      filter('grpc_stats', 'grpc_stats.v3.FilterConfig', {
        emit_filter_state: true,
        stats_for_all_methods: false,
      }),
      filter('router', 'router.v3.Router'),
    ],
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
      clusters: [
        {
          name: 'origin',
          type: 'STATIC',
          connect_timeout: '5s',
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': `${types}.upstreams.http.v3.HttpProtocolOptions`,
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
          load_assignment: {
            cluster_name: 'origin',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: socket(originPort) } }] }],
          },
        },
      ],
    },
  };
}

function socket(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}

async function startHop(name: 'Envoy' | 'Sluice', originPort: number): Promise<Hop> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const config = join(folder, `${name}.json`);
  writeFileSync(config, JSON.stringify(bootstrapOf(port, adminPort, originPort)));
  const envoy = `import os,envoy; p=os.path.join(os.path.dirname(envoy.__file__),'_bin','envoy'); os.execv(p,['envoy','-c',${JSON.stringify(config)},'--concurrency','1','--use-dynamic-base-id','-l','error'])`;
  const command =
    name === 'Envoy'
      ? ['python3', '-c', envoy]
      : [process.execPath, proxyMain, '-c', config, '--concurrency', '1', '-l', 'error'];
  const child = spawn(['taskset', '-c', '1', ...command]);
  await listens(port);
  return { name, port, adminPort, pids: [child.pid] };
}

const words = (text: string): string[] => text.split(' ');

/** Calls that succeeded. */
async function load(port: number, forSeconds: number): Promise<number> {
  const body = join(folder, 'message');
  writeFileSync(body, Buffer.from([0, 0, 0, 0, 5, 10, 3, 97, 98, 99]));
  const fields = ['content-type: application/grpc', 'te: trailers', 'grpc-timeout: 10S'];
  const child = Bun.spawn(
    [
      ...words('taskset -c 0 h2load -t1 -c8 -m16 -D'),
      String(forSeconds),
      '-d',
      body,
      ...fields.flatMap((field) => ['-H', field]),
      `http://127.0.0.1:${port}/bench.Echo/Unary`,
    ],
    { stdout: 'pipe', stderr: 'inherit' },
  );
  const text = await new Response(child.stdout).text();
  const succeeded = Number(/(\d+) 2xx/.exec(text)?.[1] ?? Number.NaN);
  if (Number(/(\d+) failed/.exec(text)?.[1]) > 0 || Number.isNaN(succeeded)) console.error(text);
  return succeeded;
}

try {
  const origin = await startGrpcOrigin();
  const rows: { name: string; micros: number; rate: number; rss: number }[] = [];
  for (const name of ['Envoy', 'Sluice'] as const) {
    const hop = await startHop(name, origin);
    await load(hop.port, warmSeconds);
    const before = cpuMicros(hop.pids);
    const calls = await load(hop.port, seconds);
    const micros = (cpuMicros(hop.pids) - before) / calls;
    rows.push({ name, micros, rate: calls / seconds, rss: memoryMb(hop.pids).rss });
  }
  const envoy = rows[0]?.micros ?? Number.NaN;
  printTable(
    'One gRPC hop in the clear, unary, 8 connections × 16 streams',
    ['proxy', 'CPU µs / call', '× Envoy', 'calls / s', 'RSS MB'],
    rows.map(({ name, micros, rate, rss }) => [
      name,
      micros.toFixed(1),
      (micros / envoy).toFixed(2),
      String(Math.round(rate)),
      rss.toFixed(0),
    ]),
  );
} finally {
  await stopAll();
}
