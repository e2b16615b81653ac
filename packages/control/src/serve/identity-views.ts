/** What the API shows of identity: data ready to be written as JSON, times in ISO 8601, and no secret in any of it. */
import type { AuthorityPhase, Proof } from '../authority/authority-table.ts';

export interface AuthorityView {
  /** SHA-256 of the certificate, hex. */
  readonly id: string;
  readonly role: 'root' | 'intermediate';
  readonly phase: AuthorityPhase;
  readonly origin: 'own' | 'operator';
  readonly rootId: string;
  readonly subject: string;
  readonly serial: string;
  readonly notBefore: string;
  readonly notAfter: string;
}

export interface CertificateView {
  readonly serial: string;
  readonly identity: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Empty when it is bound to no instance. */
  readonly instance: string;
  readonly proof: Proof;
  readonly authorityId: string;
  readonly rootId: string;
  readonly issuedAt: string;
  readonly notAfter: string;
  /** Its holder asks for the next one between these. */
  readonly renewalFrom: string;
  readonly renewalBy: string;
  readonly revokedAt: string | null;
}

export interface IdentityView {
  readonly trustDomain: string;
  /** Wall clock of the control plane. */
  readonly now: string;
  readonly signing: {
    readonly id: string;
    readonly subject: string;
    readonly notAfter: string;
    readonly rootId: string;
    readonly isOperators: boolean;
  };
  readonly authorities: readonly AuthorityView[];
  /** Authorities' certificates that come to their end and are not being replaced. */
  readonly expiring: readonly { readonly what: string; readonly notAfter: string }[];
  /** Not expired, newest first. */
  readonly certificates: readonly CertificateView[];
}

export interface JoinTokenView {
  readonly id: string;
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly instance: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly number[];
  readonly createdAt: string;
  readonly expiresAt: string;
  readonly state: 'open' | 'used' | 'expired';
}
