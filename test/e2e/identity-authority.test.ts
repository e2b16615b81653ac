/** The authority in a process of its own, asked by a client that is not ours, judged by OpenSSL. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { join } from 'node:path';
import {
  certificatePem,
  createCsr,
  csrPem,
  exportPrivateKey,
  generateKeySync,
  isProblem,
  parseCertificate,
  parseJoinToken,
  type Certificate,
} from '@sluice/identity';
import { cleanUp, onCleanUp, signingPath, spawnCommand, TestAuthority } from '@sluice/testkit';
import {
  decodeMessage,
  encodeMessage,
  IstioCertificateRequestTable,
  IstioCertificateResponseTable,
} from '@sluice/xds';
import { ControlMesh } from './control-mesh.ts';
import { askForCertificate, identityOf, makeToken, openssl } from './identity-fixture.ts';

const timeoutMs = 60_000;
const controlMain = join(import.meta.dir, '../../packages/control/src/main.ts');
const cart = 'spiffe://cluster.local/ns/shop/sa/cart';

afterAll(cleanUp, timeoutMs);

const secure = (mesh: ControlMesh): string => `https://${mesh.secureAddress}`;

function read(pem: string | undefined): Certificate {
  const certificate = parseCertificate(pem ?? '');
  if (isProblem(certificate)) throw new Error(certificate.message);
  return certificate;
}

describe('a control plane', () => {
  const mesh = new ControlMesh();
  beforeAll(() => mesh.start(), timeoutMs);

  test(
    'signs certificates that OpenSSL verifies strictly, for both ends of a connection',
    async () => {
      const { token } = await makeToken(mesh, 'shop', 'cart');
      const { code, chain } = await askForCertificate(secure(mesh), { bearer: token, uri: cart });
      expect(code).toBe(0);
      const [leaf = '', between = '', root = ''] = chain;
      for (const purpose of ['sslserver', 'sslclient']) {
        const said = openssl(
          ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', 'root', '-untrusted', 'between', 'leaf'],
          { leaf, between, root },
        );
        expect(said).toBe('leaf: OK\n');
      }
      expect(openssl(['x509', '-noout', '-ext', 'subjectAltName', '-in', 'leaf'], { leaf })).toContain(
        `URI:${cart}`,
      );
    },
    timeoutMs,
  );

  test(
    'shows on its own port the chain up to the root that the token pins',
    async () => {
      const token = parseJoinToken((await makeToken(mesh, 'shop', 'cart')).token);
      if (isProblem(token)) throw new Error(token.message);
      expect(token.address).toBe(mesh.secureAddress);
      const said = openssl(['s_client', '-connect', mesh.secureAddress, '-showcerts', '-alpn', 'h2'], {});
      const shown = [...said.matchAll(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)].map(
        ([pem]) => read(pem),
      );
      expect(shown).toHaveLength(3);
      expect(token.ca).toEqual([shown[2]?.sha256 ?? '']);
      expect(shown[0]?.ipSans).toContain('127.0.0.1');
    },
    timeoutMs,
  );

  test(
    'refuses a token that was used, one of another namespace, and none at all, each with its reason',
    async () => {
      const { token } = await makeToken(mesh, 'shop', 'cart');
      const wrong = await askForCertificate(secure(mesh), {
        bearer: token,
        uri: 'spiffe://cluster.local/ns/bank/sa/cart',
      });
      expect([wrong.code, wrong.message]).toEqual([
        7,
        `the request names an identity that the proof does not give: it gives ${cart}`,
      ]);
      expect((await askForCertificate(secure(mesh), { bearer: token })).code).toBe(0);
      const again = await askForCertificate(secure(mesh), { bearer: token });
      expect([again.code, again.message]).toEqual([16, 'the join token has been used: it is good once']);
      const nobody = await askForCertificate(secure(mesh), {});
      expect([nobody.code, nobody.message]).toEqual([
        16,
        'neither a token nor a client certificate was shown',
      ]);
      expect(mesh.output).toContain('reason="the join token has been used: it is good once"');
      expect(mesh.output).not.toContain(token);
    },
    timeoutMs,
  );

  test(
    'serves grpc-js, which verifies it by the root and by the address that it dialled',
    async () => {
      const made = await makeToken(mesh, 'shop', 'cart');
      const { chain } = await askForCertificate(secure(mesh), { bearer: made.token });
      const rootFile = join(mesh.root, 'root.pem');
      writeFileSync(rootFile, chain.at(-1) ?? '');
      const csr = csrPem(createCsr(generateKeySync(), { uriSans: [cart] }));
      const request = encodeMessage(IstioCertificateRequestTable, { csr, validityDuration: 3600 });
      const ask = async (token: string): Promise<{ code: number; details?: string; reply?: string }> => {
        const words = [mesh.secureAddress, rootFile, token, Buffer.from(request).toString('base64')];
        const client = spawnCommand(['node', join(import.meta.dir, 'grpc/signing-client.mjs'), ...words]);
        await client.exited;
        return JSON.parse(client.lines.find((line) => line.startsWith('{')) ?? '{}') as { code: number };
      };
      const { token } = await makeToken(mesh, 'shop', 'cart');
      const { code, reply = '' } = await ask(token);
      expect(code).toBe(0);
      const { certChain } = decodeMessage(IstioCertificateResponseTable, Buffer.from(reply, 'base64'));
      expect(read(certChain[0]).uriSans).toEqual([cart]);
      expect(read(certChain[0]).notAfterMs - Date.now()).toBeLessThanOrEqual(3_600_000);
      expect(await ask(made.token)).toEqual({
        code: 16,
        details: 'the join token has been used: it is good once',
      });
    },
    timeoutMs,
  );

  test(
    'signs nothing and serves no secrets in the clear',
    async () => {
      const { token } = await makeToken(mesh, 'shop', 'cart');
      const { code } = await askForCertificate(`http://${mesh.xdsAddress}`, { bearer: token });
      expect(code).toBe(12);
      const session = connect(`http://${mesh.xdsAddress}`);
      onCleanUp(() => session.destroy());
      const { promise, resolve } = Promise.withResolvers<string>();
      const stream = session.request({
        ':method': 'POST',
        ':path': signingPath,
        'content-type': 'application/grpc',
      });
      stream.on('response', (headers) => resolve(String(headers['grpc-status'])));
      expect(await promise).toBe('12');
    },
    timeoutMs,
  );
});

test(
  'a control plane that is killed goes on with its roots, its tokens and its revocations',
  async () => {
    const mesh = new ControlMesh();
    await mesh.start();
    const [used, open] = [await makeToken(mesh, 'shop', 'cart'), await makeToken(mesh, 'shop', 'cart')];
    const key = generateKeySync();
    const { chain } = await askForCertificate(secure(mesh), { key, bearer: used.token });
    const leaf = read(chain[0]);
    await mesh.api('/sluice/v1/identity/revoke', {
      method: 'POST',
      body: JSON.stringify({ serial: leaf.serial }),
    });
    const before = await identityOf(mesh);
    await mesh.kill();
    await mesh.start();
    const after = await identityOf(mesh);
    expect(after.authorities).toEqual(before.authorities);
    expect(after.certificates.find(({ serial }) => serial === leaf.serial)?.revokedAt).toBeString();
    expect((await askForCertificate(secure(mesh), { bearer: used.token })).code).toBe(16);
    const revoked = await askForCertificate(secure(mesh), { shown: { chain: chain.map(read), key } });
    expect(revoked.message).toContain('the certificate has been revoked');
    const fresh = await askForCertificate(secure(mesh), { bearer: open.token });
    expect(read(fresh.chain.at(-1)).sha256).toBe(read(chain.at(-1)).sha256);
  },
  timeoutMs,
);

test(
  'a backup holds the authority: restored elsewhere, it signs under the same root',
  async () => {
    const mesh = new ControlMesh();
    await mesh.start();
    const { signing } = await identityOf(mesh);
    const backup = join(mesh.root, 'backup.db');
    const run = (...words: string[]): number =>
      Bun.spawnSync([process.execPath, controlMain, ...words]).exitCode;
    expect(run('backup', backup, '--state-dir', join(mesh.root, 'state'))).toBe(0);
    const other = new ControlMesh();
    expect(run('restore', backup, '--state-dir', join(other.root, 'state'))).toBe(0);
    await other.start();
    expect((await identityOf(other)).signing).toMatchObject({ id: signing.id, rootId: signing.rootId });
  },
  timeoutMs,
);

test(
  'the Secret cacerts of the root namespace is the authority',
  async () => {
    const ca = new TestAuthority({ name: 'company' });
    const data = {
      'ca-cert.pem': certificatePem(ca.signing.certificate),
      'ca-key.pem': exportPrivateKey(ca.signing.key),
      'root-cert.pem': ca.rootPem,
      'cert-chain.pem': certificatePem(ca.signing.certificate) + ca.rootPem,
    };
    const mesh = new ControlMesh();
    mesh.write(
      'cacerts.yaml',
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'cacerts', namespace: 'istio-system' },
        stringData: data,
      }),
    );
    await mesh.start();
    expect((await identityOf(mesh)).signing.isOperators).toBe(true);
    const { token } = await makeToken(mesh, 'shop', 'cart');
    const { chain } = await askForCertificate(secure(mesh), { bearer: token });
    expect(read(chain.at(-1)).sha256).toBe(ca.root.certificate.sha256);
    expect(mesh.output).not.toContain('PRIVATE KEY');
  },
  timeoutMs,
);
