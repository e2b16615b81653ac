/**
 * What a trust domain is trusted by: its roots, several while one takes over from another, and the revocation lists
 * of its authorities.
 */
import { isProblem, type Problem } from './problem.ts';
import { parseChain, chainPem, type Certificate } from './x509/certificate.ts';

export interface TrustBundle {
  readonly trustDomain: string;
  readonly roots: readonly Certificate[];
  /** The roots, one after the other. */
  readonly rootsPem: string;
}

/** Equal roots are kept once, in the order given. */
export function trustBundle(trustDomain: string, roots: readonly Certificate[]): TrustBundle {
  const distinct = [...new Map(roots.map((root) => [root.sha256, root])).values()];
  return { trustDomain, roots: distinct, rootsPem: chainPem(distinct) };
}

export function parseTrustBundle(trustDomain: string, pem: string): TrustBundle | Problem {
  const roots = parseChain(pem);
  return isProblem(roots) ? roots : trustBundle(trustDomain, roots);
}
