/**
 * Which further tries a request may have, and where they may go.
 *
 * Four kinds, from cheap to dear: a kept-alive connection that died before its first byte (safe when the method
 * is idempotent or nothing was sent); a stream that was refused unprocessed; an endpoint that refuses
 * connections is passed over; the retry policy, with its count, budget and backoff. Only the last counts
 * against the policy, and a hedge is of that kind: a retry that does not wait for a failure.
 *
 * Count, free tries and the hosts to avoid are the request's; a share of the budget is the attempt's.
 */
import { retryBackoffMs } from '@sluice/runtime';
import type { Cluster, Endpoint, PickContext, PriorityLimits } from '../../cluster/cluster.ts';
import type { RequestBody } from '../../http/request-body.ts';
import type { RetryPolicy } from '../../route/route.ts';
import { FLAG } from '../../telemetry/response-flags.ts';
import type { Attempt } from './attempt.ts';
import { clearPickContext, fillPickContext, newPickContext } from './pick-context.ts';
import { isIdempotent, type AttemptFailure } from './retry-decision.ts';
import type { RouterHost } from './router-host.ts';

/** Tries that the retry policy does not count: dead idle connections, endpoints passed over, a refused stream. */
const MAX_FREE_TRIES = 3;

/** `fresh`: on a connection that has carried nothing. */
export type FreeTry = 'none' | 'fresh' | 'any';

export class FurtherTries {
  readonly pick: PickContext;
  /** Of the request, from `begin` to `reset`. */
  cluster: Cluster | null = null;
  limits: PriorityLimits | null = null;
  policy: RetryPolicy | null = null;
  readonly #host: RouterHost;
  readonly #body: RequestBody;
  #maxRetries = 0;
  #retriesUsed = 0;
  #freeTries = 0;

  constructor(host: RouterHost, body: RequestBody) {
    this.#host = host;
    this.#body = body;
    this.pick = newPickContext(host.services.draw);
  }

  begin(cluster: Cluster, limits: PriorityLimits, policy: RetryPolicy | null, maxRetries: number): void {
    this.cluster = cluster;
    this.limits = limits;
    this.policy = policy;
    this.#maxRetries = maxRetries;
    fillPickContext(this.pick, this.#host, cluster, policy);
  }

  reset(): void {
    this.cluster = null;
    this.limits = null;
    this.policy = null;
    this.#retriesUsed = 0;
    this.#freeTries = 0;
    clearPickContext(this.pick);
  }

  /** A second try that no policy needs to allow. */
  freeTry(attempt: Attempt, failure: AttemptFailure): FreeTry {
    if (this.#freeTries >= MAX_FREE_TRIES || !this.#body.isWhole) return 'none';
    const { record, message } = this.#host;
    const endpoint = attempt.endpoint!;
    if (failure === 'connection-termination' && attempt.wasReused) {
      if (attempt.hasSentHead && !isIdempotent(message)) return 'none';
      this.#freeTries++;
      record.decide('reconnect', '', 'a kept-alive connection had ended');
      return 'fresh';
    }
    if (failure === 'refused-stream') {
      this.#freeTries++;
      record.decide('resend', '', `${endpoint.label} refused the stream unprocessed`);
      return 'any';
    }
    // A process that was killed may end connections in the middle of their handshake before it refuses new ones.
    const isRefusal = failure === 'connect-failed' || failure === 'tls-failed';
    if (!isRefusal || !this.#hasEndpointBut(endpoint)) return 'none';
    this.#freeTries++;
    this.pick.tried.push(endpoint);
    this.pick.avoidTried = true;
    record.decide('pass-over', '', `${endpoint.label} refused the connection`);
    return 'any';
  }

  /**
   * Count, body and budget: true when `attempt` may begin a retry, for which it then holds a share of the
   * budget. Else the record says why; `isLast` when nothing else may still answer, so that the flags show it.
   */
  allows(attempt: Attempt, isLast: boolean): boolean {
    const { record } = this.#host;
    const { stats } = this.cluster!;
    if (this.#retriesUsed >= this.#maxRetries) {
      if (isLast) record.flags |= FLAG.URX;
      stats.retryLimitExceeded();
      this.#decide('retry', `limit of ${this.#maxRetries} reached`);
      return false;
    }
    if (!this.#body.isWhole) {
      this.#decide('retry', 'skipped: body over 64 KiB');
      return false;
    }
    if (!attempt.becomeRetry(this.cluster!, this.limits!.retries)) {
      if (isLast) record.flags |= FLAG.UO;
      stats.retryOverflow();
      this.#decide('retry', 'skipped: retry budget spent');
      return false;
    }
    return true;
  }

  /** Counts a retry in place of a try at `failed`; ms to wait before it. */
  countRetry(failed: Endpoint): number {
    const { backoffBaseMs, backoffMaxMs, backoffLeastMs } = this.policy!;
    this.#retriesUsed++;
    this.pick.tried.push(failed);
    this.#decide('retry', `number ${this.#retriesUsed} after ${failed.label}`);
    const backoff = { baseMs: backoffBaseMs, maxMs: backoffMaxMs };
    return backoffLeastMs + retryBackoffMs(backoff, this.#retriesUsed, this.#host.services.random);
  }

  /** Counts a retry beside a try at `busy`, which goes on. */
  countHedge(busy: Endpoint): void {
    this.#retriesUsed++;
    this.pick.tried.push(busy);
    this.#decide('hedge', `number ${this.#retriesUsed} beside ${busy.label}`);
  }

  /** Another of the attempts has answered. */
  noteWinner(endpoint: Endpoint): void {
    this.#decide('hedge', `${endpoint.label} answered first`);
  }

  noteBodyNotKept(): void {
    if (this.policy !== null) this.#decide('retry', 'given up: body over 64 KiB');
  }

  #decide(what: string, detail: string): void {
    this.#host.record.decide(what, this.#host.route?.origin ?? '', detail);
  }

  #hasEndpointBut(refused: Endpoint): boolean {
    for (const endpoint of this.cluster!.endpoints) {
      if (endpoint !== refused && !this.pick.tried.includes(endpoint)) return true;
    }
    return false;
  }
}
