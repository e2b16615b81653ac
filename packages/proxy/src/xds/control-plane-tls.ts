/** TLS to the control plane, as its cluster's transport socket says. */
import { UpstreamTlsContextTable, unpackAny, type Cluster, type UpstreamTlsContext } from '@sluice/xds';
import { formatProblem, newProblems } from '../config/problems.ts';
import { secretsOf } from '../config/secret-references.ts';
import { isPlain } from '../cluster/compile-transports.ts';
import { bearsName } from '../identity/signing-tls.ts';
import type { HandshakeOutcome, TlsClientContext, TlsFailure, TlsSettings } from '../io/tls-context.ts';
import type { TlsEnvironment } from '../tls/tls-environment.ts';
import { compileUpstreamTls, UpstreamTls } from '../tls/upstream-tls.ts';

/** gRPC is HTTP/2, whether or not the configuration says so by ALPN. */
const protocols = ['h2'];

/** Null where the connection is plain. `target`: `host:port` or `unix:/path`. */
export function controlPlaneTls(
  cluster: Cluster,
  target: string,
  environment: TlsEnvironment,
): ControlPlaneTls | null {
  return contextOf(cluster) === null ? null : new ControlPlaneTls(cluster, target, environment);
}

/** What keeps a transport socket from carrying xDS, in words. `agentSecrets`: served by the identity agent. */
export function checkControlPlaneTls(cluster: Cluster, agentSecrets: readonly string[]): string[] {
  const { transportSocket } = cluster;
  if (transportSocket === undefined || isPlain(transportSocket)) return [];
  const message = contextOf(cluster);
  if (message === null)
    return [`transport_socket "${transportSocket.name}" cannot carry xDS; use TLS or none`];
  const scope = newProblems().at('transport_socket').at('typed_config');
  compileUpstreamTls(message, scope);
  const common = message.commonTlsContext;
  const isVerified =
    common?.validationContext !== undefined ||
    common?.validationContextSdsSecretConfig !== undefined ||
    common?.combinedValidationContext !== undefined;
  if (!isVerified)
    scope
      .at('common_tls_context')
      .error('must have a validation context: the control plane gives out secrets');
  const lines = scope.problems.map(formatProblem);
  for (const { name, origin, path } of secretsOf(cluster))
    if (origin.kind === 'ads' && !agentSecrets.includes(name))
      lines.push(`${path}: secret "${name}" cannot come over the connection that needs it`);
  return lines;
}

/** Of one address. Lives as long as its transport; what it says changes when a file was replaced. */
export class ControlPlaneTls implements TlsClientContext {
  readonly #target: string;
  readonly #environment: TlsEnvironment;
  readonly maxSessions = 0;
  #inner: UpstreamTls;
  /** What the certificate must bear where the context does not say itself; empty where it does. */
  #expectedName = '';

  constructor(cluster: Cluster, target: string, environment: TlsEnvironment) {
    this.#target = target;
    this.#environment = environment;
    this.#inner = this.#compile(cluster);
  }

  get serverName(): string {
    return this.#inner.serverName;
  }

  replace(cluster: Cluster): void {
    this.#inner = this.#compile(cluster);
  }

  settings(): TlsSettings | TlsFailure {
    return this.#inner.settings();
  }

  asOfNow(outcome: HandshakeOutcome, settings: TlsSettings): HandshakeOutcome {
    return this.#inner.asOfNow(outcome, settings);
  }

  judge(outcome: HandshakeOutcome): TlsFailure | null {
    const refusal = this.#inner.judge(outcome);
    if (refusal !== null || this.#expectedName === '') return refusal;
    if (outcome.peer !== null && bearsName(outcome.peer, this.#expectedName)) return null;
    return {
      kind: 'san',
      reason: `the control plane's certificate does not bear the name ${this.#expectedName}`,
    };
  }

  /** The session's log tells what came of it. */
  onHandshake(): void {}
  onFailure(): void {}
  onSecured(): void {}

  #compile(cluster: Cluster): UpstreamTls {
    const message = contextOf(cluster);
    if (message === null) throw new Error(`cluster "${cluster.name}" has no TLS context`);
    this.#expectedName = namesServer(message) ? '' : message.sni || hostOf(this.#target);
    return new UpstreamTls(compileUpstreamTls(message, newProblems()), this.#environment, cluster.name);
  }
}

function contextOf({ transportSocket }: Cluster): UpstreamTlsContext | null {
  const message = unpackAny(transportSocket?.typedConfig, UpstreamTlsContextTable);
  if (message === undefined) return null;
  const { commonTlsContext: common } = message;
  if (common === undefined || common.alpnProtocols.length > 0) return message;
  return { ...message, commonTlsContext: { ...common, alpnProtocols: protocols } };
}

/**
 * Every workload of the mesh has a chain to the same root: without a rule of its own for who the control plane
 * is, the name that was dialled decides.
 */
function namesServer({ commonTlsContext: common }: UpstreamTlsContext): boolean {
  const own = common?.validationContext ?? common?.combinedValidationContext?.defaultValidationContext;
  if (own === undefined) return false;
  return (
    own.matchTypedSubjectAltNames.length +
      own.matchSubjectAltNames.length +
      own.verifyCertificateHash.length +
      own.verifyCertificateSpki.length >
    0
  );
}

function hostOf(target: string): string {
  return target.startsWith('unix:')
    ? 'localhost'
    : target.slice(0, target.lastIndexOf(':')).replace(/^\[|\]$/g, '');
}
