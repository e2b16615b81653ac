/** Certificate revocation lists (RFC 5280 §5): the serial numbers that an authority takes back before their time. */
import { contextTagConstructed, derTag } from '../der/der-tag.ts';
import { DerReader, type DerLimits } from '../der/der-reader.ts';
import { derBitString, derInteger, derSequence, derTime, derValue } from '../der/der-writer.ts';
import { oids } from '../der/oid.ts';
import { derOf, formatPem } from '../pem.ts';
import { isProblem, problem, type Problem } from '../problem.ts';
import { serialText } from '../serial.ts';
import type { Authority } from './authority.ts';
import type { Certificate } from './certificate.ts';
import { nameOf } from './certificate.ts';
import { keyUsageBits, writeAuthorityKeyId, writeExtension } from './extensions.ts';
import { readAlgorithm, signatureAlgorithm, signDer, verifySignature } from './signature.ts';

export interface CrlTemplate {
  /** Rises with every list of an issuer (RFC 5280 §5.2.3). */
  readonly number: number;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  readonly revoked: readonly { readonly serial: string; readonly revokedMs: number }[];
}

export interface Crl {
  readonly der: Uint8Array;
  /** RFC 4514. */
  readonly issuer: string;
  readonly issuerDer: Uint8Array;
  readonly thisUpdateMs: number;
  /** Null where the list promises no successor. */
  readonly nextUpdateMs: number | null;
  /** Lower-case hex, as `Certificate.serial`. */
  readonly revokedSerials: ReadonlySet<string>;
  readonly signatureAlgorithm: string;
  readonly tbs: Uint8Array;
  readonly signature: Uint8Array;
}

const crlLabel = 'X509 CRL';
const version2 = 1;
/** Some 20,000 entries: a mesh that revokes more has better rotated its authority. */
const crlLimits: DerLimits = { maxBytes: 1024 * 1024, maxValues: 200_000, maxDepth: 16 };
const harmlessExtensions: ReadonlySet<string> = new Set([oids.crlNumber, oids.authorityKeyId]);

export function issueCrl(issuer: Authority, template: CrlTemplate): Uint8Array {
  const algorithm = signatureAlgorithm(issuer.key);
  const entries = template.revoked.map(({ serial, revokedMs }) =>
    derSequence(derInteger(new Uint8Array(Buffer.from(serial, 'hex'))), derTime(revokedMs)),
  );
  const extensions = derSequence(
    writeExtension(
      oids.authorityKeyId,
      false,
      writeAuthorityKeyId(Buffer.from(issuer.certificate.subjectKeyId, 'hex')),
    ),
    writeExtension(oids.crlNumber, false, derInteger(template.number)),
  );
  const tbs = derSequence(
    derInteger(version2),
    algorithm,
    issuer.certificate.subjectDer,
    derTime(template.thisUpdateMs),
    derTime(template.nextUpdateMs),
    // RFC 5280 §5.1.2.6: absent, not empty, when nothing is revoked.
    ...(entries.length === 0 ? [] : [derSequence(...entries)]),
    derValue(contextTagConstructed(0), extensions),
  );
  return derSequence(tbs, algorithm, derBitString(signDer(issuer.key, tbs)));
}

export function crlPem(der: Uint8Array): string {
  return formatPem(crlLabel, der);
}

/** DER, or the first list of a PEM text. The signature is not verified: see `verifyCrl`. */
export function parseCrl(source: Uint8Array | string): Crl | Problem {
  const der = derOf(source, crlLabel);
  if (isProblem(der)) return der;
  const outer = DerReader.over(der, crlLimits);
  const list = outer.enter(derTag.sequence);
  outer.finish();
  const tbs = list.whole();
  const algorithm = readAlgorithm(list);
  const signature = list.bitString();
  list.finish();
  if (outer.problem !== null) return outer.problem;
  const body = readTbs(tbs, algorithm);
  return isProblem(body) ? body : { ...body, der, signatureAlgorithm: algorithm, tbs, signature };
}

/** RFC 5280 §6.3.3 (f): where key usages are told, signing lists must be among them. */
export function maySignCrls({ keyUsages }: Pick<Certificate, 'keyUsages'>): boolean {
  return keyUsages === null || keyUsages.has(keyUsageBits.crlSign);
}

/** Null when `issuer` signed the list and may sign lists. */
export function verifyCrl(crl: Crl, issuer: Certificate): Problem | null {
  if (Buffer.compare(crl.issuerDer, issuer.subjectDer) !== 0)
    return problem('untrusted', 'a list of another issuer');
  if (!maySignCrls(issuer)) return problem('wrong-usage', 'a list signed by a key that may not sign lists');
  return verifySignature(crl.signatureAlgorithm, issuer.publicKey, crl.tbs, crl.signature);
}

function readTbs(
  bytes: Uint8Array,
  outerAlgorithm: string,
): Omit<Crl, 'der' | 'signatureAlgorithm' | 'tbs' | 'signature'> | Problem {
  const outer = DerReader.over(bytes, crlLimits);
  const tbs = outer.enter(derTag.sequence);
  if (tbs.peekTag() === derTag.integer && tbs.smallInteger() !== version2)
    tbs.fail('not a version of revocation lists');
  if (readAlgorithm(tbs) !== outerAlgorithm) tbs.fail('two signature algorithms');
  const issuer = nameOf(tbs);
  const thisUpdateMs = tbs.time();
  const isTime = tbs.peekTag() === derTag.utcTime || tbs.peekTag() === derTag.generalizedTime;
  const nextUpdateMs = isTime ? tbs.time() : null;
  const revokedSerials = new Set<string>();
  const entries = tbs.enterOptional(derTag.sequence);
  while (entries !== null && !entries.isAtEnd) {
    const entry = entries.enter(derTag.sequence);
    revokedSerials.add(serialText(entry.integer()));
    entry.time();
    if (!entry.isAtEnd) refuseCritical(entry.enter(derTag.sequence));
  }
  const extensions = tbs.enterOptional(contextTagConstructed(0));
  if (extensions !== null) refuseCritical(extensions.enter(derTag.sequence));
  tbs.finish();
  return (
    outer.problem ?? {
      issuer: issuer.text,
      issuerDer: issuer.der,
      thisUpdateMs,
      nextUpdateMs,
      revokedSerials,
    }
  );
}

/** RFC 5280 §5.2: a list with a critical extension that is not understood (a delta, a partition) says less than it seems. */
function refuseCritical(list: DerReader): void {
  while (!list.isAtEnd) {
    const extension = list.enter(derTag.sequence);
    const oid = extension.oid();
    const isCritical = extension.peekTag() === derTag.boolean ? extension.boolean() : false;
    extension.content(derTag.octetString);
    if (isCritical && !harmlessExtensions.has(oid))
      list.failWith(problem('unsupported', 'a critical extension that is not understood'));
  }
}
