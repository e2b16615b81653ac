/**
 * `x-forwarded-client-cert` and `/certs` beside a real Envoy: every mode, every detail, clients with mutual TLS,
 * with TLS and without; what the origin is told must be the same, and what the operator is shown.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { cleanUp, freePort, makeTempDir, onCleanUp, TestAuthority, type TestLeaf } from '@sluice/testkit';
import { cluster, httpManager, socket, types, type Json } from '../../envoy-config.ts';
import { findEnvoy } from '../../find-envoy.ts';
import { launch } from './proxies.ts';

afterAll(cleanUp);

const envoyBinary = findEnvoy();
const modes = ['SANITIZE', 'FORWARD_ONLY', 'APPEND_FORWARD', 'SANITIZE_SET', 'ALWAYS_FORWARD_ONLY'] as const;
const details: Readonly<Record<string, Json>> = {
  plain: {},
  identity: { subject: true, dns: true, uri: true },
  everything: { subject: true, cert: true, chain: true, dns: true, uri: true },
};
const transports = ['tls', 'clear'] as const;

// Days left are counted whole: an end on the second of a whole day would be a matter of when one looks.
const authority = new TestAuthority({ nowMs: Date.now() - 600_000 });
const server = authority.leaf({ account: 'server', ipSans: ['127.0.0.1'], dnsSans: ['localhost'] });
const clients: Readonly<Record<string, TestLeaf>> = {
  workload: authority.leaf({ account: 'client' }),
  person: authority.leaf({
    uriSans: [],
    dnsSans: ['a.example', 'b.example'],
    subject: { organization: 'Sluice, "quoted" & co', commonName: 'a=b;c' },
  }),
  many: authority.leaf({ uriSans: ['spiffe://cluster.local/a', 'https://second.example/b?c=d'] }),
};
const claimed = 'By=spiffe://x;Hash=00;URI=spiffe://cluster.local/ns/evil/sa/evil';

/** What differs on purpose, by "listener: client", with the reason. */
const explained: Readonly<Record<string, string>> = {};

interface Proxy {
  readonly ports: ReadonlyMap<string, number>;
  readonly adminPort: number;
}

const listenerNames = transports.flatMap((transport) =>
  modes.flatMap((mode) => Object.keys(details).map((detail) => `${transport} ${mode} ${detail}`)),
);

function listener(name: string, port: number): Json {
  const [transport = '', mode = '', detail = ''] = name.split(' ');
  const manager = httpManager({
    stat_prefix: 'diff',
    forward_client_cert_details: mode,
    set_current_client_cert_details: details[detail],
    route_config: {
      name: 'local',
      virtual_hosts: [
        {
          name: 'all',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, route: { cluster: 'origin' } }],
        },
      ],
    },
  });
  const tls = {
    '@type': `${types}.transport_sockets.tls.v3.DownstreamTlsContext`,
    common_tls_context: {
      tls_certificates: [
        {
          certificate_chain: { inline_string: server.chainPem },
          private_key: { inline_string: server.keyPem },
        },
      ],
      validation_context: { trusted_ca: { inline_string: authority.rootPem } },
    },
  };
  return {
    name,
    address: socket(port),
    filter_chains: [
      {
        filters: [manager],
        ...(transport === 'tls'
          ? { transport_socket: { name: 'envoy.transport_sockets.tls', typed_config: tls } }
          : {}),
      },
    ],
  };
}

async function start(kind: 'envoy' | 'sluice', originPort: number): Promise<Proxy> {
  const adminPort = freePort();
  const ports = new Map(listenerNames.map((name) => [name, freePort()]));
  const bootstrap = {
    admin: { address: socket(adminPort) },
    static_resources: {
      listeners: listenerNames.map((name) => listener(name, ports.get(name) ?? 0)),
      clusters: [cluster('origin', [originPort])],
    },
  };
  await launch(kind, bootstrap, adminPort, join(makeTempDir(), 'access.log'));
  return { ports, adminPort };
}

/** What the origin got, or null; `claims`: the client sends the header itself. */
async function told(proxy: Proxy, name: string, client: string, claims: boolean): Promise<string | null> {
  const port = proxy.ports.get(name) ?? 0;
  const leaf = clients[client];
  const isSecure = name.startsWith('tls');
  const answer = await fetch(`${isSecure ? 'https' : 'http'}://127.0.0.1:${port}/`, {
    keepalive: false,
    headers: claims ? { 'x-forwarded-client-cert': claimed } : {},
    ...(isSecure
      ? { tls: { ca: authority.rootPem, ...(leaf && { cert: leaf.chainPem, key: leaf.keyPem }) } }
      : {}),
  });
  return (await answer.json()) as string | null;
}

describe.skipIf(envoyBinary === null)('client certificates beside a real Envoy', () => {
  let envoy: Proxy;
  let sluice: Proxy;

  beforeAll(async () => {
    const origin = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: (request) => Response.json(request.headers.get('x-forwarded-client-cert')),
    });
    onCleanUp(() => origin.stop(true));
    [envoy, sluice] = await Promise.all([
      start('envoy', origin.port ?? 0),
      start('sluice', origin.port ?? 0),
    ]);
  }, 60_000);

  for (const name of listenerNames) {
    test(name, async () => {
      for (const client of name.startsWith('tls') ? [...Object.keys(clients), 'nobody'] : ['nobody'])
        for (const claims of [false, true]) {
          const [theirs, ours] = await Promise.all([
            told(envoy, name, client, claims),
            told(sluice, name, client, claims),
          ]);
          const key = `${name}: ${client}`;
          if (explained[key] === undefined) expect([key, claims, ours]).toEqual([key, claims, theirs]);
          else expect(ours).not.toEqual(theirs);
        }
    });
  }

  test('/certs shows the same certificates', async () => {
    const page = async ({ adminPort }: Proxy): Promise<unknown> =>
      (await fetch(`http://127.0.0.1:${adminPort}/certs`)).json();
    const [theirs, ours] = (await Promise.all([page(envoy), page(sluice)])) as { certificates: object[] }[];
    // Envoy lists each listener's context; equal ones are told of once by us.
    expect(ours?.certificates).toHaveLength(1);
    expect(theirs?.certificates[0]).toMatchObject(ours?.certificates[0] ?? {});
  });
});
