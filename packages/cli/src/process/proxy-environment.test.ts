import { expect, test } from 'bun:test';
import { proxyEnvironment } from './proxy-environment.ts';

test("the user's environment holds over ours, and nothing else of it is taken over", () => {
  const ours = proxyEnvironment({ HOME: '/root' });
  expect(Object.keys(ours).sort()).toEqual([
    'BUN_GC_TIMER_INTERVAL',
    'BUN_JSC_maximumMutatorUtilization',
    'BUN_JSC_minimumMutatorUtilization',
    'MIMALLOC_PURGE_HOLES_MIN_INTERVAL',
  ]);
  expect(proxyEnvironment({ BUN_GC_TIMER_INTERVAL: '500' })).toEqual({
    ...ours,
    BUN_GC_TIMER_INTERVAL: '500',
  });
});
