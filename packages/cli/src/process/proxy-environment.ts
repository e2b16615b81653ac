/**
 * Settings of the runtime for sidecars: there is one per workload on a machine, and all of them wake up for the same
 * change. They are read when a process starts, so whoever starts a proxy gives them; what the user's environment
 * says holds. Neither costs memory or time under load (docs/performance.md).
 */
const settings: Readonly<Record<string, string>> = {
  // The allocator's thread looks for pages to give back when a thread comes to rest: every 10 s, not after each event.
  MIMALLOC_PURGE_HOLES_MIN_INTERVAL: '10000',
  // Bun collects garbage every second while the heap changes, in all threads; growth still leads to collections.
  BUN_GC_TIMER_INTERVAL: '10000',
};

/** What is added to a proxy's environment. */
export function proxyEnvironment(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, env[name] ?? value]));
}
