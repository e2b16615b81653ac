/** What is counted of handshakes, of a listener or a cluster (Envoy's `ssl.*`). */
import type { TlsFailure } from '../io/tls-context.ts';
import type { TlsFacts } from '../io/tls-facts.ts';

export interface TlsStats {
  handshake(facts: TlsFacts): void;
  failure(failure: TlsFailure): void;
  /** A connection ended because its peer's certificate was revoked. */
  revoked(): void;
}

/** Where nothing is served: on the main thread, which only checks. */
export const noTlsStats: TlsStats = { handshake() {}, failure() {}, revoked() {} };
