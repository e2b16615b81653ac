/**
 * Whether a secret can be used: its PEM parses, its key fits its certificate, its certificate is not over.
 * Messages name places and never repeat what stands there.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isProblem, parseCrl, parsePem, type Crl } from '@sluice/identity';
import type { CertificateValidationContext, DataSource, Secret, TlsCertificate } from '@sluice/xds';
import type { TlsSettings } from '../io/tls-context.ts';
import { engineContext } from '../io/tls-engine.ts';
import { loadCredential } from '../tls/credential.ts';
import { compilePeerRules } from '../tls/peer-rules.ts';
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
  if (!judgeKey(leaf, textOf(message.privateKey), scope.at('private_key'))) return;
  const credential = loadCredential(message);
  if (typeof credential === 'string') at.error(credential);
  else if (!engineTakes({ credential, trustedPem: null })) at.error('is not taken by the TLS engine');
}

/** True when it fits. */
function judgeKey(leaf: X509Certificate, pem: string, scope: ProblemScope): boolean {
  let problem = pem === '' ? 'is missing' : null;
  try {
    if (problem === null && !leaf.checkPrivateKey(createPrivateKey(pem)))
      problem = 'does not belong to the certificate';
  } catch {
    // The engine's words may repeat parts of the key.
    problem = 'is no unencrypted private key in PEM';
  }
  if (problem !== null) scope.error(problem);
  return problem === null;
}

/** What the loops will ask of it, tried here: they have nobody to refuse it to. */
function engineTakes(material: Pick<TlsSettings, 'credential' | 'trustedPem'>): boolean {
  try {
    engineContext({ ...tryingSettings, ...material });
    return true;
  } catch {
    // The engine's words may repeat parts of the key.
    return false;
  }
}

const tryingSettings: TlsSettings = {
  role: 'server',
  credential: null,
  trustedPem: null,
  asksForCertificate: false,
  alpn: [],
  minVersion: 0x0303,
  maxVersion: 0x0304,
  ciphers: '',
  curves: '',
  hasSessions: false,
  sessionLifetimeMs: 0,
};

function judgeValidation(message: CertificateValidationContext, scope: ProblemScope): void {
  if (message.trustedCa !== undefined) {
    const text = textOf(message.trustedCa);
    const roots = readCertificates(text);
    if (typeof roots === 'string') scope.at('trusted_ca').error(roots);
    else if (!engineTakes({ credential: null, trustedPem: text }))
      scope.at('trusted_ca').error('is not taken by the TLS engine');
  }
  compilePeerRules(message, scope);
  if (message.crl !== undefined && !textOf(message.crl).includes('-----BEGIN X509 CRL-----'))
    scope.at('crl').error('holds no revocation list in PEM');
}
