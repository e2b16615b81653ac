/**
 * CommonTlsContext compiled, and its live form: certificates and rules as they are now, whether they stand
 * in the context or come as secrets.
 */
import type { CertificateValidationContext, CommonTlsContext } from '@sluice/xds';
import { newProblems, type ProblemScope } from '../config/problems.ts';
import type { TlsFailure, TlsSettings } from '../io/tls-context.ts';
import type { TlsFacts } from '../io/tls-facts.ts';
import { loadCredential, type Credential } from './credential.ts';
import { compilePeerRules, isRevoked, isStillTrusted, type PeerRules } from './peer-rules.ts';
import type { LoadedSecret } from './secret-set.ts';
import type { Review } from './secured-connections.ts';
import type { TlsEnvironment } from './tls-environment.ts';
import { compileTlsParams, type TlsParams } from './tls-params.ts';

export interface CommonTls {
  readonly params: TlsParams;
  readonly credentials: readonly Credential[];
  readonly credentialSecrets: readonly string[];
  /** What stands in the context itself. */
  readonly validation: CertificateValidationContext | null;
  /** Its fields are added to what stands in the context. */
  readonly validationSecret: string | null;
  readonly alpn: readonly string[];
}

/** As of one state of the secrets. */
export interface Material {
  readonly credentials: readonly Credential[];
  /** Null = peers are not judged. */
  readonly rules: PeerRules | null;
  /** By credential; held here, since sessions live with their settings. */
  readonly settings: Map<Credential | null, TlsSettings>;
}

/** A protocol's name has one octet for its length (RFC 7301 §3.1). */
const maxAlpnBytes = 255;

export function compileCommonTls(message: CommonTlsContext | undefined, scope: ProblemScope): CommonTls {
  const combined = message?.combinedValidationContext;
  const validation = message?.validationContext ?? combined?.defaultValidationContext ?? null;
  if (validation !== null)
    compilePeerRules(
      validation,
      combined === undefined
        ? scope.at('validation_context')
        : scope.at('combined_validation_context').at('default_validation_context'),
    );
  for (const [i, name] of (message?.alpnProtocols ?? []).entries())
    if (name === '' || Buffer.byteLength(name) > maxAlpnBytes)
      scope.at('alpn_protocols', i).error(`must have 1 to ${maxAlpnBytes} octets`);
  return {
    params: compileTlsParams(message?.tlsParams, scope.at('tls_params')),
    credentials: compileCredentials(message, scope),
    credentialSecrets: (message?.tlsCertificateSdsSecretConfigs ?? []).map(({ name }) => name),
    validation,
    validationSecret:
      (message?.validationContextSdsSecretConfig ?? combined?.validationContextSdsSecretConfig)?.name ?? null,
    alpn: message?.alpnProtocols ?? [],
  };
}

function compileCredentials(message: CommonTlsContext | undefined, scope: ProblemScope): Credential[] {
  const credentials: Credential[] = [];
  for (const [i, certificate] of (message?.tlsCertificates ?? []).entries()) {
    const credential = loadCredential(certificate);
    if (typeof credential === 'string') scope.at('tls_certificates', i).error(credential);
    else credentials.push(credential);
  }
  return credentials;
}

/** Looks at the secrets again only when one has changed. */
export class LiveMaterial {
  readonly common: CommonTls;
  readonly #environment: TlsEnvironment;
  #revision = -1;
  /** The secrets that the material was made of, null where one was missing. */
  #loaded: readonly (LoadedSecret | null)[] = [];
  #material: Material | TlsFailure = { kind: 'no-credential', reason: '' };

  constructor(common: CommonTls, environment: TlsEnvironment) {
    this.common = common;
    this.#environment = environment;
  }

  now(): Material | TlsFailure {
    const { revision } = this.#environment.secrets;
    if (revision !== this.#revision) {
      const isFirst = this.#revision < 0;
      this.#revision = revision;
      const named = this.#named();
      // Sessions live with the material: a secret of somebody else's must not end them.
      if (isFirst || named.some((secret, i) => secret !== this.#loaded[i])) {
        this.#loaded = named;
        this.#material = this.#load();
      }
    }
    return this.#material;
  }

  uses(secret: string): boolean {
    return this.common.validationSecret === secret || this.common.credentialSecrets.includes(secret);
  }

  /** What has become of a connection's certificates. Without material nothing is known to be wrong. */
  review(facts: TlsFacts): Review {
    const material = this.now();
    if ('reason' in material) return 'keep';
    const { credentials, rules } = material;
    const { peer } = facts;
    if (rules !== null && peer !== null) {
      if (isRevoked(peer, rules)) return 'revoke';
      if (facts.isPeerVerified && !isStillTrusted(peer, rules, this.#environment.wallMs())) return 'renew';
    }
    const isCurrent =
      facts.credential === '' || credentials.some(({ generation }) => generation === facts.credential);
    return isCurrent ? 'keep' : 'renew';
  }

  #named(): readonly (LoadedSecret | null)[] {
    const { credentialSecrets, validationSecret } = this.common;
    const names = validationSecret === null ? credentialSecrets : [...credentialSecrets, validationSecret];
    return names.map((name) => this.#environment.secrets.get(name));
  }

  #load(): Material | TlsFailure {
    const { secrets } = this.#environment;
    const { credentials, credentialSecrets, validation, validationSecret } = this.common;
    const all = [...credentials];
    for (const name of credentialSecrets) {
      const credential = secrets.get(name)?.credential ?? null;
      if (credential === null) return missing(name, 'certificate');
      all.push(credential);
    }
    if (validationSecret === null)
      return materialOf(all, validation === null ? null : compilePeerRules(validation, newProblems()));
    const shared = secrets.get(validationSecret)?.validation ?? null;
    if (shared === null) return missing(validationSecret, 'validation context');
    return materialOf(all, compilePeerRules(merged(validation, shared), newProblems()));
  }
}

function materialOf(credentials: readonly Credential[], rules: PeerRules | null): Material {
  return { credentials, rules, settings: new Map() };
}

function missing(name: string, what: string): TlsFailure {
  return { kind: 'no-credential', reason: `the secret "${name}" (${what}) has not arrived` };
}

/** As protobuf merges: lists are joined, what is set in the secret wins. */
function merged(
  own: CertificateValidationContext | null,
  secret: CertificateValidationContext,
): CertificateValidationContext {
  if (own === null) return secret;
  return {
    ...own,
    ...secret,
    verifyCertificateSpki: [...own.verifyCertificateSpki, ...secret.verifyCertificateSpki],
    verifyCertificateHash: [...own.verifyCertificateHash, ...secret.verifyCertificateHash],
    matchTypedSubjectAltNames: [...own.matchTypedSubjectAltNames, ...secret.matchTypedSubjectAltNames],
    matchSubjectAltNames: [...own.matchSubjectAltNames, ...secret.matchSubjectAltNames],
    allowExpiredCertificate: own.allowExpiredCertificate || secret.allowExpiredCertificate,
    trustChainVerification:
      secret.trustChainVerification === 'VERIFY_TRUST_CHAIN'
        ? own.trustChainVerification
        : secret.trustChainVerification,
    onlyVerifyLeafCertCrl: own.onlyVerifyLeafCertCrl || secret.onlyVerifyLeafCertCrl,
  };
}
