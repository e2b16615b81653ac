/** The reply for a request whose attempts have failed: Envoy's statuses, flags and details. */
import type { ProxyErrorCode } from '../../errors.ts';
import { localReply } from '../../http/reply.ts';
import { FLAG } from '../../telemetry/response-flags.ts';
import type { LocalReply } from '../filter.ts';
import type { AttemptFailure } from './retry-decision.ts';

interface FailureFacts {
  readonly code: ProxyErrorCode;
  readonly flag: number;
  /** In `upstream_reset_before_response_started{…}` and `…_after_…`. */
  readonly reason: string;
}

const facts: Readonly<Record<AttemptFailure, FailureFacts>> = {
  'connect-failed': { code: 'upstream-connect-failed', flag: FLAG.UF, reason: 'remote_connection_failure' },
  'connect-timeout': { code: 'upstream-connect-timeout', flag: FLAG.UF, reason: 'connection_timeout' },
  'no-descriptor': { code: 'no-descriptors', flag: FLAG.UF, reason: 'local_connection_failure' },
  'tls-failed': { code: 'upstream-tls-failed', flag: FLAG.UF, reason: 'remote_connection_failure' },
  'identity-missing': { code: 'identity-missing', flag: FLAG.UF, reason: 'local_connection_failure' },
  'identity-expired': { code: 'identity-expired', flag: FLAG.UF, reason: 'local_connection_failure' },
  overflow: { code: 'upstream-overflow', flag: FLAG.UO, reason: 'overflow' },
  'refused-stream': { code: 'upstream-stream-reset', flag: FLAG.UR, reason: 'remote_refused_stream_reset' },
  'connection-termination': { code: 'upstream-reset', flag: FLAG.UC, reason: 'connection_termination' },
  'remote-reset': { code: 'upstream-stream-reset', flag: FLAG.UR, reason: 'remote_reset' },
  'protocol-error': { code: 'upstream-protocol-error', flag: FLAG.UPE, reason: 'protocol_error' },
  'per-try-timeout': { code: 'per-try-timeout', flag: FLAG.UT, reason: 'upstream_per_try_timeout' },
};

export function failureFlag(failure: AttemptFailure): number {
  return facts[failure].flag;
}

export function failureCode(failure: AttemptFailure): ProxyErrorCode {
  return facts[failure].code;
}

export function detailsAfterResponse(failure: AttemptFailure): string {
  return `upstream_reset_after_response_started{${facts[failure].reason}}`;
}

export function failureReply(failure: AttemptFailure): LocalReply {
  const { code, reason } = facts[failure];
  const details =
    failure === 'per-try-timeout' ? reason : `upstream_reset_before_response_started{${reason}}`;
  return localReply(
    code,
    details,
    failure === 'overflow' ? { headers: [['x-envoy-overloaded', 'true']] } : {},
  );
}
