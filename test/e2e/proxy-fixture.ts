/**
 * A proxy process from a bootstrap file of our own, in front of whatever the test started: one listener, one
 * virtual host per upstream (`NAME.test`), access log to a file, admin on loopback.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { freePort, makeTempDir, spawnBun, spawnCommand, waitFor, type TestProcess } from '@sluice/testkit';
import { cluster, fileAccessLog, httpManager, socket } from '../envoy-config.ts';

export const proxyMain = join(import.meta.dir, '../../packages/proxy/src/main.ts');

export interface ProxyUnderTest {
  readonly process: TestProcess;
  readonly port: number;
  readonly adminPort: number;
  readonly accessLog: string;
  readonly folder: string;
}

export interface FixtureOptions {
  readonly manager?: object;
  readonly flags?: readonly string[];
}

/** Upstream name → port. */
export type Upstreams = Readonly<Record<string, number>>;

export async function startProxy(
  upstreams: Upstreams,
  options: FixtureOptions = {},
): Promise<ProxyUnderTest> {
  const folder = makeTempDir();
  const [port, adminPort] = [freePort(), freePort()];
  const accessLog = join(folder, 'access.log');
  const config = join(folder, 'bootstrap.json');
  writeFileSync(
    config,
    JSON.stringify(bootstrapOf({ port, adminPort, accessLog }, upstreams, options.manager)),
  );
  const flags = ['--allow-access-log-path', accessLog, ...(options.flags ?? [])];
  const process = spawnBun(proxyMain, ['-c', config, ...flags], { name: 'the proxy', graceMs: 15_000 });
  const proxy = { process, port, adminPort, accessLog, folder };
  await waitFor(async () => (await admin(proxy, '/ready')).status === 200, { what: 'the proxy to be ready' });
  return proxy;
}

export function admin(proxy: ProxyUnderTest, path: string, method = 'GET'): Promise<Response> {
  return fetch(`http://127.0.0.1:${proxy.adminPort}${path}`, { method });
}

/** Resident set of a process, MiB. */
export function residentMb(pid: number): number {
  return (
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? Number.NaN) / 1024
  );
}

export interface Addresses {
  readonly port: number;
  readonly adminPort: number;
  readonly accessLog: string;
}

export function bootstrapOf(
  { port, adminPort, accessLog }: Addresses,
  upstreams: Upstreams,
  manager: object = {},
): object {
  const names = Object.keys(upstreams);
  const filter = httpManager({
    stat_prefix: 'e2e',
    upgrade_configs: [{ upgrade_type: 'websocket' }],
    http_protocol_options: { accept_http_10: true, default_host_for_http_10: 'raw.test' },
    route_config: {
      name: 'e2e',
      virtual_hosts: names.map((name) => ({
        name,
        domains: [`${name}.test`],
        routes: [{ name, match: { prefix: '/' }, route: { cluster: name, timeout: '0s' } }],
      })),
    },
    access_log: [fileAccessLog(accessLog, '%RESPONSE_CODE% %RESPONSE_FLAGS% %REQ(:PATH)%')],
    ...manager,
  });
  return {
    node: { id: 'e2e', cluster: 'e2e' },
    admin: { address: socket(adminPort) },
    static_resources: {
      listeners: [{ name: 'e2e', address: socket(port), filter_chains: [{ filters: [filter] }] }],
      clusters: names.map((name) => cluster(name, [upstreams[name] ?? 0])),
    },
  };
}

/** Where a program is, or null with the reason for skipping printed. */
export function findProgram(name: string, ...places: readonly string[]): string | null {
  const found =
    Bun.which(name) ?? places.map((place) => join(homedir(), place, name)).find(existsSync) ?? null;
  if (found === null) console.warn(`SKIPPED: ${name} is not on this machine`);
  return found;
}

export async function startHttpbin(binary: string): Promise<number> {
  const port = freePort();
  spawnCommand([binary, '-host', '127.0.0.1', '-port', String(port), '-max-body-size', String(2 ** 30)]);
  await answers(port, '/get');
  return port;
}

/** Takes uploads of any size, and serves the files of `folder`. */
export async function startNginx(binary: string, folder: string): Promise<number> {
  const port = freePort();
  const config = join(folder, 'nginx.conf');
  mkdirSync(join(folder, 'put'), { recursive: true });
  writeFileSync(
    config,
    `daemon off; worker_processes 1; error_log ${folder}/nginx.log; pid ${folder}/nginx.pid; user root;
events { worker_connections 256; }
http {
  access_log off; client_max_body_size 0; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
  server { listen 127.0.0.1:${port}; root ${folder}; location /put/ { dav_methods PUT; } }
}`,
  );
  spawnCommand([binary, '-p', folder, '-c', config]);
  await answers(port, '/nginx.conf');
  return port;
}

export async function startPython(binary: string, folder: string): Promise<number> {
  const port = freePort();
  spawnCommand([binary, '-m', 'http.server', '--bind', '127.0.0.1', '--directory', folder, String(port)]);
  await answers(port, '/');
  return port;
}

async function answers(port: number, path: string): Promise<void> {
  await waitFor(async () => (await fetch(`http://127.0.0.1:${port}${path}`)).ok, {
    what: `port ${port} to answer`,
  });
}
