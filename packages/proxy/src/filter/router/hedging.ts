/**
 * When a request gets a further attempt beside those that live, before any of them has failed (ADR 0028).
 *
 * An option of the router that nothing configures: `hedge_policy` is refused where routes are compiled. What
 * honours it one day gives the router this, from the route; tests give it by the router's own configuration.
 */
export interface Hedging {
  /** Attempts that begin at once. Those after the first are retries: policy, count, budget and body must allow them. */
  readonly initialAttempts: number;
  /** An attempt whose per-try timeout has passed goes on beside the next one, and may still be the first to answer. */
  readonly onPerTryTimeout: boolean;
}
