/**
 * Writing certificates (RFC 5280 §4.1): what a template says, under an issuer's name, signed with its key.
 * X.509-SVIDs are as SPIFFE's X509-SVID document §4 has them: one URI, no CA bit, digitalSignature, both extended
 * usages, and a critical subject alternative name where the subject is empty (RFC 5280 §4.2.1.6).
 */
import { createHash } from 'node:crypto';
import { contextTagConstructed } from '../der/der-tag.ts';
import {
  derBitString,
  derInteger,
  derOctets,
  derOid,
  derSequence,
  derTime,
  derValue,
} from '../der/der-writer.ts';
import { oids } from '../der/oid.ts';
import type { KeyPair } from '../keys.ts';
import { randomSerial } from '../serial.ts';
import type { Certificate } from './certificate.ts';
import { writeName, type NameParts } from './distinguished-name.ts';
import {
  keyUsageBits,
  writeAuthorityKeyId,
  writeBasicConstraints,
  writeExtension,
  writeKeyUsage,
} from './extensions.ts';
import { writeGeneralNames, type SubjectAltNames } from './general-names.ts';
import { signatureAlgorithm, signDer } from './signature.ts';

/** Who signs: a certificate and its key, or a key alone for what signs itself. */
export interface Issuer {
  readonly certificate: Certificate | null;
  readonly key: KeyPair;
}

export interface CertificateTemplate extends Partial<SubjectAltNames> {
  readonly subject?: NameParts;
  /** SubjectPublicKeyInfo of who it is for. */
  readonly spki: Uint8Array;
  /** Whole seconds are written. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Undefined for a leaf. */
  readonly authority?: { readonly pathLength: number | null };
  /** Of a leaf; both by default. */
  readonly usages?: readonly ('server' | 'client')[];
  /** Big-endian, positive; random by default. */
  readonly serial?: Uint8Array;
}

const version3 = 2;

/** DER of the certificate. */
export function issueCertificate(issuer: Issuer, template: CertificateTemplate): Uint8Array {
  const subject = writeName(template.subject ?? {});
  const algorithm = signatureAlgorithm(issuer.key);
  const tbs = derSequence(
    derValue(contextTagConstructed(0), derInteger(version3)),
    derInteger(template.serial ?? randomSerial()),
    algorithm,
    issuer.certificate?.subjectDer ?? subject,
    derSequence(derTime(template.notBeforeMs), derTime(template.notAfterMs)),
    subject,
    template.spki,
    derValue(contextTagConstructed(3), derSequence(...writeExtensions(issuer, template))),
  );
  return derSequence(tbs, algorithm, derBitString(signDer(issuer.key, tbs)));
}

/**
 * RFC 7093 §2 method 1: the first 160 bits of the SHA-256 of the key. Of the whole SubjectPublicKeyInfo, as its
 * BIT STRING alone would need a parse for the same uniqueness.
 */
export function keyIdOf(spki: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(spki).digest().subarray(0, 20));
}

function writeExtensions(issuer: Issuer, template: CertificateTemplate): Uint8Array[] {
  const { authority } = template;
  const extensions = [
    writeExtension(
      oids.basicConstraints,
      true,
      writeBasicConstraints(authority !== undefined, authority?.pathLength ?? null),
    ),
    writeExtension(oids.keyUsage, true, writeKeyUsage(keyUsagesOf(template))),
    writeExtension(oids.subjectKeyId, false, derOctets(keyIdOf(template.spki))),
  ];
  const issuerKeyId =
    issuer.certificate === null
      ? keyIdOf(issuer.key.spki)
      : Buffer.from(issuer.certificate.subjectKeyId, 'hex');
  if (issuerKeyId.length > 0)
    extensions.push(writeExtension(oids.authorityKeyId, false, writeAuthorityKeyId(issuerKeyId)));
  if (authority === undefined) {
    const usages = template.usages ?? ['server', 'client'];
    const usageOids = usages.map((usage) => derOid(usage === 'server' ? oids.serverAuth : oids.clientAuth));
    extensions.push(writeExtension(oids.extKeyUsage, false, derSequence(...usageOids)));
  }
  const { uriSans = [], dnsSans = [], ipSans = [], emailSans = [] } = template;
  if (uriSans.length + dnsSans.length + ipSans.length + emailSans.length > 0) {
    const hasSubject =
      template.subject?.commonName !== undefined || template.subject?.organization !== undefined;
    const names = writeGeneralNames({ uriSans, dnsSans, ipSans, emailSans });
    extensions.push(writeExtension(oids.subjectAltName, !hasSubject, names));
  }
  return extensions;
}

/** RSA keys also encipher keys for clients that still speak TLS 1.2 with RSA key exchange. */
function keyUsagesOf({ authority, spki }: CertificateTemplate): readonly number[] {
  if (authority !== undefined) return [keyUsageBits.keyCertSign, keyUsageBits.crlSign];
  return isRsa(spki)
    ? [keyUsageBits.digitalSignature, keyUsageBits.keyEncipherment]
    : [keyUsageBits.digitalSignature];
}

const rsaOid = Buffer.from(derOid('1.2.840.113549.1.1.1'));

/** The algorithm stands within the first bytes of a SubjectPublicKeyInfo. */
function isRsa(spki: Uint8Array): boolean {
  return Buffer.from(spki.subarray(0, 32)).includes(rsaOid);
}
