/** Envoy's names of retry conditions, HTTP and gRPC, as booleans. */
import type { ProblemScope } from '../config/problems.ts';
import type { RetryConditions } from './route.ts';

const fieldOf: Readonly<Record<string, keyof RetryConditions>> = {
  '5xx': 'fiveXx',
  'gateway-error': 'gatewayError',
  reset: 'reset',
  'reset-before-request': 'resetBeforeRequest',
  'connect-failure': 'connectFailure',
  'refused-stream': 'refusedStream',
  'retriable-4xx': 'retriable4xx',
  'retriable-status-codes': 'retriableStatusCodes',
  'retriable-headers': 'retriableHeaders',
  'envoy-ratelimited': 'envoyRatelimited',
  'http3-post-connect-failure': 'http3PostConnectFailure',
  cancelled: 'grpcCancelled',
  'deadline-exceeded': 'grpcDeadlineExceeded',
  internal: 'grpcInternal',
  'resource-exhausted': 'grpcResourceExhausted',
  unavailable: 'grpcUnavailable',
};

export function parseRetryConditions(text: string, scope: Pick<ProblemScope, 'error'>): RetryConditions {
  const conditions = { ...noConditions };
  for (const word of text.split(',')) {
    const name = word.trim();
    if (name === '') continue;
    const field = fieldOf[name];
    if (field === undefined) scope.error(`unknown retry condition "${name}"`);
    else conditions[field] = true;
  }
  return conditions;
}

export const noConditions: Readonly<Record<keyof RetryConditions, boolean>> = {
  fiveXx: false,
  gatewayError: false,
  reset: false,
  resetBeforeRequest: false,
  connectFailure: false,
  refusedStream: false,
  retriable4xx: false,
  retriableStatusCodes: false,
  retriableHeaders: false,
  envoyRatelimited: false,
  http3PostConnectFailure: false,
  grpcCancelled: false,
  grpcDeadlineExceeded: false,
  grpcInternal: false,
  grpcResourceExhausted: false,
  grpcUnavailable: false,
};
