/**
 * The workload's identity over its life: a first certificate by token, renewal by the certificate itself
 * long before the end, another try after every failure, an end that is told.
 *
 *     empty ──signed──► current ──renewal time──► current, renewing ──signed──► current …
 *                          └────────── notAfter passed ──────────► expired ──signed──► current
 *
 * The private key is made here, goes into a 0600 file and to the TLS engine, and nowhere else.
 */
import {
  createCsr,
  csrPem,
  exportPrivateKey,
  generateKey,
  isProblem,
  type Crl,
  type KeyPair,
} from '@sluice/identity';
import { reconnectBackoffMs, TimerNode, type Logger, type Random, type TimerWheel } from '@sluice/runtime';
import type { JsonObject } from '@sluice/xds';
import { readCrls } from '../config/secret-judgement.ts';
import { credentialOf, credentialText, readCredentialText, type Credential } from './credential.ts';
import type { IdentityStore } from './identity-dir.ts';
import type { IdentityMetrics } from './identity-metrics.ts';
import type { IdentityOptions } from './identity-options.ts';
import { chooseProof, isRefusal, type Proof } from './proof.ts';
import { clockProblem, renewAtMs } from './renewal-plan.ts';
import { keyForToken } from './request-key.ts';
import type { SigningAnswer, SigningRequest } from './signing-client.ts';
import { TrustRoots } from './trust-roots.ts';
import type { AuthorityTrust } from './signing-tls.ts';
import { WakeWatch } from './wake-watch.ts';

export interface SigningCall {
  readonly request: SigningRequest;
  readonly trust: AuthorityTrust;
  /** What the connection shows; null = nothing. */
  readonly credential: Credential | null;
}

export interface SigningOutcome {
  readonly answer: SigningAnswer;
  /** The root that a pin led to; empty without pins. */
  readonly pinnedRootPem: string;
  /** The authority could not be verified. */
  readonly isUntrusted: boolean;
}

export interface AgentDeps {
  readonly options: Pick<IdentityOptions, 'spiffeId' | 'keyKind' | 'allowExpiredRenewalMs'>;
  readonly timers: TimerWheel;
  readonly random: Random;
  readonly logger: Logger;
  readonly metrics: IdentityMetrics;
  readonly store: IdentityStore | null;
  /** Node metadata for the authority. */
  readonly metadata: JsonObject;
  /** The token of the moment, or null when there is none. Throws with words when it cannot be read. */
  readToken(): string | null;
  /** Roots given by the operator; null = none. */
  readRoots(): string | null;
  /** Never rejects. */
  sign(call: SigningCall): Promise<SigningOutcome>;
  onCredential(credential: Credential): void;
  onRoots(rootsPem: string, crlPem: string): void;
}

/** How long a certificate lives is the authority's to say (its operator's `--leaf-ttl`): 0 asks for its default. */
const wantedValidityS = 0;
/** A control plane that refuses for another reason than the certificate makes us ask for a new one this often at most. */
const doubtPauseMs = 600_000;
/** First tries follow quickly: everything waits for the first certificate. */
const backoff = { baseMs: 500, maxMs: 60_000 };

export class IdentityAgent {
  readonly #deps: AgentDeps;
  readonly #renewal: TimerNode;
  readonly #expiry: TimerNode;
  readonly #wake: WakeWatch;
  readonly #roots: TrustRoots;
  #current: Credential | null = null;
  /** Kept over failed tries: an authority that signed and whose answer was lost may be asked again for the same key. */
  #key: KeyPair | null = null;
  #renewAtMs = 0;
  #failures = 0;
  #isAsking = false;
  #isStopped = false;
  #isRevoked = false;
  #doubtedAtMs = -Infinity;
  /** A proof that was refused lets the other one have the next try. */
  #refused: Proof | null = null;
  /** What this process asked by last; another text in the file is a proof that was put in place since. */
  #shownToken: string | null = null;

  constructor(deps: AgentDeps) {
    this.#deps = deps;
    this.#renewal = new TimerNode(() => void this.#renew());
    this.#expiry = new TimerNode(() => this.#lookAtExpiry());
    this.#wake = new WakeWatch(deps.timers, (jumpMs) => this.#woke(jumpMs));
    this.#roots = new TrustRoots(deps.store, deps.logger, (rootsPem, crlPem) =>
      deps.onRoots(rootsPem, crlPem),
    );
  }

  get current(): Credential | null {
    return this.#current;
  }

  /** When the next renewal is planned, wall clock; 0 before the first certificate. */
  get renewalDueMs(): number {
    return this.#renewAtMs;
  }

  /** A call to the authority is on its way. */
  get isAsking(): boolean {
    return this.#isAsking;
  }

  get isExpired(): boolean {
    return this.#current !== null && this.#current.notAfterMs <= this.#wallMs();
  }

  start(): void {
    this.#roots.load();
    this.#restore();
    this.#takeRevocations(readCrls(this.#roots.crlPem));
    this.#wake.start();
    if (this.#current === null || this.isExpired) void this.#renew();
  }

  stop(): void {
    this.#isStopped = true;
    this.#wake.stop();
    this.#deps.timers.disarm(this.#renewal);
    this.#deps.timers.disarm(this.#expiry);
  }

  /** The trust bundle as the control plane sends it: from now on it decides, and not what authorities answer. */
  takeBundle(rootsPem: string, crlPem: string): void {
    this.#roots.fromControlPlane(rootsPem, crlPem);
    this.#takeRevocations(readCrls(crlPem));
    const { root, spiffeId } = this.#current ?? {};
    if (root === undefined || root === null || this.#roots.holds(root)) return;
    this.#deps.logger.warning(
      'the root of the workload certificate is trusted no longer; it is renewed at once',
      {
        id: spiffeId ?? '',
        root: root.subject,
      },
    );
    void this.#renew();
  }

  /** The revocation lists of the mesh. One's own name on them is the end of this certificate: only a token helps. */
  #takeRevocations(lists: readonly Crl[]): void {
    const { leaf } = this.#current ?? {};
    const isListed = lists.some(
      (list) => leaf !== undefined && list.issuer === leaf.issuer && list.revokedSerials.has(leaf.serial),
    );
    if (leaf === undefined || !isListed || this.#isRevoked) return;
    this.#isRevoked = true;
    this.#deps.logger.critical(
      'the workload certificate was revoked: its peers refuse it, and only a token can bring a new one',
      { id: this.#current?.spiffeId ?? '', serial: leaf.serial },
    );
    void this.#renew();
  }

  /**
   * The control plane ended a stream since it does not take who we are. A revoked workload hears of it nowhere else:
   * the stream that would bring the revocation list is the first to go. Asking for a certificate finds out.
   *
   * A token that was put in place since the last one goes first: where the certificate was given for other labels,
   * ports or another instance, its renewal would be taken and keep all that.
   */
  refusedByControlPlane(): void {
    const nowMs = this.#deps.timers.clock.nowMs();
    if (this.#current === null || this.#failures > 0) return;
    const token = attempt(() => this.#deps.readToken());
    const hasNewToken = typeof token === 'string' && token !== this.#shownToken;
    if (!hasNewToken && nowMs - this.#doubtedAtMs < doubtPauseMs) return;
    this.#doubtedAtMs = nowMs;
    if (hasNewToken) this.#refused = 'certificate';
    this.#deps.logger.warning(
      'the control plane does not take the workload certificate; a new one is asked for',
      {
        id: this.#current.spiffeId,
        serial: this.#current.leaf.serial,
      },
    );
    void this.#renew();
  }

  /** What was kept goes on; what cannot be read is told of and replaced. */
  #restore(): void {
    const stored = this.#deps.store?.load() ?? null;
    if (stored === null) return;
    const credential = readCredentialText(stored.pem, stored.obtainedMs, this.#deps.options.spiffeId);
    if (isProblem(credential)) {
      this.#deps.logger.warning('the stored certificate cannot be used; a new one is asked for', {
        problem: credential.message,
      });
      return;
    }
    this.#take(credential);
    this.#deps.logger.info('going on with the stored certificate', describe(credential, this.#renewAtMs));
  }

  async #renew(): Promise<void> {
    if (this.#isAsking || this.#isStopped) return;
    this.#isAsking = true;
    const proof = this.#chooseProof();
    const failure = await this.#ask(proof).catch((error: unknown) => ({
      message: error instanceof Error ? error.message : String(error),
      isRefusal: false,
    }));
    this.#isAsking = false;
    if (this.#isStopped) return;
    if (failure === null) this.#succeeded();
    else this.#failed(failure, proof);
  }

  /** Null when a new credential is in use, else what went wrong. */
  async #ask(proof: Proof): Promise<Failure | null> {
    const { options, metadata } = this.#deps;
    const token = proof === 'token' ? attempt(() => this.#deps.readToken()) : null;
    if (token instanceof Error) return { message: token.message, isRefusal: true };
    if (proof === 'token' && token === null)
      return { message: 'there is neither a token nor a certificate that may renew itself', isRefusal: true };
    if (token !== null) this.#shownToken = token;
    const trust = this.#roots.towardsAuthority(token, () => this.#deps.readRoots());
    if (typeof trust === 'string') return { message: trust, isRefusal: false };
    const { store, logger } = this.#deps;
    this.#key ??= await (proof === 'token' && store !== null
      ? keyForToken(store, options.keyKind, logger)
      : generateKey(options.keyKind));
    const id = options.spiffeId || this.#current?.spiffeId || '';
    const csr = csrPem(createCsr(this.#key, id === '' ? {} : { uriSans: [id] }));
    const { answer, pinnedRootPem, isUntrusted } = await this.#deps.sign({
      request: { csrPem: csr, validitySeconds: wantedValidityS, metadata, token: token ?? '' },
      trust,
      credential: proof === 'certificate' ? this.#current : null,
    });
    if (this.#isStopped) return null;
    if (answer.kind === 'refused')
      return { message: answer.message, isRefusal: isUntrusted || isRefusal(answer.code) };
    return this.#accept(answer.chainPem, pinnedRootPem);
  }

  #accept(chainPem: string, pinnedRootPem: string): Failure | null {
    const { options, logger, store } = this.#deps;
    if (this.#key === null) return { message: 'an answer to no question', isRefusal: false };
    const keyPem = exportPrivateKey(this.#key);
    const credential = credentialOf(keyPem, chainPem, this.#wallMs(), options.spiffeId);
    if (isProblem(credential))
      return { message: `the authority's answer cannot be used: ${credential.message}`, isRefusal: false };
    const clocks = clockProblem(credential);
    if (clocks !== null)
      logger.error('the clocks of this machine and of the authority differ', { problem: clocks });
    if (credential.notAfterMs <= credential.obtainedMs)
      return { message: clocks ?? 'the certificate has expired', isRefusal: false };
    this.#key = null;
    const unsaved = attempt(() => {
      store?.save(credentialText(credential));
      store?.savePendingKey(null);
    });
    if (unsaved instanceof Error)
      logger.error('the new certificate could not be stored; a restart will not find it', {
        error: unsaved.message,
      });
    // Roots first: what is shown from now on must be verifiable by those who follow our bundle.
    this.#roots.fromAuthority(pinnedRootPem, credential.root);
    this.#take(credential);
    return null;
  }

  #take(credential: Credential): void {
    const { random, metrics, timers } = this.#deps;
    this.#current = credential;
    this.#isRevoked = false;
    this.#renewAtMs = renewAtMs(credential, random.next());
    metrics.took(credential, this.#renewAtMs);
    timers.arm(this.#renewal, this.#untilRenewalMs());
    this.#armExpiry();
    if (credential.notAfterMs > this.#wallMs()) this.#deps.onCredential(credential);
    else this.#lookAtExpiry();
  }

  #succeeded(): void {
    this.#failures = 0;
    this.#refused = null;
    this.#deps.metrics.renewals.inc();
    if (this.#current !== null)
      this.#deps.logger.info('certificate received', describe(this.#current, this.#renewAtMs));
  }

  #failed(failure: Failure, proof: Proof): void {
    const { logger, metrics, random, timers } = this.#deps;
    this.#failures++;
    this.#refused = failure.isRefusal ? proof : null;
    metrics.failures.inc();
    const pauseMs = reconnectBackoffMs(backoff, this.#failures, random);
    const level = this.#current === null || this.isExpired ? 'error' : 'warning';
    logger[level]('no certificate could be had', {
      by: proof,
      problem: failure.message,
      retryInMs: Math.round(pauseMs),
      ...(this.#current === null ? {} : { expires: new Date(this.#current.notAfterMs).toISOString() }),
    });
    timers.arm(this.#renewal, pauseMs);
  }

  #chooseProof(): Proof {
    return chooseProof({
      certificate: this.#current,
      isRevoked: this.#isRevoked,
      allowExpiredMs: this.#deps.options.allowExpiredRenewalMs,
      nowMs: this.#wallMs(),
      refused: this.#refused,
      failures: this.#failures,
      hasToken: () => typeof attempt(() => this.#deps.readToken()) === 'string',
    });
  }

  #woke(jumpMs: number): void {
    this.#deps.logger.info('the clock jumped: the machine slept or its time was set', {
      jumpMs: Math.round(jumpMs),
    });
    if (this.#current === null) return;
    this.#lookAtExpiry();
    if (this.#failures > 0 || this.#untilRenewalMs() === 0) void this.#renew();
    else this.#deps.timers.arm(this.#renewal, this.#untilRenewalMs());
  }

  #lookAtExpiry(): void {
    const current = this.#current;
    if (current === null) return;
    if (!this.isExpired) return this.#armExpiry();
    this.#deps.logger.critical(
      'the workload certificate has expired: connections of the mesh are refused until a new one is had',
      { id: current.spiffeId, expired: new Date(current.notAfterMs).toISOString() },
    );
  }

  #armExpiry(): void {
    const leftMs = (this.#current?.notAfterMs ?? 0) - this.#wallMs();
    if (leftMs > 0) this.#deps.timers.arm(this.#expiry, leftMs);
  }

  #untilRenewalMs(): number {
    return Math.max(0, this.#renewAtMs - this.#wallMs());
  }

  #wallMs(): number {
    return this.#deps.timers.clock.wallMs();
  }
}

interface Failure {
  readonly message: string;
  /** The proof was not taken, or the authority not believed: another proof may do. */
  readonly isRefusal: boolean;
}

function attempt<T>(run: () => T): T | Error {
  try {
    return run();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function describe(credential: Credential, renewalDueMs: number): Record<string, string> {
  return {
    id: credential.spiffeId,
    serial: credential.leaf.serial,
    expires: new Date(credential.notAfterMs).toISOString(),
    renewal: new Date(renewalDueMs).toISOString(),
  };
}
