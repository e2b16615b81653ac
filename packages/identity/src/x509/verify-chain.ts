/**
 * Is a chain trusted (RFC 5280 §6, without policies and name constraints, whose critical forms are refused when they
 * are read)? TLS engines judge the chains of connections; this judges what comes by other ways: a certificate that
 * asks for its renewal, files that an operator brings, the first contact with a pinned root.
 */
import { oids } from '../der/oid.ts';
import { problem, type Problem } from '../problem.ts';
import type { Certificate } from './certificate.ts';
import { verifyCrl, type Crl } from './crl.ts';
import { keyUsageBits } from './extensions.ts';
import { verifySignature } from './signature.ts';

export interface VerifyOptions {
  readonly nowMs: number;
  /** How long after its end a leaf is still taken; 0 unless the operator allowed more. Authorities get none. */
  readonly expiredLeafMs?: number;
  /** What the leaf must be good for. */
  readonly usage?: 'server' | 'client';
  readonly crls?: readonly Crl[];
}

const maxDepth = 8;
/**
 * Signatures verified for one verdict. A peer that shows authorities of its own, all of one name and one key, could
 * otherwise have every order of them tried: seven keep a core busy for seconds.
 */
const maxSignatures = 64;

interface Search {
  readonly others: readonly Certificate[];
  readonly roots: readonly Certificate[];
  readonly options: VerifyOptions;
  signaturesLeft: number;
}

/**
 * The path from the leaf to a trusted root, both included; what is wrong otherwise. `presented` begins with the leaf,
 * the order of the rest does not matter.
 */
export function verifyChain(
  presented: readonly Certificate[],
  roots: readonly Certificate[],
  options: VerifyOptions,
): readonly Certificate[] | Problem {
  const [leaf, ...others] = presented;
  if (leaf === undefined) return problem('malformed', 'no certificate');
  const wrong = judgeTime(leaf, options.nowMs, options.expiredLeafMs ?? 0) ?? judgeUsage(leaf, options.usage);
  return wrong ?? extend([leaf], { others, roots, options, signaturesLeft: maxSignatures });
}

/** Depth first over the issuers that fit: cross-signed intermediates give several. */
function extend(path: readonly Certificate[], search: Search): readonly Certificate[] | Problem {
  const { others, roots } = search;
  const last = path[path.length - 1];
  if (last === undefined || path.length > maxDepth) return problem('untrusted', 'the chain is too long');
  if (roots.some((root) => root.sha256 === last.sha256)) return path;
  let found: Problem = problem('untrusted', 'no path to a trusted root');
  for (const issuer of [...roots, ...others]) {
    if (Buffer.compare(issuer.subjectDer, last.issuerDer) !== 0) continue;
    if (path.some((one) => one.sha256 === issuer.sha256)) continue;
    if (search.signaturesLeft-- <= 0) return problem('untrusted', 'too many authorities of one name');
    const wrong = judgeIssuer(issuer, last, path.length - 1, search.options);
    if (wrong !== null) {
      found = wrong;
      continue;
    }
    const longer = extend([...path, issuer], search);
    if (!('kind' in longer)) return longer;
    if (longer.code !== 'untrusted') found = longer;
  }
  return found;
}

function judgeIssuer(
  issuer: Certificate,
  subject: Certificate,
  authoritiesBelow: number,
  options: VerifyOptions,
): Problem | null {
  if (!issuer.isCa || issuer.keyUsages?.has(keyUsageBits.keyCertSign) === false)
    return problem('wrong-usage', 'signed by a certificate that is no authority');
  if (issuer.pathLength !== null && authoritiesBelow > issuer.pathLength)
    return problem('wrong-usage', 'more authorities below one than it allows');
  return (
    judgeTime(issuer, options.nowMs, 0) ??
    verifySignature(subject.signatureAlgorithm, issuer.publicKey, subject.tbs, subject.signature) ??
    judgeRevocation(issuer, subject, options.crls ?? [])
  );
}

function judgeTime(certificate: Certificate, nowMs: number, graceMs: number): Problem | null {
  if (nowMs < certificate.notBeforeMs) return problem('not-yet-valid', 'the certificate is not yet valid');
  return nowMs > certificate.notAfterMs + graceMs ? problem('expired', 'the certificate has expired') : null;
}

function judgeUsage(leaf: Certificate, usage: 'server' | 'client' | undefined): Problem | null {
  if (usage === undefined || leaf.extKeyUsages === null) return null;
  const wanted = usage === 'server' ? oids.serverAuth : oids.clientAuth;
  const isGood = leaf.extKeyUsages.includes(wanted) || leaf.extKeyUsages.includes(oids.anyExtKeyUsage);
  return isGood ? null : problem('wrong-usage', `the certificate is not for a ${usage}`);
}

/** A list whose signature is not its issuer's revokes nothing: who could place one could cut off anybody. */
function judgeRevocation(issuer: Certificate, subject: Certificate, crls: readonly Crl[]): Problem | null {
  const isRevoked = crls.some(
    (crl) => crl.revokedSerials.has(subject.serial) && verifyCrl(crl, issuer) === null,
  );
  return isRevoked ? problem('revoked', 'the certificate has been revoked') : null;
}
