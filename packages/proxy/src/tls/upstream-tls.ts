/** UpstreamTlsContext: how endpoints are reached by TLS, and who they must be. */
import { canonicalJson, contentHash } from '@sluice/runtime';
import type { UpstreamTlsContext } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import type { TlsClientContext, TlsCredential, TlsFailure, TlsSettings } from '../io/tls-context.ts';
import { compileCommonTls, LiveMaterial, type CommonTls, type Material } from './common-context.ts';
import { chooseCredential, type Credential } from './credential.ts';
import { JudgingContext } from './judging-context.ts';
import type { TlsEnvironment } from './tls-environment.ts';

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
export class UpstreamTls extends JudgingContext implements TlsClientContext {
  readonly serverName: string;
  readonly maxSessions: number;
  readonly #settings: UpstreamTlsSettings;

  constructor(settings: UpstreamTlsSettings, environment: TlsEnvironment, statName: string) {
    super(new LiveMaterial(settings.common, environment), environment, environment.clusterStats(statName));
    this.serverName = settings.sni;
    this.maxSessions = settings.maxSessions;
    this.#settings = settings;
  }

  get offersAlpn(): readonly string[] {
    return this.#settings.common.alpn;
  }

  /** Connections of equal keys are interchangeable. */
  key(): string {
    const material = this.live.now();
    if ('reason' in material) return `tls ${this.#settings.contentKey} none`;
    const [credential] = material.credentials;
    // Connections of a certificate that has expired meanwhile are not gone on with.
    const state = credential !== undefined && this.#isExpired(credential) ? ' expired' : '';
    return `tls ${this.#settings.contentKey} ${credential?.generation ?? ''}${state}`;
  }

  settings(): TlsSettings | TlsFailure {
    const material = this.live.now();
    if ('reason' in material) return material;
    const credential =
      material.credentials.length === 0 ? null : chooseCredential(material.credentials, anyServer);
    if (credential !== null && this.#isExpired(credential)) return expired(credential.facts.notAfterMs);
    let settings = material.settings.get(credential);
    if (settings === undefined)
      material.settings.set(credential, (settings = this.#settingsOf(credential, material)));
    return settings;
  }

  #isExpired({ facts }: TlsCredential): boolean {
    return facts.notAfterMs <= this.environment.wallMs();
  }

  #settingsOf(credential: Credential | null, { rules }: Material): TlsSettings {
    return this.environment.settings.of(
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
