/**
 * Retry policies (design D8): where no condition was written, what is provably unprocessed is retried for
 * every method, and more only for requests that may be repeated; written conditions hold for all methods.
 */
import { MethodAwareRetryTable, PreviousHostsPredicateTable } from '@sluice/xds';
import type { Init, RetryPolicy } from '@sluice/xds';
import type { RuleRetry } from '../model/route-rule.ts';
import { typedConfig } from './typed-config.ts';

/** Safe for every request: the request cannot have been processed. */
const alwaysSafe = 'connect-failure,refused-stream';
/** Safe to repeat by RFC 9110 §9.2.2 (TRACE left out: proxies should not repeat diagnostics). */
const repeatableMethods = ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'];
const repeatableHeaders = ['idempotency-key'];
const repeatableConditions = 'reset,unavailable,cancelled,gateway-error';

const defaultRetries = 2;
/** Attempts at finding a host not yet tried (istiod's value). */
const hostSelectionAttempts = 5;
/** The cap of the back-off, as a multiple of its base (Envoy's default). */
const backoffCapFactor = 10;

/** `knowsMethods`: the proxy announced our extension; others get the always-safe part alone. */
export function retryMessage(retry: RuleRetry, knowsMethods: boolean): Init<RetryPolicy> | undefined {
  if (retry.kind === 'off') return undefined;
  if (retry.kind === 'default')
    return {
      ...safePolicy({ attempts: defaultRetries, statusCodes: [], leastBackoffMs: null }, knowsMethods),
      ...perTry(retry.perTryTimeoutMs),
    };
  const base = retry.on === null ? safePolicy(retry, knowsMethods) : writtenPolicy(retry.on, retry.attempts);
  return {
    ...base,
    ...(retry.ignorePreviousHosts ? previousHosts() : { retryHostPredicate: [] }),
    ...(retry.statusCodes.length > 0 ? { retriableStatusCodes: retry.statusCodes } : {}),
    ...perTry(retry.perTryTimeoutMs),
    ...(retry.backoffMs === null
      ? {}
      : { retryBackOff: { baseInterval: retry.backoffMs, maxInterval: retry.backoffMs * backoffCapFactor } }),
  };
}

/** Server-side: only a request that never reached the application is tried again. */
export function inboundRetryMessage(): Init<RetryPolicy> {
  return { retryOn: 'reset-before-request', numRetries: defaultRetries };
}

/** Written codes hold for every method: whoever writes them asks for it. */
function safePolicy(
  {
    attempts,
    statusCodes,
    leastBackoffMs,
  }: Pick<Extract<RuleRetry, { kind: 'policy' }>, 'attempts' | 'statusCodes' | 'leastBackoffMs'>,
  knowsMethods: boolean,
): Init<RetryPolicy> {
  return {
    retryOn: statusCodes.length > 0 ? `${alwaysSafe},retriable-status-codes` : alwaysSafe,
    numRetries: attempts,
    ...previousHosts(),
    ...(knowsMethods
      ? {
          retryOptionsPredicates: [
            {
              name: 'sluice.retry.method_aware',
              typedConfig: typedConfig(MethodAwareRetryTable, {
                methods: repeatableMethods,
                requestHeaders: repeatableHeaders,
                retryOn: repeatableConditions,
                ...(leastBackoffMs === null ? {} : { leastBackoff: leastBackoffMs }),
              }),
            },
          ],
        }
      : {}),
  };
}

function perTry(timeoutMs: number | null): Init<RetryPolicy> {
  return timeoutMs === null ? {} : { perTryTimeout: timeoutMs };
}

function writtenPolicy(on: readonly string[], attempts: number): Init<RetryPolicy> {
  return { retryOn: on.join(','), numRetries: attempts };
}

function previousHosts(): Pick<Init<RetryPolicy>, 'retryHostPredicate' | 'hostSelectionRetryMaxAttempts'> {
  return {
    retryHostPredicate: [
      {
        name: 'envoy.retry_host_predicates.previous_hosts',
        typedConfig: typedConfig(PreviousHostsPredicateTable, {}),
      },
    ],
    hostSelectionRetryMaxAttempts: hostSelectionAttempts,
  };
}
