/**
 * A proxy for gRPC in front of real servers, from a bootstrap file of our own: one listener that takes HTTP/1
 * and HTTP/2, one cluster that speaks HTTP/2. Servers and clients are programs in `grpc/`, run by Node or
 * Python.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, makeTempDir, spawnBun, spawnCommand, waitFor, type TestProcess } from '@sluice/testkit';
import { cluster, fileAccessLog, httpManager, routerFilter, socket, types } from '../envoy-config.ts';
import { admin, proxyMain, type ProxyUnderTest } from './proxy-fixture.ts';

/** For what programs print on a busy machine. */
export const patience = { timeoutMs: 30_000 };

const programs = join(import.meta.dir, 'grpc');

export interface GrpcFixtureOptions {
  /** Laid over the HTTP connection manager. */
  readonly manager?: object;
  /** Laid over the cluster. */
  readonly cluster?: object;
  /** Laid over the route's action. */
  readonly route?: object;
  /** Laid over the HttpProtocolOptions of the cluster. */
  readonly protocol?: object;
  /** Laid over its HTTP/2 options. */
  readonly http2?: object;
  /** HTTP filters before the router. */
  readonly filters?: readonly object[];
}

export async function startGrpcProxy(
  ports: readonly number[],
  options: GrpcFixtureOptions = {},
): Promise<ProxyUnderTest> {
  const folder = makeTempDir();
  const [port, adminPort] = [freePort(), freePort()];
  const accessLog = join(folder, 'access.log');
  const config = join(folder, 'bootstrap.json');
  writeFileSync(config, JSON.stringify(grpcBootstrap({ port, adminPort, accessLog }, ports, options)));
  const process = spawnBun(proxyMain, ['-c', config, '--allow-access-log-path', accessLog], {
    name: 'the proxy',
    graceMs: 15_000,
  });
  const proxy = { process, port, adminPort, accessLog, folder };
  await waitFor(async () => (await admin(proxy, '/ready')).status === 200, { what: 'the proxy to be ready' });
  return proxy;
}

interface Addresses {
  readonly port: number;
  readonly adminPort: number;
  readonly accessLog: string;
}

export function grpcBootstrap(
  { port, adminPort, accessLog }: Addresses,
  ports: readonly number[],
  options: GrpcFixtureOptions,
): object {
  const manager = httpManager({
    stat_prefix: 'grpc',
    stream_idle_timeout: '0s',
    route_config: {
      name: 'grpc',
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [
            {
              match: { prefix: '/' },
              route: { cluster: 'echo', timeout: '0s', max_grpc_timeout: '0s', ...options.route },
            },
          ],
        },
      ],
    },
    http_filters: [...(options.filters ?? []), routerFilter],
    access_log: [
      fileAccessLog(
        accessLog,
        '%PROTOCOL% %REQ(:PATH)% %RESPONSE_CODE% %GRPC_STATUS% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%',
      ),
    ],
    ...options.manager,
  });
  return {
    node: { id: 'grpc', cluster: 'grpc' },
    admin: { address: socket(adminPort) },
    static_resources: {
      listeners: [{ name: 'grpc', address: socket(port), filter_chains: [{ filters: [manager] }] }],
      clusters: [clusterOf(ports, options)],
    },
  };
}

function clusterOf(ports: readonly number[], options: GrpcFixtureOptions): object {
  return cluster('echo', ports, {
    connect_timeout: '2s',
    circuit_breakers: { thresholds: [{ max_requests: 5000, max_pending_requests: 5000 }] },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': `${types}.upstreams.http.v3.HttpProtocolOptions`,
        explicit_http_config: { http2_protocol_options: { ...options.http2 } },
        ...options.protocol,
      },
    },
    ...options.cluster,
  });
}

export interface GrpcServer {
  readonly process: TestProcess;
  readonly port: number;
}

export async function startGrpcServer(
  name: string,
  options: { readonly channel?: object; readonly port?: number; readonly language?: 'node' | 'python' } = {},
): Promise<GrpcServer> {
  const { channel = {}, port = 0, language = 'node' } = options;
  const command =
    language === 'node' ? ['node', join(programs, 'server.mjs')] : ['python3', join(programs, 'server.py')];
  const process = spawnCommand([...command, name, `${port}`], {
    name: `server ${name}`,
    env: { GRPC_SERVER_OPTIONS: JSON.stringify(channel) },
  });
  const line = await process.waitForLine(/^listening (\d+)$/, patience);
  return { process, port: Number(line.split(' ')[1]) };
}

export function startGrpcClient(
  port: number,
  scenario: string,
  settings: object = {},
  language: 'node' | 'python' = 'node',
): TestProcess {
  const program = language === 'node' ? ['node', 'client.mjs'] : ['python3', 'client.py'];
  return spawnCommand(
    [program[0]!, join(programs, program[1]!), `${port}`, scenario, JSON.stringify(settings)],
    {
      name: `client ${scenario}`,
    },
  );
}

/** The outcome that the client prints when its scenario is over. */
export async function outcomeOf(client: TestProcess, timeoutMs = 30_000): Promise<Record<string, unknown>> {
  const line = await client.waitForLine(/^\{/, { timeoutMs });
  return JSON.parse(line) as Record<string, unknown>;
}

export function runGrpcClient(
  port: number,
  scenario: string,
  settings: object = {},
  language: 'node' | 'python' = 'node',
): Promise<Record<string, unknown>> {
  return outcomeOf(startGrpcClient(port, scenario, settings, language));
}
