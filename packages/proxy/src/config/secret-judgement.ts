/**
 * Whether a secret can be used: its PEM parses, its key fits its certificate, its certificate is not over.
 * Messages name places and never repeat what stands there.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isProblem, parseCrl, parsePem, type Crl } from '@sluice/identity';
import type { CertificateValidationContext, DataSource, Secret, TlsCertificate } from '@sluice/xds';
import type { ProblemScope } from './problems.ts';

/** Every DataSource of the secret is inline. */
export function judgeSecret(secret: Secret, nowWallMs: number, scope: ProblemScope): void {
  if (secret.name === '') scope.at('name').error('must not be empty');
  const { tlsCertificate, validationContext } = secret;
  if (tlsCertificate !== undefined) judgeCertificate(tlsCertificate, nowWallMs, scope.at('tls_certificate'));
  if (validationContext !== undefined) judgeValidation(validationContext, scope.at('validation_context'));
  if (tlsCertificate === undefined && validationContext === undefined)
    scope.error('must hold a tls_certificate or a validation_context');
}

/** The certificates of a PEM text; a text in words when one cannot be read. */
export function readCertificates(pem: string): X509Certificate[] | string {
  const blocks = parsePem(pem);
  if (isProblem(blocks)) return blocks.message;
  const certificates: X509Certificate[] = [];
  for (const block of blocks) {
    if (block.label !== 'CERTIFICATE' && block.label !== 'TRUSTED CERTIFICATE') continue;
    try {
      certificates.push(new X509Certificate(block.der));
    } catch {
      return 'holds a certificate that cannot be read';
    }
  }
  return certificates.length === 0 ? 'holds no certificate in PEM' : certificates;
}

/** The revocation lists of a PEM text that was judged; none for an empty one. */
export function readCrls(pem: string): Crl[] {
  const blocks = parsePem(pem);
  if (isProblem(blocks)) return [];
  return blocks.flatMap(({ label, der }) => {
    const crl = label === 'X509 CRL' ? parseCrl(der) : null;
    return crl === null || isProblem(crl) ? [] : [crl];
  });
}

/** Text of an inline DataSource. */
export function textOf(source: DataSource | undefined): string {
  if (source?.inlineString !== undefined) return source.inlineString;
  return source?.inlineBytes === undefined ? '' : Buffer.from(source.inlineBytes).toString('latin1');
}

function judgeCertificate(message: TlsCertificate, nowWallMs: number, scope: ProblemScope): void {
  const at = scope.at('certificate_chain');
  const chain = readCertificates(textOf(message.certificateChain));
  if (typeof chain === 'string') return at.error(chain);
  const [leaf] = chain;
  if (leaf === undefined) return;
  if (Date.parse(leaf.validTo) <= nowWallMs) at.error(`has expired (${leaf.validTo})`);
  judgeKey(leaf, textOf(message.privateKey), scope.at('private_key'));
}

function judgeKey(leaf: X509Certificate, pem: string, scope: ProblemScope): void {
  if (pem === '') return scope.error('is missing');
  try {
    if (!leaf.checkPrivateKey(createPrivateKey(pem))) scope.error('does not belong to the certificate');
  } catch {
    // The engine's words may repeat parts of the key.
    scope.error('is no unencrypted private key in PEM');
  }
}

function judgeValidation(message: CertificateValidationContext, scope: ProblemScope): void {
  if (message.trustedCa !== undefined) {
    const roots = readCertificates(textOf(message.trustedCa));
    if (typeof roots === 'string') scope.at('trusted_ca').error(roots);
  }
  if (message.crl !== undefined) judgeCrls(textOf(message.crl), scope.at('crl'));
}

/** One list of each authority, one after the other. */
function judgeCrls(pem: string, scope: ProblemScope): void {
  const blocks = parsePem(pem);
  if (isProblem(blocks)) return scope.error(blocks.message);
  const lists = blocks.filter(({ label }) => label === 'X509 CRL');
  if (lists.length === 0) scope.error('holds no revocation list in PEM');
  for (const { der } of lists) {
    const crl = parseCrl(der);
    if (isProblem(crl)) scope.error(crl.message);
  }
}
