/** UpstreamTlsContext: how endpoints are reached by TLS, and who they must be. */
import { canonicalJson, contentHash } from '@sluice/runtime';
import type { UpstreamTlsContext } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import type {
  HandshakeOutcome,
  SecuredConnection,
  TlsClientContext,
  TlsCredential,
  TlsFailure,
  TlsSettings,
} from '../io/tls-context.ts';
import type { TlsFacts } from '../io/tls-facts.ts';
import { compileCommonTls, LiveMaterial, type CommonTls, type Material } from './common-context.ts';
import { chooseCredential, type Credential } from './credential.ts';
import { judgePeer, toleratedError } from './peer-rules.ts';
import type { Review, Reviewer } from './secured-connections.ts';
import type { TlsEnvironment } from './tls-environment.ts';
import type { TlsStats } from './tls-stats.ts';

export interface UpstreamTlsSettings {
  readonly common: CommonTls;
  readonly sni: string;
  readonly maxSessions: number;
  /** Hash of the context: equal ones connect alike. */
  readonly contentKey: string;
}

/** A server name in a ClientHello (RFC 6066 §3); Envoy's bound too. */
const maxSniBytes = 255;

export function compileUpstreamTls(message: UpstreamTlsContext, scope: ProblemScope): UpstreamTlsSettings {
  const common = compileCommonTls(message.commonTlsContext, scope.at('common_tls_context'));
  if (common.credentials.length + common.credentialSecrets.length > 1)
    scope.at('common_tls_context').at('tls_certificates').error('a client has one certificate at most');
  if (message.sni.length > maxSniBytes) scope.at('sni').error(`must have at most ${maxSniBytes} octets`);
  return {
    common,
    sni: message.sni,
    maxSessions: message.maxSessionKeys ?? 1,
    contentKey: contentHash(canonicalJson(message)),
  };
}

const anyServer = { serverName: '', protocols: [], acceptsEcdsa: true };

/** Of one cluster in one loop. */
export class UpstreamTls implements TlsClientContext, Reviewer {
  readonly serverName: string;
  readonly maxSessions: number;
  readonly #settings: UpstreamTlsSettings;
  readonly #live: LiveMaterial;
  readonly #environment: TlsEnvironment;
  readonly #stats: TlsStats;

  constructor(settings: UpstreamTlsSettings, environment: TlsEnvironment, statName: string) {
    this.serverName = settings.sni;
    this.maxSessions = settings.maxSessions;
    this.#settings = settings;
    this.#live = new LiveMaterial(settings.common, environment);
    this.#environment = environment;
    this.#stats = environment.clusterStats(statName);
  }

  get offersAlpn(): readonly string[] {
    return this.#settings.common.alpn;
  }

  /** Connections of equal keys are interchangeable. */
  key(): string {
    const material = this.#live.now();
    if ('reason' in material) return `tls ${this.#settings.contentKey} none`;
    const [credential] = material.credentials;
    // Connections of a certificate that has expired meanwhile are not gone on with.
    const state = credential !== undefined && this.#isExpired(credential) ? ' expired' : '';
    return `tls ${this.#settings.contentKey} ${credential?.generation ?? ''}${state}`;
  }

  settings(): TlsSettings | TlsFailure {
    const material = this.#live.now();
    if ('reason' in material) return material;
    const credential =
      material.credentials.length === 0 ? null : chooseCredential(material.credentials, anyServer);
    if (credential !== null && this.#isExpired(credential)) return expired(credential.facts.notAfterMs);
    let settings = material.settings.get(credential);
    if (settings === undefined)
      material.settings.set(credential, (settings = this.#settingsOf(credential, material)));
    return settings;
  }

  judge(outcome: HandshakeOutcome): TlsFailure | null {
    const material = this.#live.now();
    if ('reason' in material) return material;
    const { rules } = material;
    if (rules === null) return null;
    const error = toleratedError(outcome, rules);
    if (error !== null) this.#stats.failure({ kind: 'untrusted', reason: error });
    return judgePeer(outcome, rules, this.#environment.wallMs());
  }

  onHandshake(facts: TlsFacts): void {
    this.#stats.handshake(facts);
  }

  onFailure(failure: TlsFailure): void {
    this.#stats.failure(failure);
  }

  onSecured(connection: SecuredConnection): void {
    this.#environment.connections.add(connection, this);
  }

  uses(secret: string): boolean {
    return this.#live.uses(secret);
  }

  review(facts: TlsFacts): Review {
    return this.#live.review(facts);
  }

  onRevoked(): void {
    this.#stats.revoked();
  }

  #isExpired({ facts }: TlsCredential): boolean {
    return facts.notAfterMs <= this.#environment.wallMs();
  }

  #settingsOf(credential: Credential | null, { rules }: Material): TlsSettings {
    return this.#environment.settings.of(
      {
        role: 'client',
        credential,
        trustedPem: rules?.trustedPem ?? null,
        asksForCertificate: false,
        alpn: this.#settings.common.alpn,
        ...this.#settings.common.params,
        hasSessions: true,
        sessionLifetimeMs: 0,
      },
      rules?.trustKey ?? '',
    );
  }
}

/** Whoever is dialled would refuse the certificate, later and in words of its own. */
function expired(notAfterMs: number): TlsFailure {
  const since = new Date(notAfterMs).toISOString();
  return { kind: 'expired', reason: `TLS_error: the certificate of this side has expired (${since})` };
}
