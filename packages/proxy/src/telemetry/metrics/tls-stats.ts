/** `listener.<address>.ssl.*` and `cluster.<name>.ssl.*`: what is counted of TLS, under Envoy's names. */
import type { Counter, Family, MetricsRegistry } from '@sluice/runtime';
import type { TlsFailure, TlsFailureKind } from '../../io/tls-context.ts';
import type { TlsStats } from '../../tls/tls-stats.ts';
import { perRegistry, StatFamilies, statLabel, type StatDefinition } from './stat-set.ts';

const counter = (name: string, help: string): StatDefinition => ({ name, type: 'counter', help });

const DEFINITIONS = {
  handshake: counter('ssl_handshake', 'TLS handshakes that succeeded.'),
  sessionReused: counter('ssl_session_reused', 'TLS handshakes that resumed a session.'),
  noCertificate: counter('ssl_no_certificate', 'TLS connections whose peer showed no certificate.'),
  connectionError: counter('ssl_connection_error', 'TLS handshakes that failed, certificates apart.'),
  verifyError: counter('ssl_fail_verify_error', 'Certificates that lead to no trusted root, or are revoked.'),
  verifyNoCert: counter('ssl_fail_verify_no_cert', 'Peers without the certificate that is required.'),
  verifySan: counter('ssl_fail_verify_san', 'Certificates of somebody else.'),
  verifyHash: counter('ssl_fail_verify_cert_hash', 'Certificates that are not the pinned one.'),
  timeout: counter(
    'downstream_cx_transport_socket_connect_timeout',
    'Connections whose TLS handshake took too long.',
  ),
  revoked: counter('ssl_revoked', 'Connections closed because their certificate was revoked meanwhile.'),
} as const satisfies Record<string, StatDefinition>;

type Name = keyof typeof DEFINITIONS;

/** As in Envoy: what is said about a certificate is no error of the connection, nor is a peer that goes away. */
const byKind: Readonly<Record<TlsFailureKind, Name | null>> = {
  closed: null,
  timeout: 'timeout',
  protocol: 'connectionError',
  'no-credential': 'connectionError',
  expired: 'connectionError',
  'no-certificate': 'verifyNoCert',
  untrusted: 'verifyError',
  revoked: 'verifyError',
  san: 'verifySan',
  hash: 'verifyHash',
};

export function createListenerTlsStats(registry: MetricsRegistry, address: string): TlsStats {
  return new BoundTlsStats(listeners(registry), statLabel(address));
}

export function createClusterTlsStats(registry: MetricsRegistry, statName: string): TlsStats {
  return new BoundTlsStats(clusters(registry), statLabel(statName));
}

interface TlsFamilies {
  readonly simple: StatFamilies<Name>;
  readonly ciphers: Family<Counter>;
  readonly versions: Family<Counter>;
}

const listeners = perRegistry((registry) =>
  familiesOf(registry, 'envoy_listener_', 'envoy_listener_address'),
);
const clusters = perRegistry((registry) => familiesOf(registry, 'envoy_cluster_', 'envoy_cluster_name'));

function familiesOf(registry: MetricsRegistry, prefix: string, label: string): TlsFamilies {
  return {
    simple: new StatFamilies(registry, prefix, label, DEFINITIONS),
    ciphers: registry.family('counter', `${prefix}ssl_ciphers`, 'TLS handshakes by cipher suite.', [
      'envoy_ssl_cipher',
      label,
    ]),
    versions: registry.family('counter', `${prefix}ssl_versions`, 'TLS handshakes by version.', [
      'envoy_ssl_version',
      label,
    ]),
  };
}

class BoundTlsStats implements TlsStats {
  readonly #families: TlsFamilies;
  readonly #label: string;

  constructor(families: TlsFamilies, label: string) {
    this.#families = families;
    this.#label = label;
  }

  handshake({ isResumed, peer, cipher, protocol }: Parameters<TlsStats['handshake']>[0]): void {
    this.#count('handshake');
    if (isResumed) this.#count('sessionReused');
    if (peer === null) this.#count('noCertificate');
    this.#families.ciphers.labels([cipher, this.#label]).inc();
    this.#families.versions.labels([protocol, this.#label]).inc();
  }

  failure({ kind }: TlsFailure): void {
    const name = byKind[kind];
    if (name !== null) this.#count(name);
  }

  revoked(): void {
    this.#count('revoked');
  }

  #count(name: Name): void {
    this.#families.simple.counter(name, this.#label).inc();
  }
}
