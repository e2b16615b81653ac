/**
 * The workload's credential: what an authority answered, judged before it is used, and its two forms, the
 * file's and the one that TLS takes.
 */
import {
  chainPem,
  importPrivateKey,
  isProblem,
  parseChain,
  problem,
  verifyChain,
  type Certificate,
  type KeyPair,
  type Problem,
} from '@sluice/identity';
import type { Lifetime } from './renewal-plan.ts';

export interface Credential extends Lifetime {
  /** PKCS#8. Never logged, never shown. */
  readonly keyPem: string;
  /** What peers are shown: leaf first, without the root. */
  readonly shownPem: string;
  /** The root that the chain came with; null when it came without. */
  readonly root: Certificate | null;
  readonly leaf: Certificate;
  /** Empty for a certificate that names none. */
  readonly spiffeId: string;
}

/** A chain as the authority sends it (leaf first, root last) for the key that it was asked for. */
export function credentialOf(
  keyPem: string,
  chainText: string,
  obtainedMs: number,
  expectedId: string,
): Credential | Problem {
  const key = importPrivateKey(keyPem);
  if (isProblem(key)) return key;
  const chain = parseChain(chainText);
  if (isProblem(chain)) return chain;
  const leaf = chain[0];
  if (leaf === undefined) return problem('malformed', 'a chain without certificates');
  if (!isOf(key, leaf)) return problem('wrong-identity', 'the certificate is for another key');
  const spiffeId = leaf.uriSans.find((uri) => uri.startsWith('spiffe://')) ?? '';
  if (expectedId !== '' && spiffeId !== expectedId)
    return problem(
      'wrong-identity',
      `the certificate is for ${spiffeId || 'no SPIFFE ID'}, not ${expectedId}`,
    );
  const last = chain[chain.length - 1];
  const root = last !== undefined && last !== leaf && isSelfIssued(last) ? last : null;
  const shown = root === null ? chain : chain.slice(0, -1);
  const broken = root === null ? null : brokenLink(shown, root);
  if (broken !== null) return broken;
  return {
    keyPem,
    shownPem: chainPem(shown),
    root,
    leaf,
    spiffeId,
    notBeforeMs: leaf.notBeforeMs,
    notAfterMs: leaf.notAfterMs,
    obtainedMs,
  };
}

/** As `IdentityDir` keeps it. */
export function credentialText(credential: Credential): string {
  const root = credential.root === null ? '' : chainPem([credential.root]);
  return `${credential.keyPem.trimEnd()}\n${credential.shownPem}${root}`;
}

/** From the text that `credentialText` made. */
export function readCredentialText(
  text: string,
  obtainedMs: number,
  expectedId: string,
): Credential | Problem {
  const key = /-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*-----END [A-Z ]*PRIVATE KEY-----\n?/.exec(text)?.[0];
  if (key === undefined) return problem('malformed', 'no private key');
  return credentialOf(key, text.replace(key, ''), obtainedMs, expectedId);
}

/** Whether signatures lead from the leaf to the root; dates are not asked here, because clocks differ. */
function brokenLink(shown: readonly Certificate[], root: Certificate): Problem | null {
  const nowMs = Math.max(...[...shown, root].map(({ notBeforeMs }) => notBeforeMs));
  const verified = verifyChain(shown, [root], { nowMs, expiredLeafMs: Infinity });
  return isProblem(verified)
    ? problem(verified.code, `the chain does not hold together: ${verified.message}`)
    : null;
}

export function isSelfIssued(certificate: Certificate): boolean {
  return Buffer.compare(certificate.subjectDer, certificate.issuerDer) === 0;
}

function isOf(key: KeyPair, leaf: Certificate): boolean {
  return Buffer.compare(key.spki, leaf.spki) === 0;
}
