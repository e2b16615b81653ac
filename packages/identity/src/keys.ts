/**
 * Keys of workloads and authorities: ECDSA P-256 unless asked for another. A private key leaves this module only as
 * PKCS#8 PEM, for a file of mode 0600 that its owner writes.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  generateKeyPairSync,
} from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { problem, type Problem } from './problem.ts';

export const keyKinds = ['ecdsa-p256', 'ecdsa-p384', 'rsa-2048', 'rsa-3072', 'rsa-4096'] as const;
export type KeyKind = (typeof keyKinds)[number];

export interface KeyPair {
  readonly kind: KeyKind;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** SubjectPublicKeyInfo (RFC 5280 §4.1.2.7). */
  readonly spki: Uint8Array;
}

const generateAsync = promisify(generateKeyPair);
type EcKind = Extract<KeyKind, `ecdsa-${string}`>;
/** As the engine names them. */
const curves: Readonly<Record<EcKind, string>> = { 'ecdsa-p256': 'prime256v1', 'ecdsa-p384': 'secp384r1' };
/** NIST SP 800-57: less is no longer acceptable for signatures. */
const minRsaBits = 2048;

export function parseKeyKind(text: string): KeyKind | null {
  return keyKinds.find((one) => one === text) ?? null;
}

/** Off the event loop: an RSA key of 4096 bits takes seconds. */
export async function generateKey(kind: KeyKind = 'ecdsa-p256'): Promise<KeyPair> {
  const pair = isEc(kind)
    ? await generateAsync('ec', { namedCurve: curves[kind] })
    : await generateAsync('rsa', { modulusLength: rsaBits(kind) });
  return pairOf(kind, pair.privateKey, pair.publicKey);
}

/** At once, for what begins with a key: 0.02 ms for P-256. */
export function generateKeySync(kind: KeyKind = 'ecdsa-p256'): KeyPair {
  const pair = isEc(kind)
    ? generateKeyPairSync('ec', { namedCurve: curves[kind] })
    : generateKeyPairSync('rsa', { modulusLength: rsaBits(kind) });
  return pairOf(kind, pair.privateKey, pair.publicKey);
}

/** PKCS#8 PEM. The caller writes it to a 0600 file or keeps it in memory, and never logs it. */
export function exportPrivateKey(key: KeyPair): string {
  return key.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

/** A key as operators bring it: PKCS#8, SEC 1 or PKCS#1, in PEM. */
export function importPrivateKey(pem: string): KeyPair | Problem {
  try {
    const privateKey = createPrivateKey(pem);
    const kind = kindOf(privateKey);
    if (typeof kind !== 'string') return kind;
    return pairOf(kind, privateKey, createPublicKey(pem));
  } catch {
    // The engine's words may repeat parts of the key.
    return problem('malformed', 'not an unencrypted private key in PEM');
  }
}

/** What kind of key this is; a problem for kinds that are not served. */
export function kindOf(key: KeyObject): KeyKind | Problem {
  const details = key.asymmetricKeyDetails;
  if (key.asymmetricKeyType === 'ec') {
    const known = keyKinds.filter(isEc).find((kind) => curves[kind] === details?.namedCurve);
    return known ?? problem('unsupported', 'an elliptic curve other than P-256 and P-384');
  }
  if (key.asymmetricKeyType !== 'rsa') return problem('unsupported', 'a key that is neither ECDSA nor RSA');
  const bits = details?.modulusLength ?? 0;
  if (bits < minRsaBits) return problem('unsupported', `an RSA key of fewer than ${minRsaBits} bits`);
  return bits >= 4096 ? 'rsa-4096' : bits >= 3072 ? 'rsa-3072' : 'rsa-2048';
}

/** Base64 of the SHA-256 of a SubjectPublicKeyInfo: what Envoy's `verify_certificate_spki` pins. */
export function spkiSha256(spki: Uint8Array): string {
  return createHash('sha256').update(spki).digest('base64');
}

function pairOf(kind: KeyKind, privateKey: KeyObject, publicKey: KeyObject): KeyPair {
  return {
    kind,
    privateKey,
    publicKey,
    spki: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })),
  };
}

function isEc(kind: KeyKind): kind is EcKind {
  return kind.startsWith('ecdsa-');
}

function rsaBits(kind: Exclude<KeyKind, EcKind>): number {
  return Number(kind.slice('rsa-'.length));
}
