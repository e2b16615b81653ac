/** Retries as Istio writes them: conditions that proxies know, and times that fit into each other. */
import { nearestName } from '@sluice/runtime';
import type { Path } from '../position.ts';
import type { HttpRetry } from '../schema/istio/virtual-service.ts';
import { checkLeastDuration, durationMs } from './durations.ts';
import type { Findings } from './findings.ts';

/** Conditions of HTTP and gRPC that Envoy and our proxy know. */
export const retryConditions: readonly string[] = [
  '5xx',
  'gateway-error',
  'reset',
  'reset-before-request',
  'connect-failure',
  'envoy-ratelimited',
  'retriable-4xx',
  'refused-stream',
  'retriable-status-codes',
  'retriable-headers',
  'http3-post-connect-failure',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
];

/** Those that may repeat a request which the service has already begun to work on. */
export const unsafeRetryConditions: ReadonlySet<string> = new Set([
  '5xx',
  'gateway-error',
  'reset',
  'retriable-4xx',
  'retriable-status-codes',
  'retriable-headers',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
]);

export interface RetryCondition {
  readonly name: string;
  /** A number stands for a response status. */
  readonly status?: number;
}

/** The parts of `retryOn`, blanks dropped. */
export function parseRetryOn(retryOn: string): readonly RetryCondition[] {
  return retryOn
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((name) => (/^\d+$/.test(name) ? { name, status: Number(name) } : { name }));
}

export function checkRetries(
  retries: HttpRetry | undefined,
  path: Path,
  timeoutMs: number | undefined,
  findings: Findings,
): void {
  if (retries === undefined) return;
  checkLeastDuration(retries.perTryTimeout, [...path, 'perTryTimeout'], findings, { allowZero: true });
  checkLeastDuration(retries.backoff, [...path, 'backoff'], findings);
  checkRetryOn(retries.retryOn, [...path, 'retryOn'], findings);
  if (retries.attempts !== undefined && retries.attempts > 100) {
    findings.add('invalid-value', [...path, 'attempts'], 'is more than 100, which multiplies an outage', {
      severity: 'warning',
    });
  }
  const perTryMs = durationMs(retries.perTryTimeout);
  if (perTryMs !== undefined && timeoutMs !== undefined && timeoutMs > 0 && perTryMs > timeoutMs) {
    findings.add(
      'timeout-order',
      [...path, 'perTryTimeout'],
      'is longer than the timeout of the route, which ends every try first',
      {
        severity: 'warning',
        suggestion: 'make timeout the longer one',
      },
    );
  }
}

export function checkRetryOn(retryOn: string | undefined, path: Path, findings: Findings): void {
  if (retryOn === undefined) return;
  for (const condition of parseRetryOn(retryOn)) {
    if (condition.status !== undefined) {
      if (condition.status < 100 || condition.status > 599) {
        findings.add('invalid-value', path, `${condition.name} is not a response status`);
      }
    } else if (!retryConditions.includes(condition.name)) {
      const nearest = nearestName(condition.name, retryConditions);
      findings.add(
        'invalid-value',
        path,
        `there is no retry condition ${JSON.stringify(condition.name.slice(0, 60))}`,
        {
          suggestion:
            nearest === undefined ? `known are ${retryConditions.join(', ')}` : `did you mean ${nearest}?`,
        },
      );
    }
  }
}
