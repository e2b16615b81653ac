/** Certificates, requests, lists and tokens: no bytes make a parser throw, and what it reads stays the same when read again. */
import { generateKeySync } from './keys.ts';
import { formatJoinToken, newJoinToken, parseJoinToken } from './join-token.ts';
import { isProblem } from './problem.ts';
import { createRoot } from './x509/authority.ts';
import { certificatePem, parseCertificate, parseChain } from './x509/certificate.ts';
import { issueCrl, parseCrl } from './x509/crl.ts';
import { createCsr, parseCsr } from './x509/csr.ts';
import { issueCertificate } from './x509/issue-certificate.ts';
import { verifyChain } from './x509/verify-chain.ts';

const nowMs = Date.UTC(2026, 0, 1);
const key = generateKeySync();
const root = createRoot(key, {
  organization: 'o',
  commonName: 'c',
  notBeforeMs: nowMs,
  notAfterMs: nowMs + 1e10,
});

export default {
  name: 'identity',
  seeds: (): Uint8Array[] => [
    root.certificate.der,
    issueCertificate(root, {
      spki: key.spki,
      notBeforeMs: nowMs,
      notAfterMs: nowMs + 1e9,
      uriSans: ['spiffe://a/ns/b/sa/c'],
      dnsSans: ['a.b'],
      ipSans: ['10.0.0.1', '::1'],
    }),
    createCsr(key, { uriSans: ['spiffe://a/ns/b/sa/c'] }),
    issueCrl(root, {
      number: 1,
      thisUpdateMs: nowMs,
      nextUpdateMs: nowMs + 1,
      revoked: [{ serial: '4a', revokedMs: nowMs }],
    }),
    new Uint8Array(Buffer.from(certificatePem(root.certificate))),
    new Uint8Array(Buffer.from(formatJoinToken(newJoinToken(['ab'.repeat(32)], '127.0.0.1:15012')))),
  ],
  run(bytes: Uint8Array): void {
    const certificate = parseCertificate(bytes);
    if (!isProblem(certificate)) {
      const again = parseCertificate(certificatePem(certificate));
      if (isProblem(again) || again.sha256 !== certificate.sha256)
        throw new Error('a certificate that reads otherwise as PEM');
      verifyChain([certificate], [root.certificate], { nowMs });
    }
    parseCsr(bytes);
    parseCrl(bytes);
    const text = Buffer.from(bytes).toString('latin1');
    parseChain(text);
    const token = parseJoinToken(text);
    if (!isProblem(token) && isProblem(parseJoinToken(formatJoinToken(token))))
      throw new Error('a token that cannot be written');
  },
};
