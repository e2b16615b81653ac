/**
 * The same TLS listeners in a real Envoy and in our proxy, the same clients at both: who is let in, what is agreed
 * on, what the log says of it and what is counted must be the same.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { connect, type ConnectionOptions } from 'node:tls';
import { cleanUp, freePort, waitFor, type TestLeaf } from '@sluice/testkit';
import {
  certificate,
  cluster,
  downstreamTls,
  fileLog,
  httpChain,
  listener,
  Pki,
  startTlsProxy,
  tlsInspector,
  type RunningProxy,
} from '../../e2e/tls-fixture.ts';
import { findEnvoy } from '../../find-envoy.ts';

const pki = new Pki();
const { authority } = pki;
const leaves = {
  server: authority.leaf({ account: 'server', dnsSans: ['server.test'] }),
  wildcard: authority.leaf({ uriSans: [], dnsSans: ['*.wild.test'] }),
  rsa: authority.leaf({ account: 'rsa', dnsSans: ['rsa.test'], keyKind: 'rsa-2048' }),
  client: authority.leaf({ account: 'client', dnsSans: ['client.test'] }),
  expired: authority.expiredLeaf({ account: 'client' }),
  future: authority.notYetValidLeaf({ account: 'client' }),
  foreign: authority.foreignLeaf({ account: 'client' }),
  other: authority.otherIdentityLeaf(),
  serverOnly: authority.leaf({ account: 'client', usages: ['server'] }),
} satisfies Record<string, TestLeaf>;
const roots = { trusted_ca: { inline_string: authority.rootPem } };
const uri = (matcher: object): object => ({
  ...roots,
  match_typed_subject_alt_names: [{ san_type: 'URI', matcher }],
});
const dns = (exact: string): object => ({
  ...roots,
  match_typed_subject_alt_names: [{ san_type: 'DNS', matcher: { exact } }],
});

interface Setup {
  readonly common?: object;
  readonly context?: object;
}
const required = { require_client_certificate: true };

const setups: Readonly<Record<string, Setup>> = {
  plain: {},
  'ALPN h2 and http/1.1': { common: { alpn_protocols: ['h2', 'http/1.1'] } },
  'TLS 1.3 only': { common: { tls_params: { tls_minimum_protocol_version: 'TLSv1_3' } } },
  'TLS 1.2 only': { common: { tls_params: { tls_maximum_protocol_version: 'TLSv1_2' } } },
  'one suite': {
    common: {
      tls_params: {
        tls_maximum_protocol_version: 'TLSv1_2',
        cipher_suites: ['ECDHE-ECDSA-AES256-GCM-SHA384'],
      },
    },
  },
  'several certificates': {
    common: { tls_certificates: [leaves.server, leaves.wildcard, leaves.rsa].map(certificate) },
  },
  'certificate required': { common: { validation_context: roots }, context: required },
  'certificate optional': { common: { validation_context: roots } },
  'URI exact': {
    common: { validation_context: uri({ exact: leaves.client.spiffeId }) },
    context: required,
  },
  'URI prefix': {
    common: { validation_context: uri({ prefix: 'spiffe://cluster.local/ns/default/' }) },
    context: required,
  },
  'DNS exact': { common: { validation_context: dns('client.test') }, context: required },
  'any name': {
    common: { validation_context: { ...roots, match_subject_alt_names: [{ suffix: '/sa/client' }] } },
    context: required,
  },
  'SPKI pin': {
    common: {
      validation_context: { ...roots, verify_certificate_spki: [leaves.client.certificate.spkiSha256] },
    },
    context: required,
  },
  'hash pin': {
    common: {
      validation_context: { ...roots, verify_certificate_hash: [leaves.client.certificate.sha256] },
    },
    context: required,
  },
  'expired allowed': {
    common: { validation_context: { ...roots, allow_expired_certificate: true } },
    context: required,
  },
  'untrusted accepted': {
    common: { validation_context: { ...roots, trust_chain_verification: 'ACCEPT_UNTRUSTED' } },
    context: required,
  },
};

const shows = (leaf: TestLeaf): ConnectionOptions => ({ cert: leaf.chainPem, key: leaf.keyPem });

const clients: Readonly<Record<string, ConnectionOptions>> = {
  bare: {},
  'TLS 1.2': { maxVersion: 'TLSv1.2' },
  'TLS 1.2, another suite': { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' },
  'TLS 1.3': { minVersion: 'TLSv1.3' },
  'ALPN http/1.1': { ALPNProtocols: ['http/1.1'] },
  'ALPN unknown': { ALPNProtocols: ['smtp'] },
  'server.test': { servername: 'server.test' },
  'a.wild.test': { servername: 'a.wild.test' },
  'rsa.test': { servername: 'rsa.test' },
  'nobody.test': { servername: 'nobody.test' },
  'client certificate': shows(leaves.client),
  'client certificate, TLS 1.2': { ...shows(leaves.client), maxVersion: 'TLSv1.2' },
  'expired certificate': shows(leaves.expired),
  'certificate of the future': shows(leaves.future),
  'foreign certificate': shows(leaves.foreign),
  'certificate of another': shows(leaves.other),
  'certificate for servers': shows(leaves.serverOnly),
};

const log = fileLog(
  'ACCESS_LOG',
  [
    '%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS%|%RESPONSE_CODE%|%DOWNSTREAM_TLS_VERSION%|%DOWNSTREAM_TLS_CIPHER%',
    '%REQUESTED_SERVER_NAME%|%DOWNSTREAM_PEER_URI_SAN%|%DOWNSTREAM_PEER_DNS_SAN%|%DOWNSTREAM_LOCAL_URI_SAN%',
    '%DOWNSTREAM_PEER_SUBJECT%|%DOWNSTREAM_PEER_ISSUER%|%DOWNSTREAM_PEER_SERIAL%|%DOWNSTREAM_LOCAL_SUBJECT%',
    '%DOWNSTREAM_PEER_FINGERPRINT_256%|%DOWNSTREAM_PEER_CERT%|%DOWNSTREAM_PEER_CERT_V_START%|%DOWNSTREAM_PEER_CERT_V_END%',
  ].join('|'),
);
const counters = [
  'handshake',
  'no_certificate',
  'connection_error',
  'fail_verify_no_cert',
  'fail_verify_error',
  'fail_verify_san',
  'fail_verify_cert_hash',
  'versions.TLSv1.2',
  'versions.TLSv1.3',
];

/** Same order everywhere, so that ports tell which listener it is. */
const ports = new Map<RunningProxy, ReadonlyMap<string, number>>();

async function start(binary: string | undefined, originPort: number): Promise<RunningProxy> {
  const own = new Map(Object.keys(setups).map((name) => [name, freePort()]));
  const listeners = Object.entries(setups).map(([name, { common, context }]) =>
    listener(
      own.get(name) ?? 0,
      [
        httpChain(
          'origin',
          {
            transport_socket: downstreamTls(
              { tls_certificates: [certificate(leaves.server)], ...common },
              context,
            ),
          },
          { access_log: [log] },
        ),
      ],
      { listener_filters: [tlsInspector] },
    ),
  );
  const proxy = await startTlsProxy({ listeners, clusters: [cluster('origin', originPort)] }, binary);
  ports.set(proxy, own);
  return proxy;
}

interface Seen {
  readonly outcome: string;
  readonly log: string;
}

/** A handshake and a request: what was agreed on, or that it ended. */
function attempt(port: number, options: ConnectionOptions): Promise<{ outcome: string; localPort: number }> {
  const { promise, resolve } = Promise.withResolvers<{ outcome: string; localPort: number }>();
  let localPort = 0;
  const socket = connect(
    { host: '127.0.0.1', port, rejectUnauthorized: false, ciphers: 'DEFAULT', ...options },
    () => {
      localPort = socket.localPort ?? 0;
      if (socket.alpnProtocol === 'h2') finish('h2');
      socket.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
    },
  );
  const finish = (what: string): void => {
    const agreed = (): unknown[] => [
      socket.getProtocol(),
      socket.getCipher()?.name,
      socket.alpnProtocol,
      socket.getPeerCertificate()?.serialNumber,
    ];
    resolve({ outcome: what === 'refused' ? what : [what, ...agreed()].join(' '), localPort });
    socket.removeAllListeners();
    socket.on('error', () => {});
    socket.destroy();
  };
  socket.once('data', (data: Buffer) => finish(data.toString('latin1', 0, 12)));
  socket.once('error', () => finish('refused'));
  socket.once('close', () => finish('refused'));
  return promise;
}

async function observe(proxy: RunningProxy): Promise<Map<string, Seen>> {
  const attempts = new Map<string, { outcome: string; localPort: number; port: number }>();
  for (const setup of Object.keys(setups))
    for (const [client, options] of Object.entries(clients)) {
      const port = ports.get(proxy)?.get(setup) ?? 0;
      attempts.set(`${setup} ← ${client}`, { ...(await attempt(port, options)), port });
    }
  const answered = [...attempts.values()].filter(({ outcome }) => outcome.startsWith('HTTP'));
  const lines = await waitFor(() => {
    const all = readFileSync(proxy.log, 'utf8').trim().split('\n');
    return all.length >= answered.length ? all : null;
  });
  return new Map(
    [...attempts].map(([name, { outcome, localPort, port }]) => {
      // Ports come again: a client that was refused has no line of its own.
      if (!outcome.startsWith('HTTP')) return [name, { outcome, log: '' }];
      const line = lines.findLast((one) => one.startsWith(`127.0.0.1:${port} 127.0.0.1:${localPort}|`));
      return [name, { outcome, log: line?.split('|').slice(1).join('|') ?? '' }];
    }),
  );
}

const envoy = findEnvoy();

describe.skipIf(envoy === null)('TLS listeners beside a real Envoy', () => {
  let theirs: RunningProxy;
  let ours: RunningProxy;
  let seen: readonly [Map<string, Seen>, Map<string, Seen>];
  const origin = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('ok') });

  beforeAll(async () => {
    [theirs, ours] = await Promise.all([
      start(envoy ?? undefined, origin.port ?? 0),
      start(undefined, origin.port ?? 0),
    ]);
    seen = [await observe(theirs), await observe(ours)];
  }, 120_000);
  afterAll(async () => {
    await cleanUp();
    await origin.stop(true);
  });

  for (const setup of Object.keys(setups)) {
    test(`${setup}: every client meets the same`, () => {
      const of = (all: Map<string, Seen>, part: keyof Seen): string[] =>
        [...all].flatMap(([name, one]) => (name.startsWith(`${setup} ←`) ? [`${name}: ${one[part]}`] : []));
      expect(of(seen[1], 'outcome')).toEqual(of(seen[0], 'outcome'));
      expect(of(seen[1], 'log')).toEqual(of(seen[0], 'log'));
    });

    test(`${setup}: the same is counted`, async () => {
      const count = async (proxy: RunningProxy): Promise<string[]> =>
        Promise.all(
          counters.map(async (name) => {
            const port = ports.get(proxy)?.get(setup) ?? 0;
            return `${name} ${await proxy.stat(`listener.127.0.0.1_${port}.ssl.${name}`)}`;
          }),
        );
      expect(await count(ours)).toEqual(await count(theirs));
    });
  }
});
