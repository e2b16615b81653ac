/**
 * Settings of the runtime for sidecars: there is one per workload on a machine, and all of them wake up for the same
 * change. They are read when a process starts, so whoever starts a proxy gives them; what the user's environment
 * says holds. None costs memory or time under load (docs/performance.md).
 */
const settings: Readonly<Record<string, string>> = {
  // The allocator's thread looks for pages to give back when a thread comes to rest: every 10 s, not after each event.
  MIMALLOC_PURGE_HOLES_MIN_INTERVAL: '10000',
  // Bun collects garbage every second while the heap changes, in all threads; growth still leads to collections.
  BUN_GC_TIMER_INTERVAL: '10000',
  // A collection beside traffic leaves the loop 70 % of the time from its beginning to its end, and not ever less: 22 %
  // at its end, and the slowest request of a configuration of 1,000 clusters waited 45 ms instead of 18 (ADR 0022).
  BUN_JSC_minimumMutatorUtilization: '0.7',
  BUN_JSC_maximumMutatorUtilization: '0.7',
};

/** What is added to a proxy's environment. */
export function proxyEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, env[name] ?? value]));
}
