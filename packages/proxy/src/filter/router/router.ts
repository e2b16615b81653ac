/**
 * The terminal HTTP filter: sends the request to an endpoint of the route's cluster, again where that is
 * allowed and safe, and hands the response back.
 *
 *   idle ──start──► trying (one attempt or several, each sent, backing off or tried again)
 *                     │ #accept: the first response        │ the last of them
 *                     ▼ that is not tried again            ▼ has failed
 *                  answering ────────────────────────────► over
 *
 * Which further tries there may be: `further-tries.ts`. Who lives beside whom: `attempts.ts`. Here it is decided
 * what an attempt's outcome means for the request: `#goesOnWithout` and `#accept`, and nowhere else.
 */
import type { HeaderList } from '@sluice/wire';
import type { ProxyErrorCode } from '../../errors.ts';
import { isGrpcRequest } from '../../http/grpc-request.ts';
import { localReply } from '../../http/reply.ts';
import { RequestBody } from '../../http/request-body.ts';
import type { ResponseMessage, UpstreamConnector, UpstreamRequest } from '../../http/streams.ts';
import type { ForwardAction } from '../../route/route.ts';
import { FLAG } from '../../telemetry/response-flags.ts';
import { serverNameOf } from '../../upstream/tls-names.ts';
import { applyHeaderOperations } from '../header-operations.ts';
import { Attempt, type AttemptHost } from './attempt.ts';
import { AttemptHead } from './attempt-head.ts';
import { AttemptOutcome } from './attempt-outcome.ts';
import { AttemptSet } from './attempts.ts';
import { chooseClusterName } from './choose-cluster.ts';
import { detailsAfterResponse, failureCode, failureFlag, failureReply } from './failure-reply.ts';
import { FurtherTries } from './further-tries.ts';
import { editRequestHead, editResponseHead } from './head-edits.ts';
import type { Hedging } from './hedging.ts';
import { withRequestedRetries } from './requested-retries.ts';
import { RequestClocks } from './request-clocks.ts';
import { retriesFailure, retriesResponse, type AttemptFailure } from './retry-decision.ts';
import { answerOfRoute } from './route-answer.ts';
import type { RouterHost } from './router-host.ts';

export class Router implements AttemptHost {
  readonly body = new RequestBody();
  readonly upstream: UpstreamConnector;
  readonly #host: RouterHost;
  readonly #hedging: Hedging | null;
  readonly #attempts: AttemptSet;
  readonly #tries: FurtherTries;
  readonly #clocks: RequestClocks;
  readonly #head: AttemptHead;
  /** Of the request: only the attempt that answers is still open when its status comes in trailers. */
  readonly #outcome = new AttemptOutcome();
  #state: 'idle' | 'trying' | 'answering' | 'over' = 'idle';
  #action: ForwardAction | null = null;
  #hasStarted = false;

  constructor(host: RouterHost, hedging: Hedging | null) {
    const { timers, clock, upstream } = host.services;
    this.#host = host;
    this.#hedging = hedging;
    this.upstream = upstream;
    this.#attempts = new AttemptSet(() => new Attempt(this, timers, clock));
    this.#tries = new FurtherTries(host, this.body);
    this.#clocks = new RequestClocks(host.services, this);
    this.#head = new AttemptHead(host, this.#clocks);
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
    return this.isIdle || this.#attempts.takesBytes(this.body);
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
    const { body } = this;
    const { lone } = this.#attempts;
    if (lone !== null && !body.isReplayable && lone.takesBytes) {
      lone.sendNow(data, start, end);
      body.skip(end - start);
      return;
    }
    const wasReplayable = body.isReplayable;
    body.append(data, start, end);
    if (wasReplayable && !body.isReplayable) this.#tries.noteBodyNotKept();
    this.#attempts.pump();
  }

  end(trailers: HeaderList | null): void {
    if (this.isIdle) return;
    this.body.end(trailers);
    this.#clocks.requestEnded(this.#host.message.upgrade !== '');
    const attempts = this.#attempts;
    for (let i = 0; i < attempts.size; i++) {
      const attempt = attempts.at(i);
      if (attempt.isOpen && attempt.hasSentHead) this.#clocks.startTry(attempt, this.#state === 'answering');
    }
    attempts.pump();
  }

  /** The client takes bytes again. */
  onDownstreamWritable(): void {
    this.#attempts.lone?.credit();
  }

  /** The exchange is over, by whatever cause. */
  cancel(): void {
    const { lone } = this.#attempts;
    if (lone !== null) this.#endOpen(lone, 0);
    else for (let i = 0; i < this.#attempts.size; i++) this.#endOpen(this.#attempts.at(i), 0);
    this.#over();
  }

  reset(): void {
    if (!this.isIdle) this.cancel();
    this.#state = 'idle';
    this.#hasStarted = false;
    this.body.reset();
    this.#attempts.reset();
    this.#tries.reset();
    this.#action = null;
  }

  dispose(): void {
    this.cancel();
    this.#attempts.dispose();
    this.#clocks.dispose();
  }

  // --- from the attempts ---

  prepareHead(attempt: Attempt): UpstreamRequest | null {
    return this.#head.prepare(attempt, this.#action!);
  }

  onAttemptSent(attempt: Attempt): void {
    this.#host.record.upstreamHeadSentMs = attempt.headSentMs;
    if (this.body.hasEnded) this.#clocks.startTry(attempt, false);
  }

  onAttemptProgress(): void {
    this.#host.grantRequestCredit();
  }

  onBodyRead(): void {
    this.#attempts.trim(this.body);
  }

  /** While several live only 100 is told: the body goes to all. Anything else speaks of one that may yet lose. */
  onAttemptInformational(_attempt: Attempt, response: ResponseMessage): void {
    if (this.#attempts.lone !== null || response.status === 100) this.#host.informational(response);
  }

  onAttemptHead(attempt: Attempt, response: ResponseMessage, isEnd: boolean): void {
    const { record, message } = this.#host;
    const { policy } = this.#tries;
    record.upstreamFirstByteMs = this.#host.services.clock.nowMs();
    this.#outcome.onHead(attempt.endpoint!, response.status, response.headers, isEnd);
    const isUnwanted = policy !== null && retriesResponse(policy, response.status, response.headers, message);
    if (isUnwanted && this.#goesOnWithout(attempt, true, response.status)) return;
    this.#accept(attempt, response, isEnd);
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
    this.#endTry(attempt, record.status);
    this.#over();
    this.#host.responseEnd(trailers);
  }

  onAttemptHalfEnd(): void {
    this.#host.responseEnd(null);
  }

  onAttemptFailed(attempt: Attempt, failure: AttemptFailure, detail: string): void {
    const { record, message } = this.#host;
    const endpoint = attempt.endpoint!;
    endpoint.stats.errors++;
    record.upstreamTransportFailure = detail;
    this.#endTry(attempt, 0);
    if (this.#state === 'answering') {
      this.#over();
      this.#host.abortResponse(failureFlag(failure), detailsAfterResponse(failure), failureCode(failure));
      return;
    }
    record.endpoint = endpoint;
    const free = attempt.isSuperseded ? 'none' : this.#tries.freeTry(attempt, failure);
    if (free !== 'none') {
      this.#try(attempt, free === 'any');
      return;
    }
    const { policy } = this.#tries;
    const mayRetry = policy !== null && retriesFailure(policy, failure, attempt.hasSentHead, message);
    if (this.#goesOnWithout(attempt, mayRetry, 0)) return;
    this.#over();
    this.#host.answer(failureReply(failure));
  }

  onAttemptDue(attempt: Attempt): void {
    this.#try(attempt, true);
  }

  outlivesTryTimeout(attempt: Attempt): boolean {
    if (this.#hedging === null || !this.#hedging.onPerTryTimeout) return false;
    if (!attempt.isSuperseded) attempt.isSuperseded = this.#startBeside(attempt);
    return true;
  }

  // --- from the clocks ---

  onRouteTimeout(): void {
    this.#tries.cluster?.stats.requestTimeout();
    const attempts = this.#attempts;
    for (let i = 0; i < attempts.size; i++) {
      const { isOpen, endpoint } = attempts.at(i);
      if (isOpen && endpoint !== null) endpoint.stats.timeouts++;
    }
    this.#giveUp('request-timeout', FLAG.UT, 'response_timeout');
  }

  onMaxDuration(): void {
    this.#giveUp('max-stream-duration', FLAG.UMSDR, 'upstream_max_stream_duration_reached');
  }

  #giveUp(code: ProxyErrorCode, flag: number, details: string): void {
    if (this.isIdle) return;
    const wasAnswering = this.#state === 'answering';
    const attempts = this.#attempts;
    for (let i = 0; i < attempts.size; i++) this.#endOpen(attempts.at(i), 504);
    this.#over();
    if (wasAnswering) this.#host.abortResponse(flag, details, code);
    else this.#host.answer(localReply(code, details));
  }

  #forward(action: ForwardAction, isEnd: boolean): void {
    const host = this.#host;
    const { message, record, services } = host;
    this.#action = action;
    const name = chooseClusterName(action.clusters, message.headers, host.weighted);
    record.clusterName = name;
    const cluster = name === '' ? null : services.findCluster(name);
    if (cluster === null) {
      host.answer(
        localReply('cluster-not-found', 'cluster_not_found', { status: action.clusterNotFoundStatus }),
      );
      return;
    }
    record.cluster = cluster;
    const limits = action.priority === 'high' ? cluster.highPriorityLimits : cluster.limits;
    const retry = withRequestedRetries(action.retry ?? host.route!.virtualHost.retry, message.headers);
    this.#outcome.isGrpc = record.isGrpc = isGrpcRequest(message.headers);
    if (!this.#clocks.begin(action, retry, host)) {
      host.answer(localReply('max-stream-duration', 'upstream_max_stream_duration_reached'));
      return;
    }
    editRequestHead(host, action);
    this.#clocks.tell(message.headers, host.suppressEnvoyHeaders);
    this.#tries.begin(cluster, limits, retry, this.#clocks.maxRetries);
    this.#state = 'trying';
    if (isEnd) this.#clocks.requestEnded(message.upgrade !== '');
    const first = this.#attempts.lone!;
    this.#try(first, true);
    if (this.#hedging !== null) this.#startInitial(first, this.#hedging.initialAttempts);
  }

  #try(attempt: Attempt, mayReuse: boolean): void {
    const cluster = this.#tries.cluster!;
    const endpoint = cluster.pick(this.#tries.pick);
    if (endpoint === null) {
      cluster.stats.noHealthyEndpoint();
      if (this.#goesOnWithout(attempt, false, 0)) return;
      this.#over();
      this.#host.answer(localReply('no-healthy-upstream', 'no_healthy_upstream'));
      return;
    }
    const { wish } = attempt;
    const { message } = this.#host;
    wish.mayReuse = mayReuse;
    wish.isTunnel = message.upgrade === 'connect' && this.#action!.terminatesConnect;
    wish.isH2 = message.protocol === 'HTTP/2';
    wish.downstream = this.#host.connection;
    const { tlsNames } = cluster;
    wish.serverName = tlsNames === null ? '' : serverNameOf(tlsNames, message.authority, message.headers);
    attempt.start(cluster, this.#tries.limits!, endpoint);
  }

  #startInitial(first: Attempt, count: number): void {
    for (let i = 1; i < count && this.#state === 'trying' && first.isLive; i++) this.#startBeside(first);
  }

  /** A further attempt while `attempt` goes on. An upgrade's octets are for one alone. */
  #startBeside(attempt: Attempt): boolean {
    if (this.#state !== 'trying' || this.#host.message.upgrade !== '') return false;
    const next = this.#attempts.spare();
    if (!this.#tries.allows(next, false)) return false;
    this.#attempts.share();
    this.#tries.countHedge(attempt.endpoint!);
    this.#try(next, true);
    return next.isLive;
  }

  /**
   * What this attempt has brought is not the answer: it is tried again, or others go on without it. False: then
   * what it brought is all that there is. `status` is of a response that it may have brought.
   */
  #goesOnWithout(attempt: Attempt, mayRetry: boolean, status: number): boolean {
    const hasOthers = this.#attempts.hasOther(attempt);
    const retries = mayRetry && !attempt.isSuperseded && this.#tries.allows(attempt, !hasOthers);
    if (!retries && !hasOthers) return false;
    this.#endOpen(attempt, status);
    if (retries) attempt.backOff(this.#tries.countRetry(attempt.endpoint!));
    else {
      attempt.rest();
      this.#attempts.recount(this.body);
    }
    // It may have been the one that the client waited for.
    if (hasOthers) this.#host.grantRequestCredit();
    return true;
  }

  /** The response goes to the client; whoever else lives has lost. */
  #accept(attempt: Attempt, response: ResponseMessage, isEnd: boolean): void {
    const { message } = this.#host;
    const wasShared = this.#attempts.wasShared;
    if (wasShared) this.#prefer(attempt);
    attempt.judge(response.status < 500);
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
    if (wasShared && attempt.isOpen) this.#host.grantRequestCredit();
  }

  /** Ends the others, and the record tells of this one. */
  #prefer(winner: Attempt): void {
    const attempts = this.#attempts;
    if (attempts.lone === null) this.#tries.noteWinner(winner.endpoint!);
    for (let i = 0; i < attempts.size; i++) {
      const attempt = attempts.at(i);
      if (attempt === winner) continue;
      this.#endOpen(attempt, 0);
      attempt.rest();
    }
    attempts.recount(this.body);
    const { record } = this.#host;
    record.endpoint = winner.endpoint;
    record.upstreamLocalAddress = winner.stream!.localAddress;
    record.upstreamTls = winner.stream!.tls;
    record.upstreamHeadSentMs = winner.headSentMs;
  }

  #endOpen(attempt: Attempt, status: number): void {
    if (!attempt.isOpen) return;
    this.#endTry(attempt, status);
    attempt.release();
  }

  #endTry(attempt: Attempt, status: number): void {
    if (attempt.hasSentHead)
      attempt.cluster!.stats.requestEnded(status, this.#host.services.clock.nowMs() - attempt.startMs);
    if (attempt.number === 0) return;
    for (const filter of this.#host.upstreamFilters)
      filter.onAttemptEnd?.(this.#host.upstreamFilterContext(), attempt.number);
  }

  #over(): void {
    if (this.#state !== 'idle') this.#state = 'over';
    const { lone } = this.#attempts;
    if (lone !== null) lone.rest();
    else for (let i = 0; i < this.#attempts.size; i++) this.#attempts.at(i).rest();
    this.#clocks.clear();
  }
}
