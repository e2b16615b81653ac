/** Circuit breaker thresholds by priority, with Envoy's defaults. */
import type { CircuitBreakers, CircuitBreakers_Thresholds as Thresholds } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import type { ClusterSettings } from './cluster-settings.ts';
import type { LimitSettings } from './shared-limits.ts';

/** circuit_breaker.proto. */
const defaultMax = 1024;
const defaultMaxRetries = 3;
const defaultBudgetPercent = 20;
const defaultMinRetryConcurrency = 3;

export function compileLimits(
  breakers: CircuitBreakers | undefined,
  scope: ProblemScope,
): Pick<ClusterSettings, 'limits' | 'highPriorityLimits'> {
  scope.unhonouredWhenSet(
    { per_host_thresholds: breakers?.perHostThresholds },
    'not supported by this proxy',
  );
  for (const [i, thresholds] of (breakers?.thresholds ?? []).entries()) {
    scope
      .at('thresholds', i)
      .unhonouredWhenSet(
        { max_connection_pools: thresholds.maxConnectionPools, track_remaining: thresholds.trackRemaining },
        'not supported by this proxy',
      );
  }
  const find = (priority: Thresholds['priority']): Thresholds | undefined =>
    breakers?.thresholds.find((thresholds) => thresholds.priority === priority);
  return { limits: limitsOf(find('DEFAULT')), highPriorityLimits: limitsOf(find('HIGH')) };
}

function limitsOf(thresholds: Thresholds | undefined): LimitSettings {
  const budget = thresholds?.retryBudget;
  return {
    maxConnections: thresholds?.maxConnections ?? defaultMax,
    maxPendingRequests: thresholds?.maxPendingRequests ?? defaultMax,
    maxRequests: thresholds?.maxRequests ?? defaultMax,
    maxRetries: thresholds?.maxRetries ?? defaultMaxRetries,
    retryBudget:
      budget === undefined
        ? null
        : {
            percent: budget.budgetPercent?.value ?? defaultBudgetPercent,
            minConcurrency: budget.minRetryConcurrency ?? defaultMinRetryConcurrency,
          },
  };
}
