/** How long things live, in one place. Every length is milliseconds. */

export interface AuthoritySettings {
  /** Of a workload's certificate when it does not ask for less. */
  readonly leafTtlMs: number;
  readonly maxLeafTtlMs: number;
  readonly rootTtlMs: number;
  readonly intermediateTtlMs: number;
  /** A new root signs at the latest this long after it came into the bundle, or after `settleMs` where that is more. */
  readonly overlapMs: number;
  /** A new root signs at the earliest this long after it came into the bundle. */
  readonly settleMs: number;
  /** How long after its end a certificate may still ask for its renewal; 0 = never. */
  readonly expiredRenewalMs: number;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/** Istio's: leaves a day, roots ten years. An intermediate of a month keeps its revocation list short. */
export const defaultAuthoritySettings: AuthoritySettings = {
  leafTtlMs: dayMs,
  maxLeafTtlMs: 90 * dayMs,
  rootTtlMs: 3650 * dayMs,
  intermediateTtlMs: 30 * dayMs,
  overlapMs: dayMs,
  settleMs: 10_000,
  expiredRenewalMs: 0,
};

/** Certificates begin in the past: clocks of a fleet are never equal. */
export const backdatingMs = 15 * 60_000;
/** A root gives way when this part of its life has passed. */
export const rootRenewalPart = 0.8;
/** An intermediate gives way when this part of its life has passed. */
export const intermediateRenewalPart = 2 / 3;
