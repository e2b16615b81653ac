/** TLS contexts for tests of the socket layer: settings as given, outcomes recorded, the plainest judge. */
import { TestAuthority, type TestLeaf } from '@sluice/testkit';
import type {
  ClientHello,
  HandshakeOutcome,
  SecuredConnection,
  TlsClientContext,
  TlsCredential,
  TlsFailure,
  TlsServerContext,
  TlsSettings,
} from './tls-context.ts';
import type { TlsFacts } from './tls-facts.ts';

export const testAuthority = new TestAuthority();
let generations = 0;

export function credentialOf(leaf: TestLeaf): TlsCredential {
  const { uriSans, dnsSans, subject, serial, notAfterMs } = leaf.certificate;
  return {
    chainPem: leaf.chainPem,
    keyPem: leaf.keyPem,
    generation: String(++generations),
    facts: { uriSans, dnsSans, subject, serial, notAfterMs },
  };
}

export function testSettings(role: 'server' | 'client', more: Partial<TlsSettings> = {}): TlsSettings {
  return {
    role,
    credential: credentialOf(testAuthority.leaf({ account: role })),
    trustedPem: testAuthority.rootPem,
    asksForCertificate: role === 'server',
    alpn: [],
    minVersion: 0x0303,
    maxVersion: 0x0304,
    ciphers: '',
    curves: '',
    hasSessions: true,
    sessionLifetimeMs: 0,
    ...more,
  };
}

/** Serves as either side's context. */
export class TestTls implements TlsServerContext, TlsClientContext {
  readonly #settings: TlsSettings | TlsFailure;
  readonly serverName: string;
  readonly maxSessions: number;
  /** Null = the chain's verdict decides, and a certificate is required where roots are given. */
  verdict: ((outcome: HandshakeOutcome) => TlsFailure | null) | null = null;
  hellos: ClientHello[] = [];
  outcomes: HandshakeOutcome[] = [];
  facts: TlsFacts[] = [];
  failures: TlsFailure[] = [];
  secured: SecuredConnection[] = [];

  constructor(settings: TlsSettings | TlsFailure, serverName = '', maxSessions = 0) {
    this.#settings = settings;
    this.serverName = serverName;
    this.maxSessions = maxSessions;
  }

  settingsFor(hello: ClientHello): TlsSettings | TlsFailure {
    this.hellos.push(hello);
    return this.#settings;
  }
  settings(): TlsSettings | TlsFailure {
    return this.#settings;
  }
  judge(outcome: HandshakeOutcome, settings: TlsSettings): TlsFailure | null {
    this.outcomes.push(outcome);
    if (this.verdict !== null) return this.verdict(outcome);
    if (settings.trustedPem === null) return null;
    if (!outcome.hasPeer) return { kind: 'no-certificate', reason: 'no certificate' };
    return outcome.chainError === null ? null : { kind: 'untrusted', reason: outcome.chainError };
  }
  onHandshake(facts: TlsFacts): void {
    this.facts.push(facts);
  }
  onFailure(failure: TlsFailure): void {
    this.failures.push(failure);
  }
  onSecured(connection: SecuredConnection): void {
    this.secured.push(connection);
  }
}
