/** What is counted of the workload's own certificate. */
import type { Counter, MetricsRegistry } from '@sluice/runtime';
import type { Credential } from './credential.ts';

export interface IdentityMetrics {
  readonly renewals: Counter;
  readonly failures: Counter;
  took(credential: Credential, renewalDueMs: number): void;
}

export function createIdentityMetrics(registry: MetricsRegistry): IdentityMetrics {
  const renewalDue = registry.gauge(
    'sluice_identity_renewal_due_timestamp_seconds',
    'When the next renewal of the workload certificate is planned, Unix time.',
  );
  const expires = registry.gauge(
    'sluice_identity_certificate_expiry_timestamp_seconds',
    'End of the workload certificate, Unix time.',
  );
  return {
    renewals: registry.counter(
      'sluice_identity_certificates_total',
      'Workload certificates received, the first one included.',
    ),
    failures: registry.counter(
      'sluice_identity_certificate_failures_total',
      'Requests for a workload certificate that failed.',
    ),
    took(credential, renewalDueMs) {
      expires.set(Math.floor(credential.notAfterMs / 1_000));
      renewalDue.set(Math.floor(renewalDueMs / 1_000));
    },
  };
}
