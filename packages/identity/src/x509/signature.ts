/** Signatures over DER: AlgorithmIdentifiers, signing with our keys, and verifying with whatever a peer used. */
import { createPublicKey, sign, verify } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { derTag } from '../der/der-tag.ts';
import { derNull, derOid, derSequence } from '../der/der-writer.ts';
import type { DerReader } from '../der/der-reader.ts';
import { oids } from '../der/oid.ts';
import type { KeyPair } from '../keys.ts';
import { problem, type Problem } from '../problem.ts';

/** The digest of each algorithm, null where the key implies it. SHA-1 and MD5 are not served. */
const digests: ReadonlyMap<string, { readonly digest: string | null; readonly keyType: string }> = new Map([
  [oids.ecdsaWithSha256, { digest: 'sha256', keyType: 'ec' }],
  [oids.ecdsaWithSha384, { digest: 'sha384', keyType: 'ec' }],
  [oids.ecdsaWithSha512, { digest: 'sha512', keyType: 'ec' }],
  [oids.sha256WithRsa, { digest: 'sha256', keyType: 'rsa' }],
  [oids.sha384WithRsa, { digest: 'sha384', keyType: 'rsa' }],
  [oids.sha512WithRsa, { digest: 'sha512', keyType: 'rsa' }],
  [oids.ed25519, { digest: null, keyType: 'ed25519' }],
]);

/** AlgorithmIdentifier of what `signDer` makes (RFC 5758 §3.2: no parameters for ECDSA; RFC 4055 §5: NULL for RSA). */
export function signatureAlgorithm(key: KeyPair): Uint8Array {
  if (key.kind === 'ecdsa-p256') return derSequence(derOid(oids.ecdsaWithSha256));
  if (key.kind === 'ecdsa-p384') return derSequence(derOid(oids.ecdsaWithSha384));
  return derSequence(derOid(oids.sha256WithRsa), derNull);
}

export function signDer(key: KeyPair, tbs: Uint8Array): Uint8Array {
  // A digest as strong as the curve (RFC 5758 §3.2 leaves it open, CA/Browser Forum §7.1.3.2.2 asks for it).
  return new Uint8Array(sign(key.kind === 'ecdsa-p384' ? 'sha384' : 'sha256', tbs, key.privateKey));
}

/** The OID of an AlgorithmIdentifier; its parameters are NULL or absent in all that are served. */
export function readAlgorithm(reader: DerReader): string {
  const inner = reader.enter(derTag.sequence);
  const oid = inner.oid();
  if (inner.peekTag() === derTag.null) inner.content(derTag.null);
  else if (!inner.isAtEnd && digests.has(oid)) inner.fail('a signature algorithm with parameters');
  return oid;
}

/** Null when the signature is right. */
export function verifySignature(
  algorithm: string,
  publicKey: KeyObject,
  signed: Uint8Array,
  signature: Uint8Array,
): Problem | null {
  const known = digests.get(algorithm);
  if (known === undefined) return problem('unsupported', 'a signature algorithm that is not served');
  if (publicKey.asymmetricKeyType !== known.keyType)
    return problem('bad-signature', 'a signature of another kind than the key');
  try {
    if (verify(known.digest, signed, publicKey, signature)) return null;
  } catch {
    // Some malformed signatures are refused by throwing.
  }
  return problem('bad-signature', 'the signature is not of this key');
}

/** A public key from its SubjectPublicKeyInfo. */
export function publicKeyOf(spki: Uint8Array): KeyObject | Problem {
  try {
    return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch {
    return problem('malformed', 'not a public key');
  }
}
