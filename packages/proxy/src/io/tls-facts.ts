/**
 * What is known of a TLS connection once its handshake was judged: for identity, policy, logs and
 * `x-forwarded-client-cert`. All of it is read when the handshake ends, so that a request costs nothing.
 */

import type { Certificate } from '@sluice/identity';

export interface TlsFacts {
  /** `TLSv1.2`, `TLSv1.3`. */
  readonly protocol: string;
  /** OpenSSL's name of the cipher suite, as Envoy logs it. */
  readonly cipher: string;
  /** Negotiated by ALPN; empty = none. */
  readonly alpn: string;
  /** Server side: what the client asked for. Client side: what we sent. Empty = none. */
  readonly serverName: string;
  /** The peer showed a certificate, its chain leads to a trusted root, and every rule accepted it. */
  readonly isPeerVerified: boolean;
  /** Null where the peer showed none. */
  readonly peer: PeerCertificate | null;
  /** The certificate we showed; null where we showed none. */
  readonly local: LocalCertificate | null;
  readonly isResumed: boolean;
  /** Generation of the credential in use: changes with every renewal. */
  readonly credential: string;
}

export interface LocalCertificate {
  readonly uriSans: readonly string[];
  readonly dnsSans: readonly string[];
  /** RFC 2253. */
  readonly subject: string;
  /** Lower-case hex. */
  readonly serial: string;
  readonly notAfterMs: number;
}

export interface PeerCertificate {
  /** RFC 2253. */
  readonly subject: string;
  /** RFC 2253. */
  readonly issuer: string;
  /** Lower-case hex, without leading zeros. */
  readonly serial: string;
  readonly uriSans: readonly string[];
  readonly dnsSans: readonly string[];
  readonly emailSans: readonly string[];
  readonly ipSans: readonly string[];
  /** Hex SHA-256 of the DER. */
  readonly sha256: string;
  /** Base64 SHA-256 of the public key's DER, as `verify_certificate_spki` writes it. */
  readonly spkiSha256: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** Every certificate that was shown, leaf first: what chains and revocation lists are judged by. */
  readonly chain: readonly Certificate[];
  pem(): string;
  /** Every certificate that was shown, leaf first. */
  chainPem(): string;
}
