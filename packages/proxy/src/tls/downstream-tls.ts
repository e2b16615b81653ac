/** DownstreamTlsContext: how a filter chain shakes hands, and whom it lets in. */
import type { DownstreamTlsContext } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import type {
  ClientHello,
  HandshakeOutcome,
  TlsFailure,
  TlsServerContext,
  TlsSettings,
} from '../io/tls-context.ts';
import { compileCommonTls, LiveMaterial, type Material } from './common-context.ts';
import { chooseCredential, type Credential } from './credential.ts';
import { JudgingContext } from './judging-context.ts';
import type { TlsEnvironment } from './tls-environment.ts';
import type { DownstreamTransport } from './transport.ts';

/** `statAddress`: the listener's, under which handshakes are counted. */
export function compileDownstreamTls(
  message: DownstreamTlsContext,
  statAddress: string,
  environment: TlsEnvironment,
  scope: ProblemScope,
): DownstreamTransport {
  const common = compileCommonTls(message.commonTlsContext, scope.at('common_tls_context'));
  if (common.credentials.length + common.credentialSecrets.length === 0)
    scope.at('common_tls_context').error('a server needs a certificate');
  const context = new DownstreamTls(message, new LiveMaterial(common, environment), environment, statAddress);
  return {
    tls: context,
    served: (connection, served) => environment.connections.setServed(connection, served),
  };
}

class DownstreamTls extends JudgingContext implements TlsServerContext {
  readonly #message: DownstreamTlsContext;
  readonly #isCertificateRequired: boolean;

  constructor(
    message: DownstreamTlsContext,
    live: LiveMaterial,
    environment: TlsEnvironment,
    statAddress: string,
  ) {
    super(live, environment, environment.listenerStats(statAddress));
    this.#message = message;
    this.#isCertificateRequired = message.requireClientCertificate ?? false;
  }

  settingsFor(hello: ClientHello): TlsSettings | TlsFailure {
    const material = this.live.now();
    if ('reason' in material) return material;
    if (this.#message.requireSni === true && hello.serverName === '')
      return { kind: 'protocol', reason: 'the client names no server, which this listener requires' };
    const credential = chooseCredential(
      material.credentials,
      hello,
      this.#message.fullScanCertsOnSniMismatch === true,
    );
    let settings = material.settings.get(credential);
    if (settings === undefined)
      material.settings.set(credential, (settings = this.#settings(credential, material)));
    return settings;
  }

  #settings(credential: Credential, { rules }: Material): TlsSettings {
    const { params, alpn } = this.live.common;
    return this.environment.settings.of(
      {
        role: 'server',
        credential,
        trustedPem: rules?.trustedPem ?? null,
        asksForCertificate: this.#isCertificateRequired || rules !== null,
        alpn,
        ...params,
        // TLS 1.3 and TLS 1.2 in this engine resume by tickets.
        hasSessions: this.#message.disableStatelessSessionResumption !== true,
        sessionLifetimeMs: this.#message.sessionTimeout ?? 0,
      },
      rules?.trustKey ?? '',
    );
  }

  override judge(outcome: HandshakeOutcome): TlsFailure | null {
    if (!outcome.hasPeer)
      return this.#isCertificateRequired
        ? { kind: 'no-certificate', reason: 'the client showed no certificate, which this listener requires' }
        : null;
    return super.judge(outcome);
  }
}
