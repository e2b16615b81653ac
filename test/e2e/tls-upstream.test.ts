/** TLS that our clusters begin: OpenSSL's server and a recording one, right and wrong. */
import { afterEach, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { cleanUp, freePort, onCleanUp, spawnCommand, waitFor, type TestLeaf } from '@sluice/testkit';
import {
  certificate,
  cluster,
  fileLog,
  httpChain,
  listener,
  Pki,
  socket,
  startTlsProxy,
  upstreamTls,
  validation,
  type RunningProxy,
} from './tls-fixture.ts';

const pki = new Pki();
const { authority } = pki;
const expected = authority.leaf({ account: 'server', dnsSans: ['server.test'] });
const client = authority.leaf({ account: 'client' });
const log = fileLog(
  'ACCESS_LOG',
  '%RESPONSE_CODE% %RESPONSE_FLAGS% %UPSTREAM_TLS_VERSION% %UPSTREAM_PEER_URI_SAN% %UPSTREAM_LOCAL_URI_SAN% %UPSTREAM_TRANSPORT_FAILURE_REASON%',
);
const serverIs = (name: string): object => ({
  match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: name } }],
});
const mutual = (more: object = serverIs(expected.spiffeId)): object => {
  const { validation_context: context } = validation(pki) as { validation_context: object };
  return { tls_certificates: [certificate(client)], validation_context: { ...context, ...more } };
};

/** A TLS server that counts what it is told, and answers like HTTP. */
function recordingServer(leaf: TestLeaf): { port: number; received(): number; handshakes(): number } {
  let received = 0;
  let handshakes = 0;
  const server = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    tls: {
      key: leaf.keyPem,
      cert: leaf.chainPem,
      ca: authority.rootPem,
      requestCert: true,
      rejectUnauthorized: false,
    },
    socket: {
      handshake: () => void handshakes++,
      data(socket, data) {
        received += data.length;
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok');
      },
    },
  });
  onCleanUp(() => server.stop(true));
  return { port: server.port, received: () => received, handshakes: () => handshakes };
}

async function through(port: number, common: object, more: object = {}): Promise<[RunningProxy, string]> {
  const front = freePort();
  const proxy = await startTlsProxy({
    listeners: [listener(front, [httpChain('server', {}, { access_log: [log] })])],
    clusters: [cluster('server', port, { transport_socket: upstreamTls(common, more) })],
  });
  return [proxy, `http://127.0.0.1:${front}/`];
}

const logged = (proxy: RunningProxy, text: string): Promise<unknown> =>
  waitFor(() => readFileSync(proxy.log, 'utf8').includes(text), { what: `"${text}" in the access log` });

afterEach(cleanUp);

describe('a cluster with TLS', () => {
  test('OpenSSL sees our ALPN and certificate; sessions resume', async () => {
    const files = pki.files('server', expected);
    const port = freePort();
    const server = spawnCommand(
      ['openssl', 's_server', '-accept', `127.0.0.1:${port}`, '-www', '-cert', files.chain, '-key', files.key]
        .concat(['-cert_chain', files.chain, '-CAfile', pki.ca, '-Verify', '3', '-verify_return_error'])
        .concat(['-alpn', 'istio-http/1.1']),
    );
    await server.waitForLine('ACCEPT');
    const [proxy, url] = await through(
      port,
      { ...mutual(), alpn_protocols: ['istio-http/1.1', 'istio'] },
      { sni: 'server.test' },
    );
    const page = await (await fetch(url)).text();
    expect(page).toContain('istio-http/1.1');
    expect(page).toContain('TLSv1.3');
    await logged(proxy, `200 - TLSv1.3 ${expected.spiffeId} ${client.spiffeId} -`);
    // s_server closes after each answer, so the next request is on a connection of its own.
    const again = await (await fetch(url)).text();
    expect(again).toContain('Reused, TLSv1.3');
    expect(await proxy.stat('cluster.server.ssl.session_reused')).toBe(1);
    expect(await proxy.stat('cluster.server.ssl.handshake')).toBe(2);
    expect(await proxy.stat('cluster.server.ssl.versions.TLSv1.3')).toBe(2);
  });

  const wrong: readonly (readonly [string, TestLeaf, string, string])[] = [
    ['foreign', authority.foreignLeaf({ account: 'server' }), 'UNABLE_TO', 'fail_verify_error'],
    ['expired', authority.expiredLeaf({ account: 'server' }), 'CERT_HAS_EXPIRED', 'fail_verify_error'],
    [
      'not yet valid',
      authority.notYetValidLeaf({ account: 'server' }),
      'CERT_NOT_YET_VALID',
      'fail_verify_error',
    ],
    ['somebody else', authority.otherIdentityLeaf(), 'no_subject_alternative_name', 'fail_verify_san'],
  ];
  for (const [kind, leaf, reason, stat] of wrong) {
    test(`a server whose certificate is ${kind} is told nothing`, async () => {
      const server = recordingServer(leaf);
      const [proxy, url] = await through(server.port, mutual());
      const answer = await fetch(url, { method: 'POST', body: 'secret' });
      expect([answer.status, answer.headers.get('x-sluice-reason')]).toEqual([503, 'upstream-tls-failed']);
      await logged(proxy, '503 UF');
      expect(readFileSync(proxy.log, 'utf8').replaceAll(' ', '_')).toContain(reason);
      expect(await proxy.stat(`cluster.server.ssl.${stat}`)).toBeGreaterThan(0);
      expect(server.received()).toBe(0);
    });
  }

  test('an endpoint that ends handshakes is passed over like one that refuses, without a retry policy or a budget', async () => {
    const dying = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: { data: (socket) => socket.terminate() },
    });
    onCleanUp(() => dying.stop(true));
    const good = recordingServer(expected);
    const front = freePort();
    const endpoints = [dying.port, good.port].map((port) => ({ endpoint: { address: socket(port) } }));
    await startTlsProxy({
      listeners: [listener(front, [httpChain('server')])],
      clusters: [
        cluster('server', good.port, {
          transport_socket: upstreamTls(mutual()),
          load_assignment: { cluster_name: 'server', endpoints: [{ lb_endpoints: endpoints }] },
        }),
      ],
    });
    const asked = Array.from({ length: 12 }, () =>
      fetch(`http://127.0.0.1:${front}/`, { method: 'POST', body: 'x' }),
    );
    const answers = await Promise.all(asked);
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  });

  test('pins, names of every kind, and untrusted chains where they are accepted', async () => {
    const server = recordingServer(expected);
    const foreign = recordingServer(authority.foreignLeaf({ account: 'server' }));
    const { spkiSha256, sha256 } = expected.certificate;
    const dns = (matcher: object): object => ({
      match_typed_subject_alt_names: [{ san_type: 'DNS', matcher }],
    });
    const regex = { safe_regex: { google_re2: {}, regex: 'ser[v]er\\.test' } };
    const cases: readonly (readonly [number, object, number?])[] = [
      [200, { verify_certificate_spki: [spkiSha256] }],
      [200, { verify_certificate_hash: [sha256] }],
      [503, { verify_certificate_spki: [`${'A'.repeat(43)}=`] }],
      [200, dns({ suffix: '.test' })],
      [200, dns(regex)],
      [503, dns({ exact: 'other.test' })],
      [200, { ...serverIs(expected.spiffeId), trust_chain_verification: 'ACCEPT_UNTRUSTED' }, foreign.port],
    ];
    const fronts = cases.map(() => freePort());
    await startTlsProxy({
      listeners: fronts.map((front, i) => listener(front, [httpChain(`c${i}`)])),
      clusters: cases.map(([, rules, port = server.port], i) =>
        cluster(`c${i}`, port, { transport_socket: upstreamTls(mutual(rules)) }),
      ),
    });
    const statuses = await Promise.all(
      fronts.map(async (front) => (await fetch(`http://127.0.0.1:${front}/`)).status),
    );
    expect(statuses).toEqual(cases.map(([status]) => status));
  });

  test('a revoked server is refused', async () => {
    const server = recordingServer(expected);
    const [proxy, url] = await through(
      server.port,
      mutual({ crl: { inline_string: authority.crl([expected]) } }),
    );
    expect((await fetch(url)).status).toBe(503);
    await logged(proxy, 'CERT_REVOKED');
    expect(server.received()).toBe(0);
  });

  test('endpoints are reached as their metadata says', async () => {
    const secured = recordingServer(expected);
    const plain = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response('plain') });
    onCleanUp(() => plain.stop(true));
    const front = freePort();
    const endpoint = (port: number, metadata: object): object => ({
      endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } },
      metadata,
    });
    const istio = { filter_metadata: { 'envoy.transport_socket_match': { tlsMode: 'istio' } } };
    await startTlsProxy({
      listeners: [listener(front, [httpChain('both')])],
      clusters: [
        {
          name: 'both',
          type: 'STATIC',
          connect_timeout: '1s',
          load_assignment: {
            cluster_name: 'both',
            endpoints: [{ lb_endpoints: [endpoint(secured.port, istio), endpoint(plain.port ?? 0, {})] }],
          },
          transport_socket_matches: [
            { name: 'tls', match: { tlsMode: 'istio' }, transport_socket: upstreamTls(mutual()) },
            { name: 'plain', match: {}, transport_socket: { name: 'envoy.transport_sockets.raw_buffer' } },
          ],
        },
      ],
    });
    const answers = new Set<string>();
    for (let i = 0; i < 4; i++) answers.add(await (await fetch(`http://127.0.0.1:${front}/`)).text());
    expect([...answers].sort()).toEqual(['ok', 'plain']);
    expect(secured.handshakes()).toBeGreaterThan(0);
  });
});
