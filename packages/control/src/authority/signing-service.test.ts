/** The signing service as clients meet it: over TLS, with every proof, and with everything that is no proof. */
import { afterEach, describe, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { join } from 'node:path';
import {
  certificatePem,
  createCsr,
  csrPem,
  generateKeySync,
  parseJoinToken,
  isProblem,
} from '@sluice/identity';
import { renderPrometheusText } from '@sluice/runtime';
import { cleanUp, makeTempDir, onCleanUp, TestAuthority } from '@sluice/testkit';
import { GrpcStatus } from '@sluice/wire';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from 'jose';
import { ServiceAccountTokens } from './service-account-tokens.ts';
import { signingPath } from './signing-service.ts';

import { anyInstance, callOnce, cart, refused, Served } from './signing-service.fixture.ts';

afterEach(cleanUp);

describe('a join token', () => {
  test('gets the certificate of its account, leaf first and root last', async () => {
    const served = await new Served().listen();
    const key = generateKeySync();
    const { code, chain } = await served.ask({ key, bearer: served.token() });
    expect(code).toBe(GrpcStatus.ok);
    expect(chain[0]?.uriSans).toEqual([cart]);
    expect(chain[0]?.spki).toEqual(key.spki);
    expect(served.verdict(chain)).toBe('good');
    expect(chain.at(-1)?.sha256).toBe(served.authority.pins[0] ?? '');
  });

  test('is good once; the same key may ask again, since its answer may have been lost', async () => {
    const served = await new Served().listen();
    const bearer = served.token();
    const key = generateKeySync();
    expect((await served.ask({ key, bearer })).code).toBe(GrpcStatus.ok);
    expect((await served.ask({ key, bearer })).code).toBe(GrpcStatus.ok);
    expect(refused(await served.ask({ bearer }))).toBe('16: the join token has been used: it is good once');
  });

  test('ends, is revoked, and cannot be made up', async () => {
    const served = await new Served().listen();
    const [late, gone] = [served.token(anyInstance, 60_000), served.token()];
    served.clock.advance(60_000);
    expect(refused(await served.ask({ bearer: late }))).toBe('16: the join token has expired');
    const parsed = parseJoinToken(gone);
    expect(served.tokens.revoke(isProblem(parsed) ? '' : parsed.id)).toBe(true);
    expect(refused(await served.ask({ bearer: gone }))).toContain('is not one of this mesh, or was revoked');
    const other = new Served().token();
    expect(refused(await served.ask({ bearer: other }))).toContain('is not one of this mesh');
    expect(refused(await served.ask({ bearer: 'sluice-join.v1.x' }))).toContain(
      '16: a join token whose content',
    );
  });

  test('does not make its holder the control plane, which proxies know by its identity', async () => {
    const served = await new Served().listen();
    const { text } = served.tokens.create({
      namespace: 'istio-system',
      account: 'sluice-control',
      binding: anyInstance,
      ttlMs: 0,
    });
    const csr = csrPem(createCsr(generateKeySync(), {}));
    expect(refused(await served.ask({ csr, bearer: text }))).toBe(
      '7: spiffe://cluster.local/ns/istio-system/sa/sluice-control is the control plane’s own identity',
    );
  });

  test('gives no other identity, no host names, and is not used up by asking for them', async () => {
    const served = await new Served().listen();
    const bearer = served.token();
    const key = generateKeySync();
    const other = csrPem(createCsr(key, { uriSans: ['spiffe://cluster.local/ns/bank/sa/vault'] }));
    expect(refused(await served.ask({ csr: other, bearer }))).toBe(
      `7: the request names an identity that the proof does not give: it gives ${cart}`,
    );
    const named = csrPem(createCsr(key, { uriSans: [cart], dnsSans: ['bank.example'] }));
    expect(refused(await served.ask({ csr: named, bearer }))).toContain('7: the request names hosts');
    expect((await served.ask({ csr: csrPem(createCsr(key, {})), bearer })).chain[0]?.uriSans).toEqual([cart]);
  });
});

describe('a certificate', () => {
  test('renews itself, and its binding goes on', async () => {
    const served = await new Served().listen();
    const key = generateKeySync();
    const binding = { instance: 'cart-0.shop', labels: { app: 'cart' }, ports: [8080] };
    const { chain } = await served.ask({ key, bearer: served.token(binding) });
    const renewed = await served.ask({ shown: { chain, key } });
    expect(renewed.code).toBe(GrpcStatus.ok);
    expect(served.authority.issuedRow(renewed.chain[0]?.serial ?? '')).toMatchObject({
      binding,
      proof: 'certificate',
    });
  });

  test('does not renew into another identity', async () => {
    const served = await new Served().listen();
    const key = generateKeySync();
    const { chain } = await served.ask({ key, bearer: served.token() });
    const csr = csrPem(createCsr(key, { uriSans: ['spiffe://cluster.local/ns/shop/sa/other'] }));
    expect((await served.ask({ csr, shown: { chain, key } })).code).toBe(GrpcStatus.permissionDenied);
  });

  test('that has expired renews itself only within the window that was allowed', async () => {
    const hourMs = 3_600_000;
    for (const [expiredRenewalMs, answer] of [
      [0, '16: the client certificate is not accepted: the certificate has expired'],
      [2 * hourMs, '0: '],
    ] as const) {
      const served = await new Served({ settings: { expiredRenewalMs } }).listen();
      const key = generateKeySync();
      const { chain } = await served.ask({ key, bearer: served.token(), validitySeconds: 3600 });
      served.clock.advance(2 * hourMs);
      expect(refused(await served.ask({ shown: { chain, key } }))).toBe(answer);
      served.clock.advance(2 * hourMs);
      expect((await served.ask({ shown: { chain, key } })).code).toBe(GrpcStatus.unauthenticated);
    }
  });

  test('that is revoked, foreign, or nobody’s is refused', async () => {
    const served = await new Served().listen();
    const key = generateKeySync();
    const { chain } = await served.ask({ key, bearer: served.token() });
    served.authority.revoke(({ account }) => account === 'cart');
    expect(refused(await served.ask({ shown: { chain, key } }))).toContain(
      'the certificate has been revoked',
    );
    const foreign = new TestAuthority({ nowMs: served.clock.wallMs() }).leaf({
      namespace: 'shop',
      account: 'cart',
    });
    expect(
      refused(await served.ask({ shown: { chain: [foreign.certificate], key: foreign.key } })),
    ).toContain('no path to a trusted root');
    expect(refused(await served.ask({}))).toBe('16: neither a token nor a client certificate was shown');
  });
});

describe('a workload that was revoked', () => {
  test('renews nothing of what it has, and its token brings nothing either; a new token does', async () => {
    const served = await new Served().listen();
    const [key, bearer] = [generateKeySync(), served.token()];
    const { chain: first } = await served.ask({ key, bearer });
    const { chain: second } = await served.ask({ shown: { chain: first, key }, key });
    served.authority.revoke(({ serial }) => serial === first[0]?.serial);
    for (const chain of [first, second])
      expect((await served.ask({ shown: { chain, key }, key })).code).toBe(GrpcStatus.unauthenticated);
    expect(refused(await served.ask({ key, bearer }))).toBe(
      '16: the workload has been revoked, with all that follows from its first proof: it needs a new join token, or a new pod',
    );
    const { chain: anew } = await served.ask({ key, bearer: served.token() });
    expect((await served.ask({ shown: { chain: anew, key } })).code).toBe(GrpcStatus.ok);
  });
});

test('a stranger that opens a call and says nothing is told so, and holds nothing', async () => {
  const served = await new Served().listen();
  const session = connect(`https://${served.address}`, { ca: served.authority.bundle.rootsPem });
  onCleanUp(() => session.destroy());
  const stream = session.request({
    ':method': 'POST',
    ':path': signingPath,
    'content-type': 'application/grpc',
  });
  onCleanUp(() => void stream.destroy());
  stream.on('error', () => {});
  // Half of a frame's head is no request.
  stream.write(Buffer.from([0, 0]));
  const answered = new Promise<unknown>((resolve) => {
    stream.on('response', (headers) => resolve(headers['grpc-status']));
  });
  expect(Number(await answered)).toBe(GrpcStatus.deadlineExceeded);
});

test('a full disk is UNAVAILABLE, uses no token up, and nothing is signed that is not on record', async () => {
  const served = await new Served().listen();
  const [key, bearer] = [generateKeySync(), served.token()];
  const { database } = served.file;
  database.run('CREATE TABLE ballast (octets BLOB)');
  const pages = database.query<{ page_count: number }, []>('PRAGMA page_count').get()?.page_count ?? 0;
  database.run(`PRAGMA max_page_count = ${pages}`);
  // What is free within the last pages goes first.
  expect(() => {
    for (let round = 0; round < 10_000; round++) database.run('INSERT INTO ballast VALUES (zeroblob(20))');
  }).toThrow(/full/);
  const before = served.authority.unexpired().length;
  let answer = await served.ask({ key, bearer });
  for (let round = 0; round < 50 && answer.code === GrpcStatus.ok; round++)
    answer = await served.ask({ key, bearer });
  expect(refused(answer)).toBe('14: the control plane’s disk is full');
  expect(answer.chain).toEqual([]);
  expect(served.authority.unexpired().length).toBeGreaterThanOrEqual(before);
  database.run(`PRAGMA max_page_count = ${pages + 1000}`);
  const { code, chain } = await served.ask({ key, bearer });
  expect(code).toBe(GrpcStatus.ok);
  expect(served.authority.issuedRow(chain[0]?.serial ?? '')?.serial).toBe(chain[0]?.serial ?? 'none');
});

describe('a service-account token', () => {
  const settings = { issuer: 'https://kubernetes.default.svc', audience: 'istio-ca' };

  async function issuer(): Promise<{ readonly jwks: string; readonly privateKey: CryptoKey }> {
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const jwks = join(makeTempDir(), 'jwks.json');
    const keys = [{ ...(await exportJWK(publicKey)), kid: 'k', alg: 'ES256', use: 'sig' }];
    writeFileSync(jwks, JSON.stringify({ keys }));
    return { jwks, privateKey };
  }

  const sign = (key: CryptoKey, nowMs: number, claims: Record<string, unknown> = {}): Promise<string> =>
    new SignJWT({
      iss: settings.issuer,
      aud: settings.audience,
      sub: 'system:serviceaccount:shop:cart',
      exp: Math.floor(nowMs / 1000) + 600,
      ...claims,
    })
      .setProtectedHeader({ alg: 'ES256', kid: 'k' })
      .sign(key);

  test('gets the certificate of the account that it names', async () => {
    const { jwks, privateKey } = await issuer();
    const served: Served = await new Served(
      {},
      new ServiceAccountTokens({ ...settings, jwks }, () => served.clock.wallMs()),
    ).listen();
    const bearer = await sign(privateKey, served.clock.wallMs());
    const { code, chain } = await served.ask({ bearer });
    expect([code, chain[0]?.uriSans]).toEqual([GrpcStatus.ok, [cart]]);
    served.clock.advance(3_600_000);
    expect(refused(await served.ask({ bearer }))).toBe('16: the service-account token has expired');
  });

  test('of a pod that was revoked brings nothing more; one of another pod does', async () => {
    const { jwks, privateKey } = await issuer();
    const served: Served = await new Served(
      {},
      new ServiceAccountTokens({ ...settings, jwks }, () => served.clock.wallMs()),
    ).listen();
    const ofPod = (uid: string, exp: number): Promise<string> =>
      sign(privateKey, served.clock.wallMs(), {
        exp: Math.floor(served.clock.wallMs() / 1000) + exp,
        'kubernetes.io': { namespace: 'shop', pod: { name: 'cart-0', uid } },
      });
    const { chain } = await served.ask({ bearer: await ofPod('u1', 600) });
    served.authority.revoke(({ serial }) => serial === chain[0]?.serial);
    expect(refused(await served.ask({ bearer: await ofPod('u1', 700) }))).toContain(
      '16: the workload has been revoked',
    );
    expect((await served.ask({ bearer: await ofPod('u2', 600) })).code).toBe(GrpcStatus.ok);
    expect((await served.ask({ bearer: await sign(privateKey, served.clock.wallMs()) })).code).toBe(
      GrpcStatus.ok,
    );
  });

  test('is refused where its pod is revoked while the token is looked at', async () => {
    const verified = { ok: true, namespace: 'shop', account: 'cart', podUid: 'u1' } as const;
    let isRevoking = false;
    const served: Served = await new Served(
      {},
      {
        verify: () => {
          if (isRevoking) served.authority.revoke(() => true);
          return Promise.resolve(verified);
        },
      },
    ).listen();
    expect((await served.ask({ bearer: 'jwt' })).code).toBe(GrpcStatus.ok);
    isRevoking = true;
    expect(refused(await served.ask({ bearer: 'jwt' }))).toContain('16: the workload has been revoked');
  });

  test('is not judged by keys that anybody on the way could replace', () => {
    const open = (jwks: string): ServiceAccountTokens =>
      new ServiceAccountTokens({ ...settings, jwks }, () => 0);
    expect(() => open('http://10.0.0.1/keys')).toThrow('by https only');
    expect(() => open('HTTP://issuer.example/keys')).toThrow('by https only');
    for (const jwks of ['https://issuer.example/keys', 'http://127.0.0.1:1/keys', 'http://[::1]:1/keys'])
      expect(open(jwks)).toBeInstanceOf(ServiceAccountTokens);
  });

  test('of another issuer, audience, key or form is refused with the reason', async () => {
    const { jwks, privateKey } = await issuer();
    const { privateKey: otherKey } = await issuer();
    const served: Served = await new Served(
      {},
      new ServiceAccountTokens({ ...settings, jwks }, () => served.clock.wallMs()),
    ).listen();
    const nowMs = served.clock.wallMs();
    const answers = await Promise.all(
      [
        sign(privateKey, nowMs, { iss: 'https://elsewhere' }),
        sign(privateKey, nowMs, { aud: 'vault' }),
        sign(otherKey, nowMs),
        sign(privateKey, nowMs, { sub: 'alice' }),
        sign(privateKey, nowMs, { exp: undefined }),
        Promise.resolve('not.a.token'),
      ].map(async (bearer) => refused(await served.ask({ bearer: await bearer }))),
    );
    expect(answers).toEqual([
      '16: the service-account token is not for this mesh (its iss does not fit)',
      '16: the service-account token is not for this mesh (its aud does not fit)',
      '16: the service-account token is not signed by a key of the issuer',
      '16: the subject of the service-account token is not an account',
      '16: the service-account token is not for this mesh (its exp does not fit)',
      '16: the service-account token cannot be read',
    ]);
  });

  test('is verified with keys that the issuer publishes by HTTP, and keys that cannot be had are told', async () => {
    const { jwks, privateKey } = await issuer();
    const server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: () => new Response(Bun.file(jwks)) });
    const settingsOf = (port: number) => ({ ...settings, jwks: `http://127.0.0.1:${port}/keys` });
    const served: Served = await new Served(
      {},
      new ServiceAccountTokens(settingsOf(server.port ?? 0), () => served.clock.wallMs()),
    ).listen();
    const bearer = await sign(privateKey, served.clock.wallMs());
    expect((await served.ask({ bearer })).code).toBe(GrpcStatus.ok);
    await server.stop(true);
    const alone: Served = await new Served(
      {},
      new ServiceAccountTokens(settingsOf(server.port ?? 0), () => alone.clock.wallMs()),
    ).listen();
    expect(refused(await alone.ask({ bearer }))).toMatch(/^16: the keys of service accounts cannot be had/);
  });

  test('is no proof where no issuer is configured', async () => {
    const served = await new Served().listen();
    expect(refused(await served.ask({ bearer: 'a.b.c' }))).toBe(
      '16: the token is not a join token of this mesh',
    );
  });
});

test('a request that cannot be read, or whose signature is wrong, is refused', async () => {
  const served = await new Served().listen();
  const bearer = served.token();
  const der = createCsr(generateKeySync(), { uriSans: [cart] });
  der[der.length - 1] = (der[der.length - 1] ?? 0) ^ 1;
  expect(refused(await served.ask({ csr: csrPem(der), bearer }))).toContain(
    '3: the certificate request cannot be taken',
  );
  expect(refused(await served.ask({ csr: 'x', bearer }))).toContain(
    '3: the certificate request cannot be taken',
  );
});

test('every refusal is in the audit log with its reason, and nothing secret is', async () => {
  const served = await new Served().listen();
  const bearer = served.token();
  await served.ask({ bearer });
  await served.ask({ bearer });
  await served.ask({});
  const log = served.logged.join('');
  expect(log).toMatch(
    /certificate issued.*proof=join-token identity=spiffe:\/\/cluster\.local\/ns\/shop\/sa\/cart serial=/,
  );
  expect(log).toMatch(/certificate refused.*reason="the join token has been used: it is good once"/);
  expect(log).toMatch(/certificate refused.*reason="neither a token nor a client certificate was shown"/);
  expect(log).not.toContain(bearer);
  const metrics = renderPrometheusText(served.metrics);
  expect(metrics).toMatch(/^citadel_server_csr_count 3$/m);
  expect(metrics).toMatch(/^citadel_server_success_cert_issuance_count 1$/m);
  expect(metrics).toMatch(/^citadel_server_authentication_failure_count 2$/m);
});

test('the port’s own certificate follows a rotation of the root, without a restart', async () => {
  const served = await new Served().listen();
  served.hasReachedAll = true;
  served.authority.rotate('root');
  served.passMs(10_000);
  expect(served.keeper.check()).toBe(true);
  served.server.renewCredential();
  const root = certificatePem(served.authority.signing.root);
  const session = connect(`https://${served.address}`, { ca: root });
  onCleanUp(() => session.destroy());
  const csr = csrPem(createCsr(generateKeySync(), { uriSans: [cart] }));
  expect((await callOnce(session, served.token(), { csr, validityDuration: 0 })).code).toBe(GrpcStatus.ok);
});
