/** By what the workload says who it is, and what of a failure says about that. */
import { GrpcStatus } from '@sluice/wire';
import type { Lifetime } from './renewal-plan.ts';

export type Proof = 'certificate' | 'token';

export interface ProofQuestion {
  /** Null: there is no certificate. */
  readonly certificate: Lifetime | null;
  readonly isRevoked: boolean;
  /** After its end a certificate may still speak for itself so long. */
  readonly allowExpiredMs: number;
  readonly nowMs: number;
  /** What was refused by the last try. */
  readonly refused: Proof | null;
  /** Tries in a row that have failed. */
  readonly failures: number;
  hasToken(): boolean;
}

/** Of so many tries in a row that fail for no clear reason, the token has one. */
const tokenTurn = 4;

/** A certificate speaks for itself while it may; the token is for the first time, and for when that failed. */
export function chooseProof(question: ProofQuestion): Proof {
  const { certificate, isRevoked, allowExpiredMs, nowMs, refused, failures } = question;
  if (certificate === null || isRevoked || nowMs >= certificate.notAfterMs + allowExpiredMs) return 'token';
  // Some refusals look like a connection that breaks: those who do not take our certificate say so by an alert.
  const isTokensTurn = refused === 'certificate' || failures % tokenTurn === tokenTurn - 1;
  return isTokensTurn && question.hasToken() ? 'token' : 'certificate';
}

/** The authority has not taken the proof, rather than being unable to answer. */
export function isRefusal(code: number): boolean {
  return code === GrpcStatus.unauthenticated || code === GrpcStatus.permissionDenied;
}
