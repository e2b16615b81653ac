/** The certificates of an authority: a root that signs itself, and intermediates below it that sign leaves. */
import type { KeyPair } from '../keys.ts';
import { isProblem } from '../problem.ts';
import { parseCertificate, type Certificate } from './certificate.ts';
import { issueCertificate, type Issuer } from './issue-certificate.ts';

export interface AuthoritySpec {
  readonly organization: string;
  readonly commonName: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** An authority that can sign: its own certificate and key, and what a client needs to get from it to a root. */
export interface Authority {
  readonly certificate: Certificate;
  readonly key: KeyPair;
}

export function createRoot(key: KeyPair, spec: AuthoritySpec): Authority {
  return create({ certificate: null, key }, key, spec, null);
}

/** Signs leaves and no further authorities (path length 0). Lives no longer than its issuer. */
export function createIntermediate(issuer: Authority, key: KeyPair, spec: AuthoritySpec): Authority {
  return create(issuer, key, spec, 0);
}

function create(issuer: Issuer, key: KeyPair, spec: AuthoritySpec, pathLength: number | null): Authority {
  const notAfterMs = Math.min(spec.notAfterMs, issuer.certificate?.notAfterMs ?? spec.notAfterMs);
  const certificate = parseCertificate(
    issueCertificate(issuer, {
      subject: { organization: spec.organization, commonName: spec.commonName },
      spki: key.spki,
      notBeforeMs: spec.notBeforeMs,
      notAfterMs,
      authority: { pathLength },
    }),
  );
  // Invariant: what this package writes, it reads.
  if (isProblem(certificate)) throw new Error(`an authority's own certificate is ${certificate.message}`);
  return { certificate, key };
}
