/**
 * What the sockets ask of TLS policy, and what they tell it: `tls/` implements these, `io/` calls them.
 *
 * Settings are immutable: the engine's context is made once per settings object and credential, never per
 * connection, so a new credential is a new settings object. The judge has the last word after the
 * engine's own verdict, and runs before any handler hears of the connection.
 */
import type { CountedConnection } from './once-closed.ts';
import type { LocalCertificate, PeerCertificate, TlsFacts } from './tls-facts.ts';

/** Protocol numbers of RFC 5246 and RFC 8446, which is what the engine wants. */
export type TlsVersion = 0x0301 | 0x0302 | 0x0303 | 0x0304;

export interface TlsCredential {
  /** Leaf first. */
  readonly chainPem: string;
  readonly keyPem: string;
  /** Differs between any two credentials. */
  readonly generation: string;
  readonly facts: LocalCertificate;
}

export interface TlsSettings {
  readonly role: 'server' | 'client';
  /** A server always has one. */
  readonly credential: TlsCredential | null;
  /** Roots that the peer's chain must lead to; null = the chain is not verified by the engine. */
  readonly trustedPem: string | null;
  /** Server: the client is asked for a certificate. Whether it must have one, the judge says. */
  readonly asksForCertificate: boolean;
  /** In order of preference; empty = no ALPN. */
  readonly alpn: readonly string[];
  readonly minVersion: TlsVersion;
  readonly maxVersion: TlsVersion;
  /** TLS 1.2 suites in OpenSSL's syntax; empty = the engine's choice. */
  readonly ciphers: string;
  /** Key exchange groups in OpenSSL's syntax; empty = the engine's choice. */
  readonly curves: string;
  /** Server: sessions may be resumed. */
  readonly hasSessions: boolean;
  /** Server: how long a session may be resumed; 0 = the engine's choice. */
  readonly sessionLifetimeMs: number;
}

/** What a ClientHello says, before anything is decided. */
export interface ClientHello {
  /** Lower case; empty = none. */
  readonly serverName: string;
  readonly protocols: readonly string[];
  /** The client can verify ECDSA signatures. */
  readonly acceptsEcdsa: boolean;
}

/** The handshake as the engine saw it. */
export interface HandshakeOutcome {
  /** Code of the chain's verification (`CERT_HAS_EXPIRED`, …); null = it leads to a trusted root, or was not asked for. */
  readonly chainError: string | null;
  /** Null where none was shown, or none that can be read. */
  readonly peer: PeerCertificate | null;
  readonly hasPeer: boolean;
  readonly alpn: string;
  readonly serverName: string;
  readonly isResumed: boolean;
}

/** Why a handshake failed: `reason` is text for logs, `kind` what is counted. */
export interface TlsFailure {
  readonly kind: TlsFailureKind;
  readonly reason: string;
}

/** `closed`: the peer went away; `protocol`: the engine refused; the rest are verdicts on certificates. */
export type TlsFailureKind =
  | 'closed'
  | 'timeout'
  | 'protocol'
  /** What we would have to show has not arrived. */
  | 'no-credential'
  /** What we would have to show has expired. */
  | 'expired'
  | 'no-certificate'
  | 'untrusted'
  | 'revoked'
  | 'san'
  | 'hash';

/** A connection whose handshake was accepted, as far as policy has to do with it. */
export interface SecuredConnection extends CountedConnection {
  readonly tls: TlsFacts | null;
}

export interface TlsServerContext {
  /** What to shake hands with, or why not at all (a secret has not arrived). */
  settingsFor(hello: ClientHello): TlsSettings | TlsFailure;
  /** Null = accepted. Called with the settings that the handshake began with. */
  judge(outcome: HandshakeOutcome, settings: TlsSettings): TlsFailure | null;
  /**
   * Asked first, where it is there: the outcome by the trust of this moment, which may be another one than the
   * handshake began with. What is told of the connection afterwards follows from it too.
   */
  asOfNow?(outcome: HandshakeOutcome, settings: TlsSettings): HandshakeOutcome;
  /** Counts; `facts` of a handshake that was accepted. */
  onHandshake(facts: TlsFacts): void;
  onFailure(failure: TlsFailure): void;
  /** Told of every accepted connection, so that a renewal or a revocation can end it. */
  onSecured(connection: SecuredConnection): void;
}

export interface TlsClientContext {
  settings(): TlsSettings | TlsFailure;
  /** SNI; empty = none. */
  readonly serverName: string;
  judge(outcome: HandshakeOutcome, settings: TlsSettings): TlsFailure | null;
  /**
   * Asked first, where it is there: the outcome by the trust of this moment, which may be another one than the
   * handshake began with. What is told of the connection afterwards follows from it too.
   */
  asOfNow?(outcome: HandshakeOutcome, settings: TlsSettings): HandshakeOutcome;
  onHandshake(facts: TlsFacts): void;
  onFailure(failure: TlsFailure): void;
  onSecured(connection: SecuredConnection): void;
  /** Sessions to resume, newest last; 0 = off. */
  readonly maxSessions: number;
}

export function isTlsFailure(value: TlsSettings | TlsFailure): value is TlsFailure {
  return 'reason' in value;
}
