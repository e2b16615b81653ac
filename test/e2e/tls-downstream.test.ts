/** TLS that clients begin: OpenSSL and curl against our listener, with every certificate that must not pass. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, freePort, makeTempDir, waitFor, type TestLeaf } from '@sluice/testkit';
import {
  certificate,
  cluster,
  downstreamTls,
  fileLog,
  httpChain,
  listener,
  Pki,
  run,
  sClient,
  startTlsProxy,
  tlsInspector,
  validation,
  type RunningProxy,
} from './tls-fixture.ts';

describe('a listener with TLS', () => {
  const pki = new Pki();
  const { authority } = pki;
  let requests = 0;
  const origin = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request) => {
      requests++;
      return new Response(`hello ${request.headers.get('x-forwarded-proto')}`);
    },
  });
  const ports = {
    plain: freePort(),
    mutual: freePort(),
    optional: freePort(),
    new: freePort(),
    old: freePort(),
    named: freePort(),
    permissive: freePort(),
  };
  const server = authority.leaf({ account: 'server', dnsSans: ['www.example.com'] });
  const client = authority.leaf({ account: 'client' });
  let proxy: RunningProxy;

  const log = fileLog(
    'ACCESS_LOG',
    '%RESPONSE_CODE% %DOWNSTREAM_TLS_VERSION% %DOWNSTREAM_TLS_CIPHER% %DOWNSTREAM_PEER_URI_SAN% %DOWNSTREAM_LOCAL_URI_SAN% %REQUESTED_SERVER_NAME% %DOWNSTREAM_PEER_SERIAL% %DOWNSTREAM_PEER_FINGERPRINT_256% %DOWNSTREAM_TRANSPORT_FAILURE_REASON%',
  );
  const secured = (common: object, more: object = {}): object =>
    httpChain(
      'origin',
      {
        transport_socket: downstreamTls({ tls_certificates: [certificate(server)], ...common }, more),
      },
      { access_log: [log] },
    );
  const mutual = { require_client_certificate: true };

  beforeAll(async () => {
    const named = (...dnsSans: string[]): object => certificate(authority.leaf({ dnsSans, uriSans: [] }));
    const match = (filter_chain_match: object, chain: object): object => ({ ...chain, filter_chain_match });
    proxy = await startTlsProxy({
      clusters: [cluster('origin', origin.port ?? 0)],
      listeners: [
        listener(ports.plain, [secured({ alpn_protocols: ['h2', 'http/1.1'] })]),
        listener(ports.mutual, [secured(validation(pki), mutual)], { access_log: [log] }),
        listener(ports.optional, [secured(validation(pki))]),
        listener(ports.new, [secured({ tls_params: { tls_minimum_protocol_version: 'TLSv1_3' } })]),
        listener(ports.old, [
          secured({
            tls_params: {
              tls_maximum_protocol_version: 'TLSv1_2',
              cipher_suites: ['ECDHE-ECDSA-AES256-GCM-SHA384'],
            },
          }),
        ]),
        listener(ports.named, [
          secured({
            tls_certificates: [named('first.test'), named('exact.test'), named('*.wild.test')],
          }),
        ]),
        listener(
          ports.permissive,
          [
            match(
              { transport_protocol: 'tls', application_protocols: ['istio', 'istio-http/1.1', 'istio-h2'] },
              secured({ ...validation(pki), alpn_protocols: ['istio-http/1.1'] }, mutual),
            ),
            match({ transport_protocol: 'tls' }, secured({})),
            match({ transport_protocol: 'raw_buffer' }, httpChain('origin')),
          ],
          { listener_filters: [tlsInspector], listener_filters_timeout: '1s' },
        ),
      ],
    });
  });
  afterAll(async () => {
    await cleanUp();
    void origin.stop(true);
  });

  test('curl speaks HTTP/1.1 and HTTP/2 by ALPN, with the certificate verified', async () => {
    const at = `https://www.example.com:${ports.plain}/`;
    const resolved = ['--resolve', `www.example.com:${ports.plain}:127.0.0.1`, '--cacert', pki.ca];
    const h1 = await run(['curl', '-s', '--http1.1', ...resolved, at]);
    expect(h1.output).toBe('hello https');
    const h2 = await run(['curl', '-s', '--http2', '-w', ' %{http_version}', ...resolved, at]);
    expect(h2.output).toBe('hello https 2');
  });

  test('versions and suites are those that are configured', async () => {
    expect((await sClient(ports.new, ['-tls1_3'])).output).toContain('HTTP/1.1 200');
    const refused = await sClient(ports.new, ['-tls1_2']);
    expect(refused.output).toContain('alert protocol version');
    const old = await sClient(ports.old);
    expect(old.output).toContain('TLSv1.2');
    expect(old.output).toContain('ECDHE-ECDSA-AES256-GCM-SHA384');
    expect((await sClient(ports.old, ['-cipher', 'ECDHE-ECDSA-AES128-GCM-SHA256'])).exitCode).not.toBe(0);
  });

  test('the certificate is chosen by server name: exact, wildcard, else the first', async () => {
    const shown = async (name: string): Promise<string> => {
      const { output } = await run([
        'sh',
        '-c',
        `openssl s_client -connect 127.0.0.1:${ports.named} ${name === '' ? '-noservername' : `-servername ${name}`} </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName`,
      ]);
      return /DNS:(\S+)/.exec(output)?.[1] ?? output;
    };
    expect(
      await Promise.all(
        ['exact.test', 'EXACT.test', 'a.wild.test', 'a.b.wild.test', 'other.test', ''].map(shown),
      ),
    ).toEqual(['exact.test', 'exact.test', '*.wild.test', 'first.test', 'first.test', 'first.test']);
  });

  const withCertificate = (name: string, leaf: TestLeaf): string[] => {
    const files = pki.files(name, leaf);
    return ['-cert', files.chain, '-cert_chain', files.chain, '-key', files.key];
  };

  test('a client certificate proves who calls, and the log knows it', async () => {
    const { output } = await sClient(ports.mutual, [
      '-servername',
      'reviews.default.svc',
      '-CAfile',
      pki.ca,
      ...withCertificate('client', client),
    ]);
    expect(output).toContain('HTTP/1.1 200');
    expect(output).toContain('Verify return code: 0 (ok)');
    const { serial, sha256 } = client.certificate;
    await waitFor(() =>
      readFileSync(proxy.log, 'utf8').includes(
        `200 TLSv1.3 TLS_AES_256_GCM_SHA384 ${client.spiffeId} ${server.spiffeId} reviews.default.svc ${serial} ${sha256} -`,
      ),
    );
  });

  const strangers: Record<string, TestLeaf | null> = {
    no: null,
    expired: authority.expiredLeaf(),
    future: authority.notYetValidLeaf(),
    foreign: authority.foreignLeaf(),
  };
  for (const [kind, leaf] of Object.entries(strangers)) {
    test(`a client with ${kind === 'no' ? 'no' : `a ${kind}`} certificate reaches no application`, async () => {
      const before = requests;
      const { output } = await sClient(ports.mutual, leaf === null ? [] : withCertificate(kind, leaf));
      expect(output).not.toContain('HTTP/1.1');
      expect(requests).toBe(before);
      const name = kind === 'no' ? 'fail_verify_no_cert' : 'fail_verify_error';
      await waitFor(async () => (await proxy.stat(`listener.127.0.0.1_${ports.mutual}.ssl.${name}`)) > 0);
      const reason = {
        no: 'no certificate',
        expired: 'CERT_HAS_EXPIRED',
        future: 'CERT_NOT_YET_VALID',
        foreign: 'UNABLE_TO',
      };
      await waitFor(() =>
        readFileSync(proxy.log, 'utf8')
          .replaceAll('_', ' ')
          .includes(reason[kind as 'no'].replaceAll('_', ' ')),
      );
    });
  }

  test('an optional certificate may be missing, and must be right where it is shown', async () => {
    expect((await sClient(ports.optional)).output).toContain('HTTP/1.1 200');
    expect((await sClient(ports.optional, withCertificate('client', client))).output).toContain(
      'HTTP/1.1 200',
    );
    const foreign = await sClient(ports.optional, withCertificate('foreign', authority.foreignLeaf()));
    expect(foreign.output).not.toContain('HTTP/1.1');
  });

  for (const version of ['-tls1_2', '-tls1_3']) {
    test(`a session is resumed (${version.slice(1)})`, async () => {
      const file = join(makeTempDir(), 'session');
      const arguments_ = [version, ...withCertificate('client', client)];
      expect((await sClient(ports.mutual, [...arguments_, '-sess_out', file])).output).toContain(
        'New, TLSv1.',
      );
      const again = await sClient(ports.mutual, [...arguments_, '-sess_in', file]);
      expect(again.output).toContain('Reused, TLSv1.');
      expect(again.output).toContain('HTTP/1.1 200');
      await waitFor(
        async () => (await proxy.stat(`listener.127.0.0.1_${ports.mutual}.ssl.session_reused`)) > 0,
      );
    });
  }

  test('one port takes mutual TLS, plain TLS and plaintext, each by its own chain', async () => {
    const istio = await sClient(ports.permissive, [
      '-alpn',
      'istio-http/1.1,istio',
      ...withCertificate('client', client),
    ]);
    expect(istio.output).toContain('ALPN protocol: istio-http/1.1');
    expect(istio.output).toContain('HTTP/1.1 200');
    expect((await sClient(ports.permissive, ['-alpn', 'istio-http/1.1'])).output).not.toContain(
      'HTTP/1.1 200',
    );
    expect((await sClient(ports.permissive, ['-alpn', 'http/1.1'])).output).toContain('HTTP/1.1 200');
    expect((await run(['curl', '-s', `http://127.0.0.1:${ports.permissive}/`])).output).toBe('hello http');
  });
});
