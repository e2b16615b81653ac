/**
 * Waiting for real processes and sockets, where no fake clock reaches. The deadline only ends a test that
 * has failed already; a passing test never waits for it.
 */

export interface WaitOptions {
  /** When to give up. Default 10 s. */
  readonly timeoutMs?: number;
  /** Pause between looks. Default 10 ms. */
  readonly intervalMs?: number;
  /** What is waited for, for the error's text. */
  readonly what?: string;
}

/** Looks until `predicate` answers something truthy and returns that; throws, with its last error, at the deadline. */
export async function waitFor<T>(
  predicate: () => T | Promise<T>,
  options: WaitOptions = {},
): Promise<Exclude<T, false | null | undefined | 0 | ''>> {
  const { timeoutMs = 10_000, intervalMs = 10, what = String(predicate) } = options;
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    let failure: unknown;
    try {
      const value = await predicate();
      if (value) return value as Exclude<T, false | null | undefined | 0 | ''>;
    } catch (error) {
      failure = error;
    }
    if (performance.now() >= deadlineMs) {
      throw new Error(`gave up after ${timeoutMs} ms waiting for: ${what}`, { cause: failure });
    }
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}
