/** Metrics of the authority under the names that Istio's dashboards read (citadel_*), and why requests were refused. */
import type { MetricsRegistry } from '@sluice/runtime';
import type { MeshAuthority } from './mesh-authority.ts';

export type RefusalKind = 'authentication' | 'csr' | 'identity' | 'signing';

export interface AuthorityMetrics {
  asked(): void;
  issued(): void;
  refused(kind: RefusalKind): void;
  revoked(count: number): void;
  /** Expiry as it is now: to be called when metrics are read and when something rotated. */
  observe(authority: Pick<MeshAuthority, 'signing'>, nowMs: number): void;
}

export function createAuthorityMetrics(registry: MetricsRegistry): AuthorityMetrics {
  const counter = (name: string, about: string) => registry.counter(name, about);
  const gauge = (name: string, about: string) => registry.gauge(name, about);
  const asked = counter('citadel_server_csr_count', 'Certificate requests received');
  const issued = counter('citadel_server_success_cert_issuance_count', 'Certificates issued');
  const refusals = {
    authentication: counter(
      'citadel_server_authentication_failure_count',
      'Requests without a valid proof of identity',
    ),
    csr: counter('citadel_server_csr_parsing_err_count', 'Requests that could not be read'),
    identity: counter(
      'citadel_server_id_extraction_err_count',
      'Requests for an identity that the proof does not entitle to',
    ),
    signing: counter('citadel_server_csr_sign_err_count', 'Requests that could not be signed'),
  } as const satisfies Record<RefusalKind, { inc(): void }>;
  const revoked = counter('sluice_ca_revocations_total', 'Certificates revoked');
  const rootExpires = gauge(
    'citadel_server_root_cert_expiry_timestamp',
    'Unix time at which the root expires',
  );
  const rootLeft = gauge('citadel_server_root_cert_expiry_seconds', 'Seconds until the root expires');
  const chainExpires = gauge(
    'citadel_server_cert_chain_expiry_timestamp',
    'Unix time at which the signing certificate expires',
  );
  const chainLeft = gauge(
    'citadel_server_cert_chain_expiry_seconds',
    'Seconds until the signing certificate expires',
  );
  return {
    asked: () => asked.inc(),
    issued: () => issued.inc(),
    refused: (kind) => refusals[kind].inc(),
    revoked: (count) => revoked.inc(count),
    observe({ signing }, nowMs) {
      rootExpires.set(Math.floor(signing.root.notAfterMs / 1000));
      rootLeft.set(Math.floor((signing.root.notAfterMs - nowMs) / 1000));
      chainExpires.set(Math.floor(signing.certificate.notAfterMs / 1000));
      chainLeft.set(Math.floor((signing.certificate.notAfterMs - nowMs) / 1000));
    },
  };
}
