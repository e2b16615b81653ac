/**
 * Certificate requests (PKCS #10, RFC 2986): the public key and the names of who asks, signed with the private key
 * that never leaves it. What a request says of itself is a wish; who signs decides what it is granted.
 */
import type { KeyObject } from 'node:crypto';
import { contextTagConstructed, derTag } from '../der/der-tag.ts';
import { certificateLimits, DerReader } from '../der/der-reader.ts';
import { derBitString, derInteger, derOid, derSequence, derSet, derValue } from '../der/der-writer.ts';
import { oids } from '../der/oid.ts';
import { kindOf, type KeyPair } from '../keys.ts';
import { derOf, formatPem } from '../pem.ts';
import { isProblem, type Problem } from '../problem.ts';
import { nameOf } from './certificate.ts';
import { writeName, type NameParts } from './distinguished-name.ts';
import { noExtensions, readExtensions, writeExtension, type Extensions } from './extensions.ts';
import { writeGeneralNames, type SubjectAltNames } from './general-names.ts';
import { publicKeyOf, readAlgorithm, signatureAlgorithm, signDer, verifySignature } from './signature.ts';

export interface CsrNames extends Partial<SubjectAltNames> {
  readonly subject?: NameParts;
}

export interface Csr extends SubjectAltNames {
  readonly der: Uint8Array;
  /** RFC 4514. */
  readonly subject: string;
  readonly spki: Uint8Array;
  readonly publicKey: KeyObject;
}

const csrLabel = 'CERTIFICATE REQUEST';

/** DER. */
export function createCsr(key: KeyPair, names: CsrNames): Uint8Array {
  const isCritical = names.subject?.commonName === undefined && names.subject?.organization === undefined;
  const extension = writeExtension(oids.subjectAltName, isCritical, writeGeneralNames(names));
  const attribute = derSequence(derOid(oids.extensionRequest), derSet(derSequence(extension)));
  const info = derSequence(
    derInteger(0),
    writeName(names.subject ?? {}),
    key.spki,
    derValue(contextTagConstructed(0), attribute),
  );
  return derSequence(info, signatureAlgorithm(key), derBitString(signDer(key, info)));
}

export function csrPem(der: Uint8Array): string {
  return formatPem(csrLabel, der);
}

/** DER or PEM; its signature is verified and its key is of a kind that is served. */
export function parseCsr(source: Uint8Array | string): Csr | Problem {
  const der = derOf(source, csrLabel);
  if (isProblem(der)) return der;
  const outer = DerReader.over(der, certificateLimits);
  const request = outer.enter(derTag.sequence);
  outer.finish();
  const info = request.whole();
  const algorithm = readAlgorithm(request);
  const signature = request.bitString();
  request.finish();
  if (outer.problem !== null) return outer.problem;
  const body = readInfo(info);
  if (isProblem(body)) return body;
  const publicKey = publicKeyOf(body.spki);
  if (isProblem(publicKey)) return publicKey;
  const kind = kindOf(publicKey);
  if (isProblem(kind)) return kind;
  const wrong = verifySignature(algorithm, publicKey, info, signature);
  if (wrong !== null) return wrong;
  const { uriSans, dnsSans, ipSans, emailSans } = body.extensions;
  return { der, subject: body.subject, spki: body.spki, publicKey, uriSans, dnsSans, ipSans, emailSans };
}

interface CsrBody {
  readonly subject: string;
  readonly spki: Uint8Array;
  readonly extensions: Extensions;
}

function readInfo(bytes: Uint8Array): CsrBody | Problem {
  const outer = DerReader.over(bytes, certificateLimits);
  const info = outer.enter(derTag.sequence);
  if (info.smallInteger() !== 0) info.fail('not a certificate request of version 1');
  const subject = nameOf(info).text;
  const spki = info.whole();
  let extensions: Extensions = noExtensions;
  const attributes = info.enterOptional(contextTagConstructed(0));
  while (attributes !== null && !attributes.isAtEnd) {
    const attribute = attributes.enter(derTag.sequence);
    const type = attribute.oid();
    const values = attribute.enter(derTag.set);
    if (type === oids.extensionRequest) extensions = readExtensions(values.enter(derTag.sequence));
  }
  info.finish();
  return outer.problem ?? { subject, spki, extensions };
}
