/**
 * Proxies (ours or Envoy) with TLS on either side, and the certificates for it: messages as a control plane
 * would send them, in a bootstrap file.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  freePort,
  makeTempDir,
  onCleanUp,
  spawnBun,
  spawnCommand,
  TestAuthority,
  waitFor,
  type TestLeaf,
  type TestProcess,
} from '@sluice/testkit';
import { cluster as clusterOf, httpManager, socket, types, type Json } from '../envoy-config.ts';
import { proxyMain } from './proxy-fixture.ts';

export { fileAccessLog as fileLog, socket } from '../envoy-config.ts';

/** Files of one leaf, as OpenSSL and HAProxy want them. */
export interface LeafFiles {
  readonly chain: string;
  readonly key: string;
  /** Both in one file. */
  readonly bundle: string;
}

export class Pki {
  readonly folder = makeTempDir();
  readonly authority = new TestAuthority();

  /** Files of one test are gone with it. */
  get ca(): string {
    return this.file('ca.pem', this.authority.rootPem);
  }

  file(name: string, text: string): string {
    const path = join(this.folder, name);
    mkdirSync(dirname(path), { recursive: true });
    onCleanUp(() => rmSync(this.folder, { recursive: true, force: true }));
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }

  files(name: string, leaf: TestLeaf): LeafFiles {
    return {
      chain: this.file(`${name}.crt`, leaf.chainPem),
      key: this.file(`${name}.key`, leaf.keyPem),
      bundle: this.file(`${name}.pem`, leaf.chainPem + leaf.keyPem),
    };
  }
}

export function certificate(leaf: TestLeaf): object {
  return { certificate_chain: { inline_string: leaf.chainPem }, private_key: { inline_string: leaf.keyPem } };
}

export function validation(pki: Pki, more: object = {}): object {
  return { validation_context: { trusted_ca: { inline_string: pki.authority.rootPem }, ...more } };
}

export function downstreamTls(common: object, more: object = {}): object {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${types}.transport_sockets.tls.v3.DownstreamTlsContext`,
      common_tls_context: common,
      ...more,
    },
  };
}

export function upstreamTls(common: object, more: object = {}): object {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `${types}.transport_sockets.tls.v3.UpstreamTlsContext`,
      common_tls_context: common,
      ...more,
    },
  };
}

export const tlsInspector = {
  name: 'envoy.filters.listener.tls_inspector',
  typed_config: { '@type': `${types}.filters.listener.tls_inspector.v3.TlsInspector` },
};

export function httpChain(cluster: string, more: object = {}, manager: object = {}): object {
  return {
    filters: [
      httpManager({
        stat_prefix: 'e2e',
        route_config: {
          virtual_hosts: [
            { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster } }] },
          ],
        },
        ...manager,
      }),
    ],
    ...more,
  };
}

export function tcpChain(cluster: string, more: object = {}): object {
  return {
    filters: [
      {
        name: 'envoy.filters.network.tcp_proxy',
        typed_config: {
          '@type': `${types}.filters.network.tcp_proxy.v3.TcpProxy`,
          stat_prefix: 'e2e',
          cluster,
        },
      },
    ],
    ...more,
  };
}

export function cluster(name: string, port: number, more: object = {}): Json {
  return clusterOf(name, [port], { connect_timeout: '2s', ...more });
}

export function listener(port: number, chains: readonly object[], more: object = {}): object {
  return { name: `l${port}`, address: socket(port), filter_chains: chains, ...more };
}

export interface RunningProxy {
  readonly process: TestProcess;
  readonly adminPort: number;
  readonly log: string;
  stat(name: string): Promise<number>;
}

export interface ProxySetup {
  readonly listeners: readonly object[];
  readonly clusters: readonly object[];
  readonly secrets?: readonly object[];
  readonly flags?: readonly string[];
}

/** `envoy`: path of Envoy's binary; absent = ours. */
export async function startTlsProxy(setup: ProxySetup, envoy?: string): Promise<RunningProxy> {
  const folder = makeTempDir();
  const adminPort = freePort();
  const log = join(folder, 'access.log');
  const config = join(folder, 'bootstrap.json');
  const { listeners, clusters, secrets = [], flags = [] } = setup;
  const text = JSON.stringify({
    node: { id: 'e2e', cluster: 'e2e' },
    admin: { address: socket(adminPort) },
    static_resources: { listeners, clusters, secrets },
  });
  writeFileSync(config, text.replaceAll('ACCESS_LOG', log));
  const process =
    envoy === undefined
      ? spawnBun(proxyMain, ['-c', config, '--drain-time-s', '2', '--allow-access-log-path', log, ...flags], {
          name: 'the proxy',
        })
      : spawnCommand(
          [
            envoy,
            '-c',
            config,
            '--concurrency',
            '1',
            '--disable-hot-restart',
            '-l',
            'error',
            '--file-flush-interval-msec',
            '50',
          ],
          {
            name: 'envoy',
          },
        );
  const admin = (path: string): Promise<Response> => fetch(`http://127.0.0.1:${adminPort}${path}`);
  await waitFor(async () => (await admin('/ready')).status === 200, { what: 'the proxy to be ready' });
  return {
    process,
    adminPort,
    log,
    async stat(name) {
      const line = (await (await admin('/stats')).text())
        .split('\n')
        .find((candidate) => candidate.startsWith(`${name}: `));
      return line === undefined ? 0 : Number(line.slice(name.length + 2));
    },
  };
}

export interface Ran {
  readonly output: string;
  readonly exitCode: number;
}

/** A command with its input; standard output and error together. */
export async function run(command: readonly string[], input = ''): Promise<Ran> {
  const child = Bun.spawn([...command], { stdin: 'pipe', stdout: 'pipe', stderr: 'pipe' });
  child.stdin.write(input);
  await child.stdin.end();
  const [output, errors, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { output: output + errors, exitCode };
}

/** `openssl s_client` that sends one request and tells how the handshake went, without the tickets' bytes. */
export async function sClient(port: number, args: readonly string[] = []): Promise<Ran> {
  const { output, exitCode } = await run(
    ['timeout', '10', 'openssl', 's_client', '-connect', `127.0.0.1:${port}`, '-ign_eof', ...args],
    'GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n',
  );
  // The answer may begin in the middle of such a line.
  return { output: output.replace(/^ +[0-9a-f]{3}0 - .*?(?=$|HTTP\/1\.1)/gm, ''), exitCode };
}
