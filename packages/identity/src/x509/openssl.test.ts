/** OpenSSL as the judge of what we write, and as the writer of what we read. */
import { describe, expect, test } from 'bun:test';
import { exportPrivateKey, generateKeySync, importPrivateKey, keyKinds, type KeyKind } from '../keys.ts';
import { good, openssl } from '../openssl.fixture.ts';
import { createIntermediate, createRoot, type Authority } from './authority.ts';
import { certificatePem, parseCertificate, parseChain } from './certificate.ts';
import { crlPem, issueCrl, parseCrl, verifyCrl } from './crl.ts';
import { createCsr, csrPem, parseCsr } from './csr.ts';
import { issueCertificate } from './issue-certificate.ts';

const hourMs = 3_600_000;
const nowMs = Math.floor(Date.now() / 1000) * 1000;
const workload = 'spiffe://cluster.local/ns/shop/sa/cart';

function authority(kind: KeyKind): { root: Authority; intermediate: Authority } {
  const spec = {
    organization: 'cluster.local',
    notBeforeMs: nowMs - hourMs,
    notAfterMs: nowMs + 1000 * hourMs,
  };
  const root = createRoot(generateKeySync(kind), { ...spec, commonName: 'root' });
  return {
    root,
    intermediate: createIntermediate(root, generateKeySync(kind), { ...spec, commonName: 'between' }),
  };
}

function leafOf(issuer: Authority, kind: KeyKind, subject: { commonName?: string } = {}) {
  const key = generateKeySync(kind);
  const der = issueCertificate(issuer, {
    subject,
    spki: key.spki,
    notBeforeMs: nowMs - hourMs / 4,
    notAfterMs: nowMs + 24 * hourMs,
    uriSans: [workload],
    dnsSans: ['cart.shop.svc'],
    ipSans: ['127.0.0.1', '2001:db8::1'],
  });
  return good(parseCertificate(der));
}

const files = (root: Authority, intermediate: Authority, leaf: Parameters<typeof certificatePem>[0]) => ({
  'root.pem': certificatePem(root.certificate),
  'between.pem': certificatePem(intermediate.certificate),
  'leaf.pem': certificatePem(leaf),
});

describe.each(['ecdsa-p256', 'ecdsa-p384', 'rsa-2048'] as const)('with %s keys', (kind) => {
  const { root, intermediate } = authority(kind);
  const leaf = leafOf(intermediate, kind);

  test('openssl verifies a leaf through the intermediate, as server and as client, strictly', () => {
    for (const purpose of ['sslserver', 'sslclient']) {
      const result = openssl(
        [
          'verify',
          '-x509_strict',
          '-purpose',
          purpose,
          '-CAfile',
          'root.pem',
          '-untrusted',
          'between.pem',
          'leaf.pem',
        ],
        files(root, intermediate, leaf),
      );
      expect(result).toEqual({ status: 0, output: 'leaf.pem: OK\n' });
    }
  });

  test('openssl reads the names, the usages and the constraints that were written', () => {
    const { output } = openssl(
      ['x509', '-noout', '-text', '-in', 'leaf.pem'],
      files(root, intermediate, leaf),
    );
    expect(output).toContain('X509v3 Subject Alternative Name: critical');
    expect(output).toContain(
      `URI:${workload}, DNS:cart.shop.svc, IP Address:127.0.0.1, IP Address:2001:DB8:0:0:0:0:0:1`,
    );
    expect(output).toContain('TLS Web Server Authentication, TLS Web Client Authentication');
    expect(output).toMatch(/X509v3 Basic Constraints: critical\n\s+CA:FALSE/);
    expect(output).toMatch(/X509v3 Key Usage: critical\n\s+Digital Signature/);
    expect(output).toContain('X509v3 Authority Key Identifier');
    const between = openssl(
      ['x509', '-noout', '-text', '-in', 'between.pem'],
      files(root, intermediate, leaf),
    );
    expect(between.output).toMatch(/Basic Constraints: critical\n\s+CA:TRUE, pathlen:0/);
    expect(between.output).toMatch(/Key Usage: critical\n\s+Certificate Sign, CRL Sign/);
  });

  test('openssl accepts our certificate request', () => {
    const key = generateKeySync(kind);
    const csr = createCsr(key, { uriSans: [workload], dnsSans: ['cart'] });
    const result = openssl(['req', '-verify', '-noout', '-text', '-in', 'a.csr'], { 'a.csr': csrPem(csr) });
    expect(result.status).toBe(0);
    expect(result.output).toContain('verify OK');
    expect(result.output).toContain(`URI:${workload}, DNS:cart`);
  });

  test('openssl refuses a leaf that our list revokes, and takes its neighbour', () => {
    const neighbour = leafOf(intermediate, kind);
    const crl = issueCrl(intermediate, {
      number: 3,
      thisUpdateMs: nowMs - 1000,
      nextUpdateMs: nowMs + hourMs,
      revoked: [{ serial: leaf.serial, revokedMs: nowMs - 1000 }],
    });
    const check = (one: typeof leaf) =>
      openssl(
        [
          'verify',
          '-crl_check',
          '-CAfile',
          'root.pem',
          '-untrusted',
          'between.pem',
          '-CRLfile',
          'crl.pem',
          'leaf.pem',
        ],
        { ...files(root, intermediate, one), 'crl.pem': crlPem(crl) },
      );
    expect(check(leaf).output).toContain('certificate revoked');
    expect(check(neighbour)).toEqual({ status: 0, output: 'leaf.pem: OK\n' });
    const read = good(parseCrl(crlPem(crl)));
    expect([...read.revokedSerials]).toEqual([leaf.serial]);
    expect(verifyCrl(read, intermediate.certificate)).toBeNull();
    expect(verifyCrl(read, root.certificate)?.code).toBe('untrusted');
  });
});

test('an empty list is a list', () => {
  const { root } = authority('ecdsa-p256');
  const crl = issueCrl(root, { number: 1, thisUpdateMs: nowMs, nextUpdateMs: nowMs + hourMs, revoked: [] });
  const { output } = openssl(['crl', '-noout', '-text', '-CAfile', 'root.pem', '-in', 'crl.pem'], {
    'crl.pem': crlPem(crl),
    'root.pem': certificatePem(root.certificate),
  });
  expect(output).toContain('verify OK');
  expect(output).toContain('No Revoked Certificates');
  expect(good(parseCrl(crl)).nextUpdateMs).toBe(nowMs + hourMs);
});

test('a leaf with a subject has an alternative name that is not critical, and its subject reads back', () => {
  const { intermediate } = authority('ecdsa-p256');
  const leaf = leafOf(intermediate, 'ecdsa-p256', { commonName: 'a, "b" <c>' });
  expect(leaf.subject).toBe('CN=a\\, \\"b\\" \\<c\\>');
  const { output } = openssl(['x509', '-noout', '-text', '-in', 'a.pem'], { 'a.pem': certificatePem(leaf) });
  expect(output).toContain('X509v3 Subject Alternative Name: \n');
});

test('openssl sees the serial, the times, the digest and the subject as we do', () => {
  const { intermediate, root } = authority('ecdsa-p256');
  const leaf = leafOf(intermediate, 'ecdsa-p256', { commonName: 'cart' });
  const { output } = openssl(
    [
      'x509',
      '-noout',
      '-serial',
      '-fingerprint',
      '-sha256',
      '-enddate',
      '-dateopt',
      'iso_8601',
      '-subject',
      '-issuer',
      '-nameopt',
      'RFC2253',
      '-in',
      'leaf.pem',
    ],
    files(root, intermediate, leaf),
  );
  const line = (name: string) =>
    output
      .split('\n')
      .find((one) => one.toLowerCase().startsWith(name))
      ?.split('=')
      .slice(1)
      .join('=');
  expect(line('serial')?.toLowerCase()).toBe(leaf.serial);
  expect(line('sha256 fingerprint')?.replaceAll(':', '').toLowerCase()).toBe(leaf.sha256);
  expect(Date.parse(line('notafter')?.replace(' ', 'T') ?? '')).toBe(leaf.notAfterMs);
  expect(line('subject')).toBe(leaf.subject);
  expect(line('issuer')).toBe(leaf.issuer);
});

test('certificates that openssl wrote are read, times beyond 2049 among them', () => {
  const { output } = openssl(
    [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-keyout',
      '/dev/null',
      '-days',
      '20000',
      '-subj',
      '/C=DE/O=A\\+B/OU=x/CN=Ünï',
      '-utf8',
      '-addext',
      'subjectAltName=URI:spiffe://a/b,email:a@b.c,IP:::1',
    ],
    {},
  );
  const certificate = good(parseCertificate(output.slice(output.indexOf('-----BEGIN CERT'))));
  expect(certificate.subject).toBe('CN=Ünï,OU=x,O=A\\+B,C=DE');
  expect(certificate.uriSans).toEqual(['spiffe://a/b']);
  expect(certificate.emailSans).toEqual(['a@b.c']);
  expect(certificate.ipSans).toEqual(['::1']);
  expect(certificate.isCa).toBe(true);
  expect(new Date(certificate.notAfterMs).getUTCFullYear()).toBeGreaterThan(2049);
});

test('requests that openssl wrote are read', () => {
  const { output } = openssl(
    [
      'req',
      '-new',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-keyout',
      '/dev/null',
      '-subj',
      '/',
      '-addext',
      `subjectAltName=URI:${workload}`,
    ],
    {},
  );
  expect(good(parseCsr(output.slice(output.indexOf('-----BEGIN CERTIFICATE REQ')))).uriSans).toEqual([
    workload,
  ]);
});

test('keys of every kind survive a file, and openssl takes them', () => {
  for (const kind of keyKinds.slice(0, 3)) {
    const key = generateKeySync(kind);
    const pem = exportPrivateKey(key);
    expect(good(importPrivateKey(pem)).spki).toEqual(key.spki);
    expect(openssl(['pkey', '-check', '-noout', '-in', 'key.pem'], { 'key.pem': pem }).status).toBe(0);
  }
});

test('a chain is read whole, and text around it forgiven', () => {
  const { root, intermediate } = authority('ecdsa-p256');
  const text = `subject=x\n${certificatePem(intermediate.certificate)}\n# root\n${certificatePem(root.certificate)}`;
  expect(good(parseChain(text)).map(({ subjectCommonName }) => subjectCommonName)).toEqual([
    'between',
    'root',
  ]);
});
