/** An X.509 certificate (RFC 5280 §4.1) read: what the mesh judges, logs and shows of it. */
import { createHash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { contextTag, contextTagConstructed, derTag } from '../der/der-tag.ts';
import { certificateLimits, DerReader } from '../der/der-reader.ts';
import { spkiSha256 } from '../keys.ts';
import { derOf, formatPem, parsePem } from '../pem.ts';
import { isProblem, problem, type Problem } from '../problem.ts';
import { serialText } from '../serial.ts';
import { readName, type ReadName } from './distinguished-name.ts';
import { noExtensions, readExtensions, type Extensions } from './extensions.ts';
import { publicKeyOf, readAlgorithm } from './signature.ts';

export interface Certificate extends Extensions {
  readonly der: Uint8Array;
  /** Lower-case hex, whole bytes. */
  readonly serial: string;
  /** RFC 4514. */
  readonly subject: string;
  readonly issuer: string;
  readonly subjectCommonName: string;
  readonly subjectDer: Uint8Array;
  readonly issuerDer: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly spki: Uint8Array;
  /** Base64, as Envoy's `verify_certificate_spki` has it. */
  readonly spkiSha256: string;
  /** Lower-case hex of the SHA-256 of the whole certificate. */
  readonly sha256: string;
  readonly signatureAlgorithm: string;
  /** What the signature is over, and the signature. */
  readonly tbs: Uint8Array;
  readonly signature: Uint8Array;
  readonly publicKey: KeyObject;
}

export const certificateLabel = 'CERTIFICATE';
/** A chain longer than this is no chain of a mesh. */
const maxChainLength = 16;
const version3 = 2;

/** DER, or the first certificate of a PEM text. */
export function parseCertificate(source: Uint8Array | string): Certificate | Problem {
  const der = derOf(source, certificateLabel);
  if (isProblem(der)) return der;
  const outer = DerReader.over(der, certificateLimits);
  const certificate = outer.enter(derTag.sequence);
  outer.finish();
  const tbs = certificate.whole();
  const signatureAlgorithm = readAlgorithm(certificate);
  const signature = certificate.bitString();
  certificate.finish();
  if (outer.problem !== null) return outer.problem;
  const body = readTbs(tbs, signatureAlgorithm);
  if (isProblem(body)) return body;
  const publicKey = publicKeyOf(body.spki);
  if (isProblem(publicKey)) return publicKey;
  return {
    ...body.extensions,
    der,
    serial: body.serial,
    subject: body.subject.text,
    issuer: body.issuer.text,
    subjectCommonName: body.subject.commonName,
    subjectDer: body.subject.der,
    issuerDer: body.issuer.der,
    notBeforeMs: body.notBeforeMs,
    notAfterMs: body.notAfterMs,
    spki: body.spki,
    spkiSha256: spkiSha256(body.spki),
    sha256: createHash('sha256').update(der).digest('hex'),
    signatureAlgorithm,
    tbs,
    signature,
    publicKey,
  };
}

/** Every certificate of a PEM text, in order. No certificate at all is a problem. */
export function parseChain(pem: string): readonly Certificate[] | Problem {
  const blocks = parsePem(pem);
  if (isProblem(blocks)) return blocks;
  const chain: Certificate[] = [];
  for (const block of blocks) {
    if (block.label !== certificateLabel) continue;
    const certificate = parseCertificate(block.der);
    if (isProblem(certificate)) return certificate;
    chain.push(certificate);
    if (chain.length > maxChainLength)
      return problem('too-large', `more than ${maxChainLength} certificates`);
  }
  return chain.length === 0 ? problem('malformed', `no PEM block ${certificateLabel}`) : chain;
}

export function certificatePem(certificate: Pick<Certificate, 'der'>): string {
  return formatPem(certificateLabel, certificate.der);
}

export function chainPem(chain: readonly Pick<Certificate, 'der'>[]): string {
  return chain.map(certificatePem).join('');
}

interface Tbs {
  readonly serial: string;
  readonly issuer: ReadName;
  readonly subject: ReadName;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly spki: Uint8Array;
  readonly extensions: Extensions;
}

function readTbs(bytes: Uint8Array, outerAlgorithm: string): Tbs | Problem {
  const outer = DerReader.over(bytes, certificateLimits);
  const tbs = outer.enter(derTag.sequence);
  const version = tbs.enterOptional(contextTagConstructed(0))?.smallInteger() ?? 0;
  const serial = serialText(tbs.integer());
  // RFC 5280 §4.1.1.2: signed as well, so that nobody can swap the algorithm outside.
  if (readAlgorithm(tbs) !== outerAlgorithm) tbs.fail('two signature algorithms');
  const issuer = nameOf(tbs);
  const validity = tbs.enter(derTag.sequence);
  const notBeforeMs = validity.time();
  const notAfterMs = validity.time();
  const subject = nameOf(tbs);
  const spki = tbs.whole();
  // Unique identifiers, which RFC 5280 §4.1.2.8 tells readers to accept and nobody uses.
  for (const tag of [contextTag(1), contextTag(2)]) if (tbs.peekTag() === tag) tbs.content(tag);
  const list = tbs.enterOptional(contextTagConstructed(3))?.enter(derTag.sequence);
  if (list !== undefined && version !== version3)
    tbs.fail('extensions in a certificate that is not of version 3');
  const extensions = list === undefined ? noExtensions : readExtensions(list);
  tbs.finish();
  if (outer.problem !== null) return outer.problem;
  return { serial, issuer, subject, notBeforeMs, notAfterMs, spki, extensions };
}

export function nameOf(reader: DerReader): ReadName {
  const whole = reader.whole();
  const inner = DerReader.over(whole, certificateLimits);
  const name = readName(inner.enter(derTag.sequence), whole);
  if (inner.problem !== null) reader.failWith(inner.problem);
  return name;
}
