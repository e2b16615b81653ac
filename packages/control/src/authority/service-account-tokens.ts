/**
 * Kubernetes service-account tokens as proof of identity: JWTs of a known issuer for a known audience, verified with
 * the issuer's published keys (JWKS by file or URL), naming a namespace and an account in `sub`.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  jwtVerify,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
} from 'jose';
import { localError } from '../errors.ts';

export interface ServiceAccountSettings {
  /** `iss` of the tokens. */
  readonly issuer: string;
  /** `aud` that they must name; Istio's agents ask for `istio-ca`. */
  readonly audience: string;
  /** A file, or an https URL; http on this machine. */
  readonly jwks: string;
}

export type VerifiedAccount =
  | {
      readonly ok: true;
      readonly namespace: string;
      readonly account: string;
      /** Of the pod that the token is bound to; empty where it is bound to none. */
      readonly podUid: string;
    }
  | { readonly ok: false; readonly reason: string };

const subjectForm =
  /^system:serviceaccount:([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?):([a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)$/;
/** Signatures that keys of the JWKS may make; `none` and shared secrets are not among them. */
const algorithms = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'PS256', 'EdDSA'];
const clockToleranceS = 60;
const jwksTimeoutMs = 5000;
const maxTokenBytes = 16 * 1024;
const maxRemembered = 4096;
/** A key that the issuer has withdrawn signs nobody in any more after these two together: a minute. */
const verdictTtlMs = 30_000;
const jwksTtlMs = 30_000;
const loopbackHosts: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

export class ServiceAccountTokens {
  readonly #settings: ServiceAccountSettings;
  readonly #keys: () => JWTVerifyGetKey;
  readonly #wallMs: () => number;
  /** Digest of a verified token → who it is and until when: verifying costs 0.2 ms. */
  readonly #known = new Map<string, { readonly account: VerifiedAccount; readonly endMs: number }>();

  /** Throws `identity-invalid` when the keys cannot be read. */
  constructor(settings: ServiceAccountSettings, wallMs: () => number) {
    this.#settings = settings;
    this.#wallMs = wallMs;
    this.#keys = keySource(settings.jwks);
  }

  /** Never throws for a token's faults. */
  async verify(token: string): Promise<VerifiedAccount> {
    if (token.length > maxTokenBytes) return { ok: false, reason: 'the service-account token is too large' };
    const id = createHash('sha256').update(token).digest('base64');
    const known = this.#known.get(id);
    if (known !== undefined && known.endMs > this.#wallMs()) return known.account;
    this.#known.delete(id);
    try {
      const { payload } = await jwtVerify(token, this.#keys(), {
        issuer: this.#settings.issuer,
        audience: this.#settings.audience,
        algorithms,
        clockTolerance: clockToleranceS,
        currentDate: new Date(this.#wallMs()),
        requiredClaims: ['exp', 'sub'],
      });
      const [, namespace, account] = subjectForm.exec(payload.sub ?? '') ?? [];
      if (namespace === undefined || account === undefined)
        return { ok: false, reason: 'the subject of the service-account token is not an account' };
      const verified = { ok: true, namespace, account, podUid: podUidOf(payload) } as const;
      this.#remember(id, verified, Math.min((payload.exp ?? 0) * 1000, this.#wallMs() + verdictTtlMs));
      return verified;
    } catch (error) {
      return { ok: false, reason: describe(error) };
    }
  }

  #remember(id: string, account: VerifiedAccount, endMs: number): void {
    for (const oldest of this.#known.keys()) {
      if (this.#known.size < maxRemembered) break;
      this.#known.delete(oldest);
    }
    this.#known.set(id, { account, endMs });
  }
}

/** As the API server writes it into tokens that end with their pod. */
function podUidOf(payload: JWTPayload): string {
  const bound = payload['kubernetes.io'];
  const pod = isRecord(bound) ? bound['pod'] : undefined;
  return isRecord(pod) && typeof pod['uid'] === 'string' ? pod['uid'] : '';
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function keySource(jwks: string): () => JWTVerifyGetKey {
  if (/^https?:\/\//i.test(jwks)) {
    const url = new URL(jwks);
    // Whoever could answer in its place would be any account of the mesh.
    if (url.protocol !== 'https:' && !loopbackHosts.has(url.hostname))
      throw localError('identity-invalid', `${jwks}: keys of service accounts are fetched by https only`);
    const remote = createRemoteJWKSet(url, { timeoutDuration: jwksTimeoutMs, cacheMaxAge: jwksTtlMs });
    return () => remote;
  }
  let text = '';
  let keys: JWTVerifyGetKey = readKeys(jwks, (text = readKeyFile(jwks)));
  return () => {
    // Kubernetes replaces the file when its keys rotate; reading it costs less than the signature.
    const present = readKeyFile(jwks);
    if (present !== text) keys = readKeys(jwks, (text = present));
    return keys;
  };
}

function readKeyFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw localError('identity-invalid', `the keys of service accounts cannot be read from ${path}`, error);
  }
}

function readKeys(path: string, text: string): JWTVerifyGetKey {
  try {
    return createLocalJWKSet(JSON.parse(text) as JSONWebKeySet);
  } catch (error) {
    throw localError('identity-invalid', `${path} is not a JSON Web Key Set`, error);
  }
}

/** Without the token's own words: they would reach logs and answers. */
function describe(error: unknown): string {
  if (error instanceof errors.JWTExpired) return 'the service-account token has expired';
  if (error instanceof errors.JWTClaimValidationFailed)
    return `the service-account token is not for this mesh (its ${error.claim} does not fit)`;
  if (error instanceof errors.JWSSignatureVerificationFailed || error instanceof errors.JWKSNoMatchingKey)
    return 'the service-account token is not signed by a key of the issuer';
  if (error instanceof errors.JOSEError) return 'the service-account token cannot be read';
  return `the keys of service accounts cannot be had: ${error instanceof Error ? error.message : 'unknown reason'}`;
}
