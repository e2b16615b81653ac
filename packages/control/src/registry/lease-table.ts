/**
 * Who is still there. An instance that stops renewing is expired a lease after its last sign of life; the times
 * add up to the promise that one that dies without goodbye takes no request after 3 s:
 *
 *   lease 2.5 s (renewed every 0.8 s, so that two renewals may be lost) + check every 0.2 s + push 0.1 s
 *
 * Time is monotonic, so clock corrections mean nothing. When the control plane itself stood still (suspended,
 * stopped, starved) nobody could renew, and all get a full lease. When more than half of all go silent together,
 * the fault is more likely ours or the network's than theirs: nothing is expired, and the operator is told.
 *
 * Invariant: of three instances or more, those that fell silent together expire only if they are not the majority.
 */
import type { Clock } from '@sluice/runtime';

export const defaultLeaseMs = 2500;
/** What a workload may ask for: below, two lost renewals would end it; above, its death goes unnoticed for minutes. */
export const leaseLimitsMs = { min: 1000, max: 60_000 } as const;
export const checkIntervalMs = 200;
/** Longer between two checks and the control plane was not running: renewals may be waiting in its sockets. */
const maxCheckGapMs = 700;
/** Share of its lease after which an instance counts as silent: two renewals are missing. */
const silentShare = 0.65;
/** Losing one of one or two of three is an ordinary crash. */
const minSilentToFreeze = 3;

export interface LeaseCheck {
  readonly expired: readonly string[];
  readonly isFrozen: boolean;
  readonly silent: number;
  /** True when the control plane had stood still and every lease was renewed for it. */
  readonly wasAway: boolean;
}

interface Lease {
  leaseMs: number;
  renewedMs: number;
}

export class LeaseTable {
  readonly #clock: Clock;
  readonly #leases = new Map<string, Lease>();
  #checkedMs: number;
  #isReleased = false;
  #isFrozen = false;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#checkedMs = clock.nowMs();
  }

  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  get size(): number {
    return this.#leases.size;
  }

  /** Starts or restarts a lease at its full length. */
  grant(instance: string, leaseMs: number): void {
    this.#leases.set(instance, { leaseMs, renewedMs: this.#clock.nowMs() });
  }

  renew(instance: string): boolean {
    const lease = this.#leases.get(instance);
    if (lease === undefined) return false;
    lease.renewedMs = this.#clock.nowMs();
    return true;
  }

  remove(instance: string): void {
    this.#leases.delete(instance);
  }

  leaseMsOf(instance: string): number | null {
    return this.#leases.get(instance)?.leaseMs ?? null;
  }

  /** Time since an instance's last sign of life. */
  ageMs(instance: string): number | null {
    const lease = this.#leases.get(instance);
    return lease === undefined ? null : this.#clock.nowMs() - lease.renewedMs;
  }

  /** Lets a frozen table expire what is silent: an operator has looked and says that they are gone. */
  release(): void {
    this.#isReleased = true;
  }

  /** To be called every `checkIntervalMs`. Expired leases are removed. */
  check(): LeaseCheck {
    const nowMs = this.#clock.nowMs();
    const wasAway = nowMs - this.#checkedMs > maxCheckGapMs;
    this.#checkedMs = nowMs;
    if (wasAway) for (const lease of this.#leases.values()) lease.renewedMs = nowMs;
    const silent = this.#count((lease) => nowMs - lease.renewedMs > lease.leaseMs * silentShare);
    const isMassLoss = silent >= minSilentToFreeze && silent * 2 > this.#leases.size;
    if (!isMassLoss) this.#isReleased = false;
    this.#isFrozen = isMassLoss && !this.#isReleased;
    const expired = this.#isFrozen ? [] : this.#removeExpired(nowMs);
    return { expired, isFrozen: this.#isFrozen, silent, wasAway };
  }

  #count(holds: (lease: Lease) => boolean): number {
    let count = 0;
    for (const lease of this.#leases.values()) if (holds(lease)) count++;
    return count;
  }

  #removeExpired(nowMs: number): string[] {
    const expired: string[] = [];
    for (const [instance, lease] of this.#leases) {
      if (nowMs - lease.renewedMs <= lease.leaseMs) continue;
      this.#leases.delete(instance);
      expired.push(instance);
    }
    return expired;
  }
}
