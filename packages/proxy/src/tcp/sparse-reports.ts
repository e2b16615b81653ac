/** Lets a thing that clients can repeat at will be told once in a while for each of what it happens to. */
import type { Clock } from '@sluice/runtime';

/** Each is reported this often at most. */
const REPORT_INTERVAL_MS = 60_000;
/** Keys whose last time is kept; clients choose them on a catch-all listener. */
const MAX_KEPT_KEYS = 1_024;

export class SparseReports {
  readonly #clock: Clock;
  readonly #reportedMs = new Map<string, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True for the first time, and again a minute after the last true. */
  isDue(key: string): boolean {
    const nowMs = this.#clock.nowMs();
    if (nowMs - (this.#reportedMs.get(key) ?? -Infinity) < REPORT_INTERVAL_MS) return false;
    if (this.#reportedMs.size >= MAX_KEPT_KEYS) this.#reportedMs.clear();
    this.#reportedMs.set(key, nowMs);
    return true;
  }
}
