/** @peculiar/x509 as a second judge, written by others from the same documents. */
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import { expect, test } from 'bun:test';
import { generateKeySync } from '../keys.ts';
import { good } from '../openssl.fixture.ts';
import { createRoot } from './authority.ts';
import { parseCertificate } from './certificate.ts';
import { issueCrl, parseCrl } from './crl.ts';
import { createCsr, parseCsr } from './csr.ts';
import { issueCertificate } from './issue-certificate.ts';

const nowMs = Math.floor(Date.now() / 1000) * 1000;
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const uri = 'spiffe://cluster.local/ns/a/sa/b';
const root = createRoot(generateKeySync(), {
  organization: 'o',
  commonName: 'root',
  notBeforeMs: nowMs - 1000,
  notAfterMs: nowMs + 86_400_000,
});
const buffer = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer;

test('it reads and verifies what we write', async () => {
  const key = generateKeySync();
  const der = issueCertificate(root, {
    spki: key.spki,
    notBeforeMs: nowMs - 900_000,
    notAfterMs: nowMs + 1000,
    uriSans: [uri],
  });
  const theirs = new x509.X509Certificate(buffer(der));
  const theirRoot = new x509.X509Certificate(buffer(root.certificate.der));
  expect(await theirs.verify({ publicKey: theirRoot.publicKey, signatureOnly: true })).toBe(true);
  expect(theirs.serialNumber).toBe(good(parseCertificate(der)).serial);
  expect(theirs.notBefore.getTime()).toBe(nowMs - 900_000);
  expect(
    theirs.getExtension(x509.SubjectAlternativeNameExtension)?.names.items.map(({ value }) => value),
  ).toEqual([uri]);
  expect(theirs.getExtension(x509.SubjectAlternativeNameExtension)?.critical).toBe(true);
  expect(await new x509.Pkcs10CertificateRequest(buffer(createCsr(key, { uriSans: [uri] }))).verify()).toBe(
    true,
  );
  const list = new x509.X509Crl(
    buffer(
      issueCrl(root, {
        number: 2,
        thisUpdateMs: nowMs,
        nextUpdateMs: nowMs + 1,
        revoked: [{ serial: '4a01', revokedMs: nowMs }],
      }),
    ),
  );
  expect(await list.verify({ publicKey: theirRoot })).toBe(true);
  expect(list.entries.map(({ serialNumber }) => serialNumber)).toEqual(['4a01']);
});

test('we read what it writes', async () => {
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const theirs = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=theirs, O=o',
    keys,
    signingAlgorithm: algorithm,
    serialNumber: '01ff',
    extensions: [
      new x509.BasicConstraintsExtension(true, 2, true),
      new x509.SubjectAlternativeNameExtension([{ type: 'url', value: uri }]),
    ],
  });
  const ours = good(parseCertificate(new Uint8Array(theirs.rawData)));
  expect(ours).toMatchObject({
    subject: 'O=o,CN=theirs',
    serial: '01ff',
    isCa: true,
    pathLength: 2,
    uriSans: [uri],
  });
  const csr = await x509.Pkcs10CertificateRequestGenerator.create({
    keys,
    signingAlgorithm: algorithm,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'url', value: uri }])],
  });
  expect(good(parseCsr(new Uint8Array(csr.rawData))).uriSans).toEqual([uri]);
  const list = await x509.X509CrlGenerator.create({
    issuer: 'CN=theirs',
    signingAlgorithm: algorithm,
    signingKey: keys.privateKey,
    entries: [
      { serialNumber: '7b', reason: x509.X509CrlReason.keyCompromise, revocationDate: new Date(nowMs) },
    ],
  });
  expect([...good(parseCrl(new Uint8Array(list.rawData))).revokedSerials]).toEqual(['7b']);
});
