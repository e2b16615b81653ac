/**
 * Retry policies. Besides Envoy's own there is a method-aware one (design D8), in two notations:
 *
 * - route or virtual host metadata, which a real Envoy ignores by design:
 *   `filter_metadata["sluice.dev"].safe_retry = {methods: ["GET", …], on: "reset,unavailable,…",
 *   request_headers: ["idempotency-key"]}`;
 * - `retry_options_predicates` of type `sluice.extensions.retry.v1.MethodAwareRetry`, for control planes
 *   that know by the node's capabilities that they speak to us.
 *
 * Either needs a retry policy to widen; it adds conditions for requests that may be sent twice.
 */
import { MethodAwareRetryTable, PreviousHostsPredicateTable, unpackAny } from '@sluice/xds';
import type { JsonObject, JsonValue, Metadata, RetryPolicy as RetryPolicyMessage } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import { compileHeaderPredicate } from './header-predicate.ts';
import { parseRetryConditions } from './retry-conditions.ts';
import type { RetryConditions, RetryPolicy, SafeRetry } from './route.ts';

/** Envoy's defaults (route_components.proto, RetryPolicy and RetryBackOff). */
const defaultRetries = 1;
const defaultBackoffBaseMs = 25;
const defaultBackoffFactor = 10;

const idempotencyKey = 'idempotency-key';

/** Envoy's defaults with these conditions. */
export function retryPolicyFor(on: RetryConditions): RetryPolicy {
  return {
    on,
    maxRetries: defaultRetries,
    perTryTimeoutMs: 0,
    perTryIdleTimeoutMs: 0,
    retriableStatusCodes: [],
    retriableHeaders: [],
    retriableRequestHeaders: [],
    backoffBaseMs: defaultBackoffBaseMs,
    backoffMaxMs: defaultBackoffBaseMs * defaultBackoffFactor,
    backoffLeastMs: 0,
    avoidPreviousHosts: false,
    hostSelectionAttempts: 1,
    safe: null,
  };
}

export function compileRetryPolicy(
  policy: RetryPolicyMessage,
  metadata: Metadata | undefined,
  scope: ProblemScope,
): RetryPolicy {
  scope.unhonouredWhenSet(
    { retry_priority: policy.retryPriority, rate_limited_retry_back_off: policy.rateLimitedRetryBackOff },
    'this kind of retry is not supported',
  );
  const baseMs = policy.retryBackOff?.baseInterval ?? defaultBackoffBaseMs;
  const maxMs = policy.retryBackOff?.maxInterval ?? baseMs * defaultBackoffFactor;
  const methodAware = methodAwareRetry(policy, scope);
  const backoff = scope.at('retry_back_off');
  if (baseMs <= 0) backoff.at('base_interval').error('must be greater than 0');
  if (maxMs < baseMs) backoff.at('max_interval').error('must not be less than base_interval');
  return {
    on: parseRetryConditions(policy.retryOn, scope.at('retry_on')),
    maxRetries: policy.numRetries ?? defaultRetries,
    perTryTimeoutMs: policy.perTryTimeout ?? 0,
    perTryIdleTimeoutMs: policy.perTryIdleTimeout ?? 0,
    retriableStatusCodes: policy.retriableStatusCodes,
    retriableHeaders: policy.retriableHeaders.map((matcher, i) =>
      compileHeaderPredicate(matcher, scope.at('retriable_headers', i)),
    ),
    retriableRequestHeaders: policy.retriableRequestHeaders.map((matcher, i) =>
      compileHeaderPredicate(matcher, scope.at('retriable_request_headers', i)),
    ),
    backoffBaseMs: baseMs,
    backoffMaxMs: maxMs,
    backoffLeastMs: methodAware?.leastBackoffMs ?? 0,
    avoidPreviousHosts: avoidsPreviousHosts(policy, scope),
    hostSelectionAttempts:
      policy.hostSelectionRetryMaxAttempts === 0 ? 1 : policy.hostSelectionRetryMaxAttempts,
    safe: methodAware?.safe ?? safeFromMetadata(metadata, scope),
  };
}

function avoidsPreviousHosts(policy: RetryPolicyMessage, scope: ProblemScope): boolean {
  let avoids = false;
  for (const [i, predicate] of policy.retryHostPredicate.entries()) {
    const isPrevious =
      predicate.name === 'envoy.retry_host_predicates.previous_hosts' ||
      (predicate.typedConfig !== undefined &&
        unpackAny(predicate.typedConfig, PreviousHostsPredicateTable) !== undefined);
    if (isPrevious) avoids = true;
    else scope.at('retry_host_predicate', i).unhonoured('', `predicate "${predicate.name}" is not supported`);
  }
  return avoids;
}

interface MethodAware {
  readonly safe: SafeRetry;
  readonly leastBackoffMs: number;
}

function methodAwareRetry(policy: RetryPolicyMessage, scope: ProblemScope): MethodAware | null {
  let methodAware: MethodAware | null = null;
  for (const [i, predicate] of policy.retryOptionsPredicates.entries()) {
    const at = scope.at('retry_options_predicates', i);
    const message = predicate.typedConfig && unpackAny(predicate.typedConfig, MethodAwareRetryTable);
    if (message === undefined) {
      at.unhonoured('', `predicate "${predicate.name}" is not supported`);
      continue;
    }
    methodAware = {
      safe: safeRetry(message.methods, message.requestHeaders, message.retryOn, at.at('typed_config')),
      leastBackoffMs: message.leastBackoff ?? 0,
    };
  }
  return methodAware;
}

function safeFromMetadata(metadata: Metadata | undefined, scope: ProblemScope): SafeRetry | null {
  const value = metadata?.filterMetadata['sluice.dev']?.['safe_retry'];
  if (value === undefined) return null;
  const at = scope.at('metadata').at('[sluice.dev]').at('safe_retry');
  if (!isObject(value)) {
    at.error('must be an object with methods and on');
    return null;
  }
  const on = value['on'];
  if (typeof on !== 'string') at.at('on').error('must be a string of retry conditions');
  return safeRetry(
    strings(value['methods'], at.at('methods')),
    strings(value['request_headers'] ?? [idempotencyKey], at.at('request_headers')),
    typeof on === 'string' ? on : '',
    at,
  );
}

function safeRetry(
  methods: readonly string[],
  headers: readonly string[],
  on: string,
  scope: ProblemScope,
): SafeRetry {
  for (const header of headers) {
    if (header.toLowerCase() !== idempotencyKey) {
      scope.unhonoured(
        'request_headers',
        `only ${idempotencyKey} marks a request as repeatable, not "${header}"`,
      );
    }
  }
  return {
    methods: new Set(methods.map((method) => method.toUpperCase())),
    honourIdempotencyKey: headers.some((header) => header.toLowerCase() === idempotencyKey),
    on: parseRetryConditions(on, scope.at('retry_on')),
  };
}

function strings(value: JsonValue | undefined, scope: ProblemScope): string[] {
  if (Array.isArray(value) && value.every((item): item is string => typeof item === 'string')) return value;
  scope.error('must be a list of strings');
  return [];
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
