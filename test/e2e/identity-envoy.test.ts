/** A real Envoy with certificates of our authority at either end of a hop in mutual TLS with a sidecar of ours. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exportPrivateKey, generateKeySync } from '@sluice/identity';
import { cleanUp, freePort, spawnCommand, startHttpOrigin, waitFor } from '@sluice/testkit';
import { findEnvoy } from '../find-envoy.ts';
import { askForCertificate, makeToken, PairOfSidecars } from './identity-fixture.ts';

const timeoutMs = 60_000;
const envoy = findEnvoy();
const trustDomain = 'spiffe://cluster.local';

afterAll(cleanUp, timeoutMs);

interface Files {
  readonly chain: string;
  readonly key: string;
  readonly root: string;
}

describe.if(envoy !== null && process.platform === 'linux')('with Envoy', () => {
  const pair = new PairOfSidecars([]);
  beforeAll(() => pair.start(), timeoutMs);

  /** Key and certificate of an account, got as any agent gets them. */
  async function filesOf(account: string): Promise<Files> {
    const { control } = pair;
    const key = generateKeySync();
    const { token } = await makeToken(control, 'default', account);
    const { chain } = await askForCertificate(`https://${control.secureAddress}`, { key, bearer: token });
    const at = (name: string): string => join(control.root, `${account}-${name}.pem`);
    writeFileSync(at('chain'), chain.slice(0, -1).join(''));
    writeFileSync(at('key'), exportPrivateKey(key), { mode: 0o600 });
    writeFileSync(at('root'), chain.at(-1) ?? '');
    return { chain: at('chain'), key: at('key'), root: at('root') };
  }

  function startEnvoy(name: string, resources: object): ReturnType<typeof spawnCommand> {
    const path = join(pair.control.root, `envoy-${name}.json`);
    writeFileSync(path, JSON.stringify({ static_resources: resources }));
    const flags = ['--concurrency', '1', '--disable-hot-restart', '--log-level', 'warning'];
    return spawnCommand([envoy ?? '', '-c', path, ...flags]);
  }

  test(
    'as the client: the sidecar takes its certificate, and refuses another account where Envoy expects one',
    async () => {
      const port = freePort();
      const files = await filesOf('visitor');
      startEnvoy('client', clientOf(port, pair.inboundPort, files, `${trustDomain}/ns/default/sa/api`));
      const body = await waitFor(
        async () => {
          const reply = await fetch(`http://127.0.0.1:${port}/`, { headers: { host: 'api' } });
          return reply.status === 200 ? await reply.text() : undefined;
        },
        { what: 'an answer through Envoy', timeoutMs: 15_000 },
      );
      expect(body).toBe('from api');
      const wrongPort = freePort();
      startEnvoy('wrong', clientOf(wrongPort, pair.inboundPort, files, `${trustDomain}/ns/default/sa/vault`));
      const status = await waitFor(
        async () => (await fetch(`http://127.0.0.1:${wrongPort}/`, { headers: { host: 'api' } })).status,
        { what: 'a refusal of Envoy', timeoutMs: 15_000 },
      );
      expect(status).toBe(503);
    },
    timeoutMs,
  );

  test(
    'as the server: it takes the sidecar’s certificate and knows who calls',
    async () => {
      const port = freePort();
      const origin = startHttpOrigin((request) => ({ body: request.header('x-peer') ?? '' }));
      startEnvoy('server', serverOf(port, origin.port, await filesOf('far')));
      pair.control.write('far.yaml', farYaml(port));
      const body = await waitFor(
        async () => {
          const reply = await pair.callService('far.default.svc.cluster.local');
          return reply.status === 200 ? reply.body : undefined;
        },
        { what: 'an answer from Envoy', timeoutMs: 15_000 },
      );
      expect(body).toBe(`${trustDomain}/ns/default/sa/web`);
    },
    timeoutMs,
  );
});

const farYaml = (port: number): string => `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: far}
spec:
  hosts: [far.default.svc.cluster.local]
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: ${port}}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1}]
  subjectAltNames: ["${trustDomain}/ns/default/sa/far"]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: far}
spec: {host: far.default.svc.cluster.local, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}
`;

function clientOf(port: number, upstream: number, files: Files, server: string): object {
  return {
    listeners: [httpListener(port, 'there', null, [])],
    clusters: [cluster('there', upstream, tlsSocket('Upstream', {}, files, { exact: server }))],
  };
}

function serverOf(port: number, upstream: number, files: Files): object {
  const socket = tlsSocket('Downstream', { require_client_certificate: true }, files, {
    prefix: `${trustDomain}/`,
  });
  return {
    listeners: [httpListener(port, 'app', socket, ['x-peer'])],
    clusters: [cluster('app', upstream, null)],
  };
}

function tlsSocket(
  side: 'Upstream' | 'Downstream',
  more: object,
  { chain, key, root }: Files,
  matcher: object,
): object {
  return {
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.${side}TlsContext`,
      ...more,
      common_tls_context: {
        alpn_protocols: side === 'Upstream' ? ['istio-http/1.1'] : ['http/1.1'],
        tls_certificates: [{ certificate_chain: { filename: chain }, private_key: { filename: key } }],
        validation_context: {
          trusted_ca: { filename: root },
          match_typed_subject_alt_names: [{ san_type: 'URI', matcher }],
        },
      },
    },
  };
}

function cluster(name: string, port: number, socket: object | null): object {
  return {
    name,
    type: 'STATIC',
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: at(port) } }] }],
    },
    ...(socket === null ? {} : { transport_socket: socket }),
  };
}

/** Headers of `peerHeaders` tell the upstream who the downstream is. */
function httpListener(
  port: number,
  target: string,
  socket: object | null,
  peerHeaders: readonly string[],
): object {
  const manager =
    'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
  const router = 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router';
  return {
    name: target,
    address: at(port),
    filter_chains: [
      {
        ...(socket === null ? {} : { transport_socket: socket }),
        filters: [
          {
            name: 'hcm',
            typed_config: {
              '@type': manager,
              stat_prefix: target,
              route_config: {
                request_headers_to_add: peerHeaders.map((key) => ({
                  header: { key, value: '%DOWNSTREAM_PEER_URI_SAN%' },
                })),
                virtual_hosts: [
                  {
                    name: 'all',
                    domains: ['*'],
                    routes: [{ match: { prefix: '/' }, route: { cluster: target } }],
                  },
                ],
              },
              http_filters: [{ name: 'router', typed_config: { '@type': router } }],
            },
          },
        ],
      },
    ],
  };
}

function at(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } };
}
