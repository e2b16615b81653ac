/**
 * The terminal HTTP filter: sends the request to an endpoint of the route's cluster, again where that is
 * allowed and safe, and hands the response back.
 *
 *   idle ──start──► trying ⇄ backing off
 *                     │ response accepted        │ nothing more to try
 *                     ▼                          ▼
 *                  answering ──────────────────► over
 *
 * Four kinds of second try, from cheap to dear: a kept-alive connection that died before its first byte
 * (safe when the method is idempotent or nothing was sent); a stream that was refused unprocessed; an
 * endpoint that refuses connections is passed over; the retry policy, with its count, budget and backoff.
 * Only the last counts against the policy.
 */
import { retryBackoffMs, TimerNode } from '@sluice/runtime';
import { H, HeaderList } from '@sluice/wire';
import type { Cluster, Endpoint, PickContext, PriorityLimits } from '../../cluster/cluster.ts';
import type { ProxyErrorCode } from '../../errors.ts';
import { isGrpcRequest } from '../../http/grpc-request.ts';
import { localReply } from '../../http/reply.ts';
import { RequestBody } from '../../http/request-body.ts';
import type { ResponseMessage, UpstreamConnector, UpstreamRequest } from '../../http/streams.ts';
import type { ForwardAction, RetryPolicy, WeightedCluster } from '../../route/route.ts';
import { FLAG } from '../../telemetry/response-flags.ts';
import { serverNameOf } from '../../upstream/tls-names.ts';
import { applyHeaderOperations } from '../header-operations.ts';
import { Attempt, type AttemptHost } from './attempt.ts';
import { AttemptOutcome } from './attempt-outcome.ts';
import { chooseClusterName } from './choose-cluster.ts';
import { detailsAfterResponse, failureCode, failureFlag, failureReply } from './failure-reply.ts';
import { answerOfRoute } from './route-answer.ts';
import { isIdempotent, retriesFailure, retriesResponse, type AttemptFailure } from './retry-decision.ts';
import { editRequestHead, editResponseHead } from './head-edits.ts';
import { clearPickContext, fillPickContext, newPickContext } from './pick-context.ts';
import { withRequestedRetries } from './requested-retries.ts';
import { RequestClocks } from './request-clocks.ts';
import type { RouterHost } from './router-host.ts';
import { smallDecimal } from './small-decimal.ts';

/** Tries that the retry policy does not count: dead idle connections, endpoints passed over, a refused stream. */
const MAX_FREE_TRIES = 3;

export class Router implements AttemptHost {
  readonly body = new RequestBody();
  readonly upstream: UpstreamConnector;
  readonly #host: RouterHost;
  readonly #attempt: Attempt;
  readonly #clocks: RequestClocks;
  readonly #backoff = new TimerNode(onBackoff);
  readonly #pick: PickContext;
  readonly #outcome = new AttemptOutcome();
  readonly #request: UpstreamRequest;
  #attemptHeaders: HeaderList | null = null;
  #state: 'idle' | 'trying' | 'answering' | 'over' = 'idle';
  #action: ForwardAction | null = null;
  #cluster: Cluster | null = null;
  #limits: PriorityLimits | null = null;
  #weighted: WeightedCluster | null = null;
  #retry: RetryPolicy | null = null;
  #retriesUsed = 0;
  #freeTries = 0;
  #holdsRetryBudget = false;
  #isRetry = false;
  #hasStarted = false;

  constructor(host: RouterHost) {
    const { timers, clock, upstream, draw } = host.services;
    this.#host = host;
    this.upstream = upstream;
    this.#attempt = new Attempt(this, timers, clock);
    this.#clocks = new RequestClocks(host.services, this);
    this.#backoff.owner = this;
    this.#pick = newPickContext(draw);
    const message = host.message;
    this.#request = {
      method: '',
      scheme: 'http',
      authority: '',
      path: '',
      headers: message.headers,
      upgrade: '',
      needsWebSocketKey: false,
      contentLength: -1,
    };
  }

  /** False while some attempt still wants its response's end. */
  get isIdle(): boolean {
    return this.#state === 'idle' || this.#state === 'over';
  }

  get hasStarted(): boolean {
    return this.#hasStarted;
  }

  /** True when body bytes may keep coming. */
  get takesBytes(): boolean {
    if (this.isIdle) return true;
    const attempt = this.#attempt;
    return (
      attempt.hasSentHead &&
      attempt.stream !== null &&
      attempt.stream.isWritable &&
      attempt.position === this.body.totalBytes
    );
  }

  start(isEnd: boolean): void {
    this.#hasStarted = true;
    if (isEnd) this.body.end(null);
    const route = this.#host.route;
    const answer = answerOfRoute(this.#host);
    if (answer !== null) {
      if (route !== null)
        applyHeaderOperations(this.#host.message.headers, route.requestHeaders, this.#host.record);
      this.#host.answer(answer);
      return;
    }
    if (route === null || route.action.kind !== 'forward') return;
    this.#forward(route.action, isEnd);
  }

  data(data: Uint8Array, start: number, end: number): void {
    if (this.isIdle) return;
    const attempt = this.#attempt;
    const body = this.body;
    if (!body.isReplayable && this.takesBytes) {
      attempt.sendNow(data, start, end);
      body.skip(end - start);
      return;
    }
    const wasReplayable = body.isReplayable;
    body.append(data, start, end);
    if (wasReplayable && !body.isReplayable && this.#retry !== null)
      this.#host.record.decide('retry', this.#policyName(), 'given up: body over 64 KiB');
    attempt.pump();
  }

  end(trailers: HeaderList | null): void {
    if (this.isIdle) return;
    this.body.end(trailers);
    this.#clocks.requestEnded(this.#host.message.upgrade !== '', this.#attempt);
    this.#attempt.pump();
  }

  /** The client takes bytes again. */
  onDownstreamWritable(): void {
    this.#attempt.credit();
  }

  /** The exchange is over, by whatever cause. */
  cancel(): void {
    if (this.#attempt.isOpen) {
      this.#cluster?.stats.requestCancelled();
      this.#attempt.release();
    }
    this.#over();
  }

  reset(): void {
    this.cancel();
    this.#state = 'idle';
    this.#hasStarted = false;
    this.body.reset();
    this.#action = null;
    this.#cluster = null;
    this.#limits = null;
    this.#weighted = null;
    this.#retry = null;
    this.#retriesUsed = 0;
    this.#freeTries = 0;
    clearPickContext(this.#pick);
  }

  dispose(): void {
    this.cancel();
    this.#attempt.dispose();
    this.#clocks.dispose();
    this.#host.services.timers.disarm(this.#backoff);
  }

  prepareHead(attempt: Attempt): UpstreamRequest | null {
    const host = this.#host;
    const { record, message } = host;
    const endpoint = attempt.endpoint!;
    const request = this.#request as { -readonly [K in keyof UpstreamRequest]: UpstreamRequest[K] };
    record.endpoint = endpoint;
    record.upstreamLocalAddress = attempt.stream!.localAddress;
    record.upstreamTls = attempt.stream!.tls;
    record.attempts++;
    request.headers = message.headers;
    const hasFilters = host.upstreamFilters.length > 0;
    if (hasFilters) {
      // What a filter writes for one attempt must not show in the next.
      request.headers = this.#attemptHeaders ??= new HeaderList();
      message.headers.copyTo(request.headers);
    }
    if (host.route!.virtualHost.includeRequestAttemptCount)
      request.headers.set(H.xEnvoyAttemptCount, smallDecimal(record.attempts));
    const rewrite = this.#weighted?.hostRewrite ?? this.#action!.hostRewrite;
    if (rewrite?.kind === 'auto' && endpoint.hostname !== '') request.headers.set(H.host, endpoint.hostname);
    if (record.attempts > 1) this.#clocks.tellAgain(request.headers, record, host.suppressEnvoyHeaders);
    request.method = message.method;
    request.path = message.path;
    request.upgrade = message.upgrade;
    request.contentLength = message.contentLength;
    for (const filter of host.upstreamFilters) {
      const verdict = filter.onAttemptHead?.(host.upstreamFilterContext(), request.headers, record.attempts);
      if (verdict === 'answered' || !attempt.isOpen) return null;
    }
    request.scheme = message.scheme;
    request.needsWebSocketKey = message.protocol === 'HTTP/2';
    request.authority = message.authority;
    return request;
  }

  onAttemptSent(): void {
    this.#host.record.upstreamHeadSentMs = this.#host.services.clock.nowMs();
    if (this.body.hasEnded) this.#clocks.startTry(this.#attempt);
  }

  onAttemptProgress(): void {
    this.#host.grantRequestCredit();
  }

  onAttemptInformational(_attempt: Attempt, response: ResponseMessage): void {
    this.#host.informational(response);
  }

  onAttemptHead(attempt: Attempt, response: ResponseMessage, isEnd: boolean): void {
    const { record, message } = this.#host;
    record.upstreamFirstByteMs = this.#host.services.clock.nowMs();
    this.#outcome.onHead(attempt.endpoint!, response.status, response.headers, isEnd);
    if (
      this.#retry !== null &&
      retriesResponse(this.#retry, response.status, response.headers, message) &&
      this.#mayRetry()
    ) {
      this.#endRetry(false);
      this.#endAttempt(attempt, response.status);
      attempt.release();
      this.#scheduleRetry(attempt.endpoint!);
      return;
    }
    this.#endRetry(response.status < 500);
    this.#state = 'answering';
    attempt.clearTryTimeout();
    editResponseHead(this.#host, response);
    const isTunnel =
      message.upgrade !== '' &&
      (response.status === 101 ||
        (message.upgrade === 'connect' && response.status >= 200 && response.status < 300));
    attempt.isTunnel = isTunnel;
    if (isTunnel) this.#clocks.clearRoute();
    this.#host.beginResponse(response, isEnd, isTunnel);
  }

  onAttemptData(attempt: Attempt, data: Uint8Array, start: number, end: number): void {
    this.#host.record.upstreamBytesReceived += end - start;
    this.#host.responseData(data, start, end);
    if (this.#host.isDownstreamWritable) attempt.credit();
  }

  onAttemptEnd(attempt: Attempt, trailers: HeaderList | null): void {
    const { record } = this.#host;
    record.upstreamLastByteMs = this.#host.services.clock.nowMs();
    this.#outcome.onEnd(attempt.endpoint!, trailers);
    this.#endAttempt(attempt, record.status);
    this.#over();
    this.#host.responseEnd(trailers);
  }

  onAttemptHalfEnd(): void {
    this.#host.responseEnd(null);
  }

  onAttemptFailed(attempt: Attempt, failure: AttemptFailure, detail: string): void {
    const { record } = this.#host;
    const endpoint = attempt.endpoint!;
    endpoint.stats.errors++;
    record.upstreamTransportFailure = detail;
    this.#endAttempt(attempt, 0);
    if (this.#state === 'answering') {
      this.#over();
      this.#host.abortResponse(failureFlag(failure), detailsAfterResponse(failure), failureCode(failure));
      return;
    }
    record.endpoint = endpoint;
    if (this.#tryForFree(attempt, failure)) return;
    const policy = this.#retry;
    if (
      policy !== null &&
      retriesFailure(policy, failure, attempt.hasSentHead, this.#host.message) &&
      this.#mayRetry()
    ) {
      this.#endRetry(false);
      this.#scheduleRetry(endpoint);
      return;
    }
    this.#over();
    this.#host.answer(failureReply(failure));
  }

  onBackoffEnd(): void {
    this.#try(true);
  }

  onRouteTimeout(): void {
    this.#cluster?.stats.requestTimeout();
    const endpoint = this.#attempt.endpoint;
    if (this.#attempt.isOpen && endpoint !== null) endpoint.stats.timeouts++;
    this.#giveUp('request-timeout', FLAG.UT, 'response_timeout');
  }

  onMaxDuration(): void {
    this.#giveUp('max-stream-duration', FLAG.UMSDR, 'upstream_max_stream_duration_reached');
  }

  #giveUp(code: ProxyErrorCode, flag: number, details: string): void {
    if (this.isIdle) return;
    const wasAnswering = this.#state === 'answering';
    if (this.#attempt.isOpen) this.#endAttempt(this.#attempt, 504);
    this.#attempt.release();
    this.#over();
    if (wasAnswering) this.#host.abortResponse(flag, details, code);
    else this.#host.answer(localReply(code, details));
  }

  #forward(action: ForwardAction, isEnd: boolean): void {
    const host = this.#host;
    const { message, record, services } = host;
    this.#action = action;
    this.#weighted = host.weighted;
    const name = chooseClusterName(action.clusters, message.headers, this.#weighted);
    record.clusterName = name;
    const cluster = name === '' ? null : services.findCluster(name);
    if (cluster === null) {
      host.answer(
        localReply('cluster-not-found', 'cluster_not_found', { status: action.clusterNotFoundStatus }),
      );
      return;
    }
    record.cluster = cluster;
    this.#cluster = cluster;
    this.#limits = action.priority === 'high' ? cluster.highPriorityLimits : cluster.limits;
    this.#retry = withRequestedRetries(action.retry ?? host.route!.virtualHost.retry, message.headers);
    this.#outcome.isGrpc = record.isGrpc = isGrpcRequest(message.headers);
    if (!this.#clocks.begin(action, this.#retry, host)) {
      host.answer(localReply('max-stream-duration', 'upstream_max_stream_duration_reached'));
      return;
    }
    editRequestHead(host, action);
    this.#clocks.tell(message.headers, host.suppressEnvoyHeaders);
    fillPickContext(this.#pick, host, cluster, this.#retry);
    this.#state = 'trying';
    if (isEnd) this.#clocks.requestEnded(this.#host.message.upgrade !== '', this.#attempt);
    this.#try(true);
  }

  #try(mayReuse: boolean): void {
    const cluster = this.#cluster!;
    const endpoint = cluster.pick(this.#pick);
    if (endpoint === null) {
      cluster.stats.noHealthyEndpoint();
      this.#over();
      this.#host.answer(localReply('no-healthy-upstream', 'no_healthy_upstream'));
      return;
    }
    const { wish } = this.#attempt;
    const { message } = this.#host;
    wish.mayReuse = mayReuse;
    wish.isTunnel = message.upgrade === 'connect' && this.#action!.terminatesConnect;
    wish.isH2 = message.protocol === 'HTTP/2';
    wish.downstream = this.#host.connection;
    const { tlsNames } = cluster;
    wish.serverName = tlsNames === null ? '' : serverNameOf(tlsNames, message.authority, message.headers);
    this.#attempt.start(cluster, this.#limits!, endpoint);
  }

  /** A second try that no policy needs to allow. True when one was started. */
  #tryForFree(attempt: Attempt, failure: AttemptFailure): boolean {
    if (this.#freeTries >= MAX_FREE_TRIES || (attempt.position > 0 && !this.body.isReplayable)) return false;
    if (failure === 'connection-termination' && attempt.wasReused) {
      if (attempt.hasSentHead && !isIdempotent(this.#host.message)) return false;
      this.#freeTries++;
      this.#host.record.decide('reconnect', '', 'a kept-alive connection had ended');
      this.#try(false);
      return true;
    }
    if (failure === 'refused-stream') {
      this.#freeTries++;
      this.#host.record.decide('resend', '', `${attempt.endpoint!.label} refused the stream unprocessed`);
      this.#try(true);
      return true;
    }
    // A process that was killed may end connections in the middle of their handshake before it refuses new ones.
    const isRefusal = failure === 'connect-failed' || failure === 'tls-failed';
    if (!isRefusal || !this.#hasOtherEndpoint(attempt.endpoint!)) return false;
    this.#freeTries++;
    this.#pick.tried.push(attempt.endpoint!);
    this.#pick.avoidTried = true;
    this.#host.record.decide('pass-over', '', `${attempt.endpoint!.label} refused the connection`);
    this.#try(true);
    return true;
  }

  #hasOtherEndpoint(refused: Endpoint): boolean {
    for (const endpoint of this.#cluster!.endpoints) {
      if (endpoint !== refused && !this.#pick.tried.includes(endpoint)) return true;
    }
    return false;
  }

  /** Count, body and budget; says why not in the record. Takes a share of the budget when true. */
  #mayRetry(): boolean {
    const { record } = this.#host;
    const stats = this.#cluster!.stats;
    if (this.#retriesUsed >= this.#clocks.maxRetries) {
      record.flags |= FLAG.URX;
      stats.retryLimitExceeded();
      record.decide('retry', this.#policyName(), `limit of ${this.#clocks.maxRetries} reached`);
      return false;
    }
    if (this.#attempt.position > 0 && !this.body.isReplayable) {
      record.decide('retry', this.#policyName(), 'skipped: body over 64 KiB');
      return false;
    }
    this.#releaseRetryBudget();
    if (!this.#limits!.retries.tryAcquire()) {
      record.flags |= FLAG.UO;
      stats.retryOverflow();
      record.decide('retry', this.#policyName(), 'skipped: retry budget spent');
      return false;
    }
    this.#holdsRetryBudget = true;
    return true;
  }

  #scheduleRetry(failed: Endpoint): void {
    const policy = this.#retry!;
    this.#retriesUsed++;
    this.#isRetry = true;
    this.#pick.tried.push(failed);
    this.#host.record.decide(
      'retry',
      this.#policyName(),
      `number ${this.#retriesUsed} after ${failed.label}`,
    );
    const { timers, random } = this.#host.services;
    const delayMs = retryBackoffMs(
      { baseMs: policy.backoffBaseMs, maxMs: policy.backoffMaxMs },
      this.#retriesUsed,
      random,
    );
    timers.arm(this.#backoff, policy.backoffLeastMs + delayMs);
  }

  /** Once per retry, when its outcome is known; does nothing when none is in progress. */
  #endRetry(succeeded: boolean): void {
    if (!this.#isRetry) return;
    this.#isRetry = false;
    this.#cluster!.stats.requestRetried(succeeded);
  }

  #endAttempt(attempt: Attempt, status: number): void {
    const cluster = attempt.cluster!;
    if (attempt.hasSentHead)
      cluster.stats.requestEnded(status, this.#host.services.clock.nowMs() - attempt.startMs);
    for (const filter of this.#host.upstreamFilters)
      filter.onAttemptEnd?.(this.#host.upstreamFilterContext(), this.#host.record.attempts);
  }

  #policyName(): string {
    return this.#host.route?.origin ?? '';
  }

  #releaseRetryBudget(): void {
    if (!this.#holdsRetryBudget) return;
    this.#holdsRetryBudget = false;
    this.#limits!.retries.release();
  }

  #over(): void {
    if (this.#state !== 'idle') this.#state = 'over';
    this.#endRetry(false);
    this.#releaseRetryBudget();
    this.#clocks.clear();
    if (this.#backoff.isArmed) this.#host.services.timers.disarm(this.#backoff);
  }
}

function onBackoff(node: TimerNode): void {
  (node.owner as Router).onBackoffEnd();
}
