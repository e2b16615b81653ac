/**
 * What is wrong with a piece of identity, as data: certificates, requests and tokens come from strangers, and a
 * stranger's mistake is a result and not an exception. `message` never repeats bytes of what was given.
 */

export type ProblemCode =
  /** Not DER, not PEM, or not the structure that was expected. */
  | 'malformed'
  /** Larger, deeper or longer than this program takes. */
  | 'too-large'
  /** Well-formed, but of a kind that this program does not verify or sign with. */
  | 'unsupported'
  /** A signature does not fit. */
  | 'bad-signature'
  | 'expired'
  | 'not-yet-valid'
  /** No path to a trusted root. */
  | 'untrusted'
  | 'revoked'
  /** Not what the certificate was issued for, or an authority that may not sign this. */
  | 'wrong-usage'
  /** Not the identity, or not the form of an identity. */
  | 'wrong-identity';

export interface Problem {
  readonly kind: 'problem';
  readonly code: ProblemCode;
  /** One clause, lower case, without a full stop. */
  readonly message: string;
}

export function problem(code: ProblemCode, message: string): Problem {
  return { kind: 'problem', code, message };
}

export function isProblem(value: unknown): value is Problem {
  return typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'problem';
}
