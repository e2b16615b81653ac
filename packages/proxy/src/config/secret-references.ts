/**
 * The secrets that listeners and clusters name by SDS. Contexts are found wherever a transport socket holds
 * one, wrapped in another (PROXY protocol, STARTTLS) or not.
 */
import type { Cluster, CommonTlsContext, ConfigSource, Listener, SdsSecretConfig } from '@sluice/xds';
import type { ProblemScope } from './problems.ts';
import type { NamedSource } from './references.ts';

export type SecretOrigin =
  | { readonly kind: 'ads' }
  /** In the bootstrap's static_resources.secrets. */
  | { readonly kind: 'static' }
  /** A file in the form of a discovery response, followed when it is replaced. */
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'unsupported'; readonly why: string };

export interface SecretReference extends NamedSource {
  readonly origin: SecretOrigin;
  /** Proto path within the resource. */
  readonly path: string;
}

/** A TLS context where it stands. */
export interface FoundContext {
  readonly context: CommonTlsContext;
  readonly path: string;
}

/** Envoy's default (ConfigSource.initial_fetch_timeout). */
const defaultFetchTimeoutMs = 15_000;
/** Messages never change once decoded. */
const knownContexts = new WeakMap<Listener | Cluster, readonly FoundContext[]>();
const knownReferences = new WeakMap<Listener | Cluster, readonly SecretReference[]>();

export function secretsOf(message: Listener | Cluster): readonly SecretReference[] {
  let references = knownReferences.get(message);
  if (references === undefined)
    knownReferences.set(message, (references = tlsContextsOf(message).flatMap(referencesOf)));
  return references;
}

/**
 * Tells what is wrong with a reference. `isServed`: the secret is there, or its source is known to be;
 * `hasAds`: there is a control plane to ask.
 */
export function judgeReference(
  reference: SecretReference,
  isServed: boolean,
  hasAds: boolean,
  scope: ProblemScope,
): void {
  const { origin, name, path } = reference;
  const at = scope.at(path);
  if (name === '') at.at('name').error('must not be empty');
  if (isServed) return;
  if (origin.kind === 'unsupported') at.at('sds_config').error(origin.why);
  if (origin.kind === 'ads' && !hasAds)
    at.at('sds_config.ads').error(
      `nobody can be asked for "${name}": the bootstrap has no dynamic_resources.ads_config`,
    );
  if (origin.kind === 'static') at.at('name').error(`there is no static secret "${name}"`);
}

export function tlsContextsOf(message: Listener | Cluster): readonly FoundContext[] {
  let contexts = knownContexts.get(message);
  if (contexts === undefined) knownContexts.set(message, (contexts = findContexts(message)));
  return contexts;
}

function findContexts(message: Listener | Cluster): FoundContext[] {
  const found: FoundContext[] = [];
  for (const [path, socket] of socketsOf(message)) search(socket, path, found);
  return found;
}

function socketsOf(message: Listener | Cluster): (readonly [path: string, socket: object])[] {
  if ('filterChains' in message) {
    const chains = message.filterChains.map((chain, i) => [`filter_chains[${i}]`, chain] as const);
    const last = message.defaultFilterChain;
    return [...chains, ...(last === undefined ? [] : [['default_filter_chain', last] as const])].flatMap(
      ([path, chain]) =>
        chain.transportSocket === undefined
          ? []
          : [[`${path}.transport_socket.typed_config`, chain.transportSocket] as const],
    );
  }
  const matches = message.transportSocketMatches.map(
    (match, i) =>
      [`transport_socket_matches[${i}].transport_socket.typed_config`, match.transportSocket] as const,
  );
  return [['transport_socket.typed_config', message.transportSocket] as const, ...matches].flatMap(
    ([path, socket]) => (socket === undefined ? [] : [[path, socket] as const]),
  );
}

function search(value: unknown, path: string, found: FoundContext[]): void {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return;
  const own = value as { commonTlsContext?: CommonTlsContext };
  if (own.commonTlsContext !== undefined) {
    found.push({ context: own.commonTlsContext, path: `${path}.common_tls_context` });
    return;
  }
  for (const member of Object.values(value)) search(member, path, found);
}

function referencesOf({ context, path }: FoundContext): SecretReference[] {
  const found = context.tlsCertificateSdsSecretConfigs.map((config, i) =>
    referenceOf(config, `${path}.tls_certificate_sds_secret_configs[${i}]`),
  );
  const validation = context.validationContextSdsSecretConfig;
  if (validation !== undefined)
    found.push(referenceOf(validation, `${path}.validation_context_sds_secret_config`));
  const combined = context.combinedValidationContext?.validationContextSdsSecretConfig;
  if (combined !== undefined)
    found.push(
      referenceOf(combined, `${path}.combined_validation_context.validation_context_sds_secret_config`),
    );
  return found;
}

function referenceOf(config: SdsSecretConfig, path: string): SecretReference {
  return {
    name: config.name,
    path,
    origin: originOf(config.sdsConfig),
    fetchTimeoutMs: config.sdsConfig?.initialFetchTimeout ?? defaultFetchTimeoutMs,
  };
}

function originOf(source: ConfigSource | undefined): SecretOrigin {
  if (source === undefined) return { kind: 'static' };
  if (source.ads !== undefined) return { kind: 'ads' };
  if (source.pathConfigSource !== undefined) return { kind: 'path', path: source.pathConfigSource.path };
  return {
    kind: 'unsupported',
    why: 'secrets come by ads, from a path_config_source or from static secrets',
  };
}
