/**
 * When a certificate is renewed, when its end becomes an alarm, and what its dates say about two clocks.
 * Pure: times are wall-clock milliseconds.
 *
 * The lifetime is counted from when we got the certificate, not from its `notBefore`: authorities backdate
 * (Istio's by 2 minutes, ours by 15), and a short certificate would otherwise be old on arrival.
 */

export interface Lifetime {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** When this workload received it. */
  readonly obtainedMs: number;
}

export type AlarmLevel = 'none' | 'low' | 'urgent' | 'expired';

/** Renewal falls between these parts of the lifetime, at random, so that a fleet started together spreads out. */
const earliestRenewal = 0.5;
const latestRenewal = 0.7;
/** Renewal has failed for a while when this little is left. */
const lowPart = 0.25;
const urgentPart = 0.1;
/** Certificates that live for years are no matter of alarm before these. */
const maxLowMs = 30 * 24 * 3_600_000;
const maxUrgentMs = 7 * 24 * 3_600_000;
/** A fresh certificate older than this was dated by a clock that is not ours: nobody backdates so far. */
const maxBackdatingMs = 3_600_000;

/** `draw`: uniform in [0, 1). */
export function renewAtMs(lifetime: Lifetime, draw: number): number {
  const part = earliestRenewal + draw * (latestRenewal - earliestRenewal);
  const startMs = startOf(lifetime);
  return startMs + (lifetime.notAfterMs - startMs) * part;
}

export function alarmLevel(lifetime: Lifetime, nowMs: number): AlarmLevel {
  const leftMs = lifetime.notAfterMs - nowMs;
  if (leftMs <= 0) return 'expired';
  const [lowMs, urgentMs] = stagesOf(lifetime);
  if (leftMs <= urgentMs) return 'urgent';
  return leftMs <= lowMs ? 'low' : 'none';
}

/** When the level changes next; Infinity after the end. */
export function nextAlarmAtMs(lifetime: Lifetime, nowMs: number): number {
  const turns = [...stagesOf(lifetime), 0].map((leftMs) => lifetime.notAfterMs - leftMs);
  return turns.find((turnMs) => turnMs > nowMs) ?? Infinity;
}

function stagesOf(lifetime: Lifetime): [lowMs: number, urgentMs: number] {
  const lengthMs = lifetime.notAfterMs - startOf(lifetime);
  return [Math.min(lengthMs * lowPart, maxLowMs), Math.min(lengthMs * urgentPart, maxUrgentMs)];
}

/** Words for a fresh certificate whose dates do not fit our clock; null when they do. */
export function clockProblem(lifetime: Lifetime): string | null {
  const { notBeforeMs, notAfterMs, obtainedMs } = lifetime;
  if (notBeforeMs > obtainedMs)
    return `the certificate is valid only from ${iso(notBeforeMs)}, ${seconds(notBeforeMs - obtainedMs)} after this clock (${iso(obtainedMs)}): this clock is behind the authority's`;
  if (notAfterMs <= obtainedMs)
    return `the certificate was issued already expired (${iso(notAfterMs)}) by this clock (${iso(obtainedMs)}): this clock is ahead of the authority's`;
  if (obtainedMs - notBeforeMs > maxBackdatingMs)
    return `the certificate is dated ${seconds(obtainedMs - notBeforeMs)} back (${iso(notBeforeMs)}): this clock is ahead of the authority's`;
  return null;
}

function startOf({ notBeforeMs, obtainedMs }: Lifetime): number {
  return Math.max(notBeforeMs, obtainedMs);
}

function iso(wallMs: number): string {
  return new Date(wallMs).toISOString();
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1_000)} s`;
}
