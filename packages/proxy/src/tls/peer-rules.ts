/**
 * What a peer's certificate must satisfy: a chain to a trusted root, not revoked, pinned, and of the right
 * name. The engine judges chains; everything it cannot be asked is judged here, resumed sessions included,
 * whose certificates the engine does not look at again.
 */
import { isProblem, verifyChain, verifyCrl } from '@sluice/identity';
import type { Certificate, Crl, Problem } from '@sluice/identity';
import type { CertificateValidationContext } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import type { HandshakeOutcome, TlsFailure } from '../io/tls-context.ts';
import type { PeerCertificate } from '../io/tls-facts.ts';
import { compileSanRules, type SanRule } from './san-rules.ts';
import { crlsOf, trustOf } from './trust.ts';

export interface PeerRules {
  /** Null = chains are not judged. */
  readonly trustedPem: string | null;
  /** Differs between any two sets of roots. */
  readonly trustKey: string;
  readonly roots: () => readonly Certificate[];
  readonly spki: ReadonlySet<string>;
  readonly hashes: ReadonlySet<string>;
  /** Empty = any name. */
  readonly sans: readonly SanRule[];
  readonly crls: readonly Crl[];
  readonly isLeafCrlOnly: boolean;
  readonly allowsExpired: boolean;
  readonly acceptsUntrusted: boolean;
}

/** Every DataSource is inline. */
export function compilePeerRules(message: CertificateValidationContext, scope: ProblemScope): PeerRules {
  const trust = trustOf(message);
  return {
    trustedPem: trust.pem,
    trustKey: trust.key,
    roots: trust.roots,
    spki: new Set(message.verifyCertificateSpki),
    hashes: new Set(message.verifyCertificateHash.map((hash) => hash.replaceAll(':', '').toLowerCase())),
    sans: compileSanRules(message, scope),
    crls: crlsOf(message.crl, scope.at('crl')),
    isLeafCrlOnly: message.onlyVerifyLeafCertCrl,
    allowsExpired: message.allowExpiredCertificate,
    acceptsUntrusted: message.trustChainVerification === 'ACCEPT_UNTRUSTED',
  };
}

/** Null = accepted. The peer has shown a certificate. */
export function judgePeer(outcome: HandshakeOutcome, rules: PeerRules, nowWallMs: number): TlsFailure | null {
  const { peer } = outcome;
  if (peer === null) return { kind: 'untrusted', reason: 'the certificate of the peer cannot be read' };
  const chainError =
    rules.trustedPem === null || rules.acceptsUntrusted ? null : judgeChain(outcome, peer, rules, nowWallMs);
  if (chainError !== null) return { kind: 'untrusted', reason: `certificate verify failed: ${chainError}` };
  if (isRevoked(peer, rules)) return { kind: 'revoked', reason: 'certificate verify failed: CERT_REVOKED' };
  if (!isPinned(peer, rules))
    return { kind: 'hash', reason: 'certificate verify failed: not the pinned certificate' };
  if (rules.sans.length > 0 && !rules.sans.some((rule) => rule(peer)))
    return {
      kind: 'san',
      reason: `certificate verify failed: no subject alternative name matches (${namesOf(peer)})`,
    };
  return null;
}

/**
 * The engine judged by the roots that a handshake began with, and they have been exchanged since: the chain is judged
 * again by those of now. A peer may show a certificate of a new root in the moment in which the root arrives here, and
 * one of a root that was taken away must not slip in.
 */
export function judgedAnew(
  outcome: HandshakeOutcome,
  rules: PeerRules,
  role: 'client' | 'server',
  nowWallMs: number,
): HandshakeOutcome {
  if (outcome.peer === null || rules.trustedPem === null) return outcome;
  const usage = role === 'server' ? 'client' : 'server';
  const verified = verifyChain(outcome.peer.chain, rules.roots(), { nowMs: nowWallMs, usage });
  return { ...outcome, chainError: isProblem(verified) ? engineWord(verified.code) : null };
}

/** As the engine names it. */
function engineWord(code: Problem['code']): string {
  if (code === 'expired') return 'CERT_HAS_EXPIRED';
  return code === 'not-yet-valid' ? 'CERT_NOT_YET_VALID' : 'UNABLE_TO_VERIFY_LEAF_SIGNATURE';
}

/** What is wrong with a chain that is accepted all the same: counted, as in Envoy. */
export function toleratedError({ chainError }: HandshakeOutcome, rules: PeerRules): string | null {
  return rules.acceptsUntrusted && rules.trustedPem !== null ? chainError : null;
}

/** Also asked of established connections, when a list changes. */
export function isRevoked(peer: PeerCertificate, rules: PeerRules): boolean {
  if (rules.crls.length === 0) return false;
  const judged = rules.isLeafCrlOnly ? peer.chain.slice(0, 1) : peer.chain;
  return judged.some((certificate) =>
    rules.crls.some(
      (crl) =>
        crl.revokedSerials.has(certificate.serial) &&
        crl.issuer === certificate.issuer &&
        isGenuine(crl, [...peer.chain, ...rules.roots()]),
    ),
  );
}

/** Whether a peer that was accepted would still lead to a trusted root: roots are taken away too. */
export function isStillTrusted(peer: PeerCertificate, rules: PeerRules, nowWallMs: number): boolean {
  if (rules.trustedPem === null || rules.acceptsUntrusted) return true;
  return !isProblem(verifyChain(peer.chain, rules.roots(), { nowMs: nowWallMs, expiredLeafMs: Infinity }));
}

function judgeChain(
  { chainError, isResumed }: HandshakeOutcome,
  peer: PeerCertificate,
  rules: PeerRules,
  nowWallMs: number,
): string | null {
  // The engine names the last thing it found wrong: what has expired may be foreign as well.
  // As Envoy understands the field, a certificate of the future is let in by it too.
  if (rules.allowsExpired && (chainError === 'CERT_HAS_EXPIRED' || chainError === 'CERT_NOT_YET_VALID'))
    return isStillTrusted(peer, rules, Math.max(nowWallMs, peer.notBeforeMs)) ? null : chainError;
  if (chainError !== null) return chainError;
  return isResumed && !rules.allowsExpired && peer.notAfterMs < nowWallMs ? 'CERT_HAS_EXPIRED' : null;
}

/** Either kind of pin is enough where both are written, as in Envoy. */
function isPinned(peer: PeerCertificate, { spki, hashes }: PeerRules): boolean {
  return (spki.size === 0 && hashes.size === 0) || spki.has(peer.spkiSha256) || hashes.has(peer.sha256);
}

/** A list that its issuer did not sign revokes nothing: who could place one could cut off anybody. */
function isGenuine(crl: Crl, issuers: readonly Certificate[]): boolean {
  let known = genuine.get(crl);
  if (known === undefined) {
    known = issuers.some((issuer) => issuer.subject === crl.issuer && verifyCrl(crl, issuer) === null);
    if (known) genuine.set(crl, known);
  }
  return known;
}
const genuine = new WeakMap<Crl, boolean>();

function namesOf(peer: PeerCertificate): string {
  const names = [...peer.uriSans, ...peer.dnsSans, ...peer.ipSans, ...peer.emailSans];
  return names.length === 0 ? 'it has none' : names.slice(0, 5).join(', ');
}
