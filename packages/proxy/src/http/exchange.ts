/**
 * One request and its response, whatever protocols carry them (design §6, Exchange).
 *
 *   downstream stream ─► request filters ─► router ─► attempts ─► upstream streams
 *   downstream stream ◄─ response filters ◄─ router ◄─ attempts ◄─ upstream streams
 *
 * The exchange owns the record, the two filter runs, the router and the timeouts of the whole. It is
 * reused for the next request of its stream, so everything that may call late is cut off at the end.
 *
 * Invariant: between `onRequestHead` and `exchangeEnded` exactly one response begins or the stream is
 * aborted; the record is handed to metrics and logs exactly once, after the response has been sent.
 */
import { HeaderList } from '@sluice/wire';
import type { Cluster } from '../cluster/cluster.ts';
import type {
  Cancel,
  HttpFilter,
  HttpFilterContext,
  LocalReply,
  SideReply,
  SideRequest,
  UpstreamHttpFilter,
} from '../filter/filter.ts';
import { FilterContext, type ContextHost } from '../filter/filter-context.ts';
import { FilterRun, type Direction, type FilterRunOwner } from '../filter/filter-run.ts';
import { drawWeighted } from '../filter/router/choose-cluster.ts';
import { Router } from '../filter/router/router.ts';
import { routerConfigOf } from '../filter/router/router-factory.ts';
import type { RouterHost } from '../filter/router/router-host.ts';
import { startSideCall } from '../filter/side-call.ts';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import { DISABLED, type CompiledRoute, type RouteRequest, type WeightedCluster } from '../route/route.ts';
import type { RequestRecord } from '../telemetry/record.ts';
import { FLAG, responseFlagBit } from '../telemetry/response-flags.ts';
import { Deadline } from './deadline.ts';
import type { ExchangeServices, HttpBinding } from './exchange-services.ts';
import { isGrpcRequest } from './grpc-request.ts';
import { hasNoContent, localReply, writeReply } from './reply.ts';
import { finishRequestHead, finishResponseHead } from './head-rules.ts';
import type {
  DownstreamResetCause,
  DownstreamStream,
  RequestMessage,
  RequestSink,
  ResponseMessage,
} from './streams.ts';

export class Exchange implements RequestSink, RouterHost, FilterRunOwner, ContextHost {
  readonly services: ExchangeServices;
  readonly message: RequestMessage;
  readonly record: RequestRecord;
  readonly routeRequest: RouteRequest;
  readonly connection: ConnectionFacts;
  readonly upstreamFilters: readonly UpstreamHttpFilter[];
  readonly suppressEnvoyHeaders: boolean;
  route: CompiledRoute | null = null;
  weighted: WeightedCluster | null = null;
  hasRouteTable = false;
  response: ResponseMessage | null = null;
  readonly #binding: HttpBinding;
  readonly #stream: DownstreamStream;
  readonly #router: Router;
  readonly #requestRun = new FilterRun('request', this);
  readonly #responseRun = new FilterRun('response', this);
  readonly #idle: Deadline;
  readonly #filters: HttpFilter[] = [];
  readonly #contexts: FilterContext[] = [];
  readonly #local: ResponseMessage = { status: 0, headers: new HeaderList(), contentLength: -1 };
  #upstreamContext: FilterContext | null = null;
  #calls: Cancel[] | null = null;
  #pending: { position: number; reply: LocalReply } | null = null;
  #isActive = false;
  #isTunnel = false;
  #hasRequestEnded = false;
  #hasSentHead = false;
  #hasSentResponse = false;
  #owedBytes = 0;
  #idleTimeoutMs = 0;

  /** `message` is the stream's, and filled anew for each request. */
  constructor(
    services: ExchangeServices,
    binding: HttpBinding,
    stream: DownstreamStream,
    message: RequestMessage,
    connection: ConnectionFacts,
  ) {
    this.services = services;
    this.message = message;
    this.connection = connection;
    this.record = services.newRecord();
    this.upstreamFilters = binding.upstreamFilters;
    this.suppressEnvoyHeaders = routerConfigOf(binding.chain.terminal.config).suppressEnvoyHeaders;
    this.#binding = binding;
    this.#stream = stream;
    this.routeRequest = {
      method: '',
      scheme: 'http',
      authority: '',
      path: '',
      query: '',
      headers: message.headers,
      localPort: 0,
    };
    this.#router = new Router(this);
    this.#idle = new Deadline(services.timers, this, onIdleTimeout);
  }

  get isActive(): boolean {
    return this.#isActive;
  }
  get hasRequestEnded(): boolean {
    return this.#hasRequestEnded;
  }
  get requestHeaders(): HeaderList {
    return this.message.headers;
  }
  get routeTableName(): string {
    return this.#binding.config.routeTableName;
  }
  get allowedUpgrades(): ReadonlyMap<string, boolean> {
    return this.#binding.config.upgrades;
  }
  get isDownstreamWritable(): boolean {
    return this.#stream.isWritable && this.#responseRun.takesBytes;
  }

  // --- from the downstream stream ---

  onRequestHead(_message: RequestMessage, isEnd: boolean): void {
    const nowMs = this.services.clock.nowMs();
    this.#begin(nowMs, isEnd);
    const chain = this.#binding.chain;
    for (let i = 0; i < chain.bindings.length; i++)
      this.#filters[i] = chain.bindings[i]!.factory.create(chain.bindings[i]!.config);
    this.#requestRun.begin(chain.request, 0);
    const refusal = finishRequestHead(
      this.message,
      this.connection,
      this.#binding,
      this.services,
      this.record,
    );
    this.#fillRouteRequest();
    if (refusal !== null) {
      this.#binding.metrics.onRequestStart(this.record);
      this.answer(refusal);
      return;
    }
    this.#match();
    this.#binding.metrics.onRequestStart(this.record);
    this.#setIdleTimeout(nowMs);
    if (chain.request.rewritesBody) this.message.contentLength = -1;
    this.#requestRun.head(isEnd);
  }

  onRequestData(data: Uint8Array, start: number, end: number): void {
    const byteCount = end - start;
    if (!this.#isActive || (this.#hasSentResponse && !this.#isTunnel)) {
      this.#stream.consumed(byteCount);
      return;
    }
    this.record.bytesReceived += byteCount;
    this.#owedBytes += byteCount;
    this.#touch();
    this.#requestRun.data(data, start, end);
    this.grantRequestCredit();
  }

  onRequestEnd(trailers: HeaderList | null): void {
    if (!this.#isActive) return;
    this.#hasRequestEnded = true;
    this.record.requestEndMs = this.services.clock.nowMs();
    this.#requestRun.end(trailers);
    this.#finishIfDone();
  }

  onWritable(): void {
    if (this.#isActive) this.#router.onDownstreamWritable();
  }

  onDownstreamReset(cause: DownstreamResetCause, details: string): void {
    if (!this.#isActive) return;
    const isProtocolError = cause === 'protocol-error';
    this.record.flags |= isProtocolError ? FLAG.DPE : FLAG.DC;
    this.record.responseCodeDetails = details;
    this.record.reason = isProtocolError ? '' : 'client-disconnected';
    if (!this.#hasSentHead) this.record.status = 0;
    this.#finish();
  }

  // --- from filters ---

  filterAt(position: number): HttpFilter | null {
    const binding = this.#binding.chain.bindings[position]!;
    const configs = this.#routeConfigs();
    if (configs !== null && configs.size > 0) {
      const config = configs.get(binding.name);
      if (config === DISABLED) return null;
      if (config !== undefined) return this.#filters[position]!;
    }
    return binding.isDisabledByDefault ? null : this.#filters[position]!;
  }

  contextAt(position: number): HttpFilterContext {
    return (this.#contexts[position] ??= new FilterContext(this, position));
  }

  upstreamFilterContext(): HttpFilterContext {
    return (this.#upstreamContext ??= new FilterContext(this, this.#binding.chain.bindings.length));
  }

  routeConfigOf(position: number): unknown {
    const binding = this.#binding.chain.bindings[position];
    const config = binding === undefined ? undefined : this.#routeConfigs()?.get(binding.name);
    return config === undefined || config === DISABLED ? null : config;
  }

  rematchRoute(): void {
    if (this.#router.hasStarted) return;
    this.#fillRouteRequest();
    this.#match();
    this.#setIdleTimeout(this.services.clock.nowMs());
  }

  resumeFrom(position: number): void {
    if (!this.#isActive) return;
    const run = this.#requestRun.isPausedBy(position) ? this.#requestRun : this.#responseRun;
    run.resume(position);
    this.grantRequestCredit();
    if (this.isDownstreamWritable) this.#router.onDownstreamWritable();
    this.#finishIfDone();
  }

  collectBody(direction: Direction, limitBytes: number): void {
    (direction === 'request' ? this.#requestRun : this.#responseRun).collect(limitBytes);
  }

  callCluster(cluster: string, request: SideRequest, onReply: (reply: SideReply) => void): Cancel {
    const call = startSideCall(this.services, cluster, request, onReply);
    (this.#calls ??= []).push(call);
    return call;
  }

  findCluster(name: string): Cluster | null {
    return this.services.findCluster(name);
  }

  answerFrom(position: number, reply: LocalReply): void {
    if (!this.#isActive) return;
    // From within a run the answer waits until that run has stopped.
    const run = this.#responseRun.isIterating ? this.#responseRun : this.#requestRun;
    if (!run.isIterating) {
      this.#answer(reply, position);
      return;
    }
    this.#pending = { position, reply };
    run.stop();
  }

  answered(saysSo: boolean): void {
    const pending = this.#pending;
    this.#pending = null;
    if (pending === null && !saysSo) return;
    if (pending === null)
      this.#answer(
        localReply('internal-error', 'filter_answered_nothing'),
        this.#binding.chain.bindings.length,
      );
    else this.#answer(pending.reply, pending.position);
  }

  bodyTooLarge(direction: Direction): void {
    if (direction === 'request')
      this.answer(localReply('request-body-too-large', 'request_payload_too_large'));
    else this.#answer(localReply('response-body-too-large', 'response_payload_too_large'), 0);
  }

  bodyReplaced(direction: Direction, byteCount: number): void {
    if (direction === 'request') this.message.contentLength = byteCount;
    else if (this.response !== null) this.response.contentLength = byteCount;
  }

  // --- what comes out of the filters ---

  passHead(direction: Direction, isEnd: boolean): void {
    if (direction === 'response') this.#sendHead(isEnd);
    else {
      if (this.message.expectsContinue && !this.#binding.config.proxy100Continue) this.#sendContinue();
      this.#router.start(isEnd);
    }
  }

  passData(direction: Direction, data: Uint8Array, start: number, end: number): void {
    if (direction === 'request') {
      this.record.upstreamBytesSent += end - start;
      this.#router.data(data, start, end);
      return;
    }
    this.record.bytesSent += end - start;
    this.#touch();
    this.#stream.sendData(data, start, end);
  }

  passEnd(direction: Direction, trailers: HeaderList | null): void {
    if (direction === 'request') {
      this.#router.end(trailers);
      return;
    }
    this.record.responseTrailers = trailers;
    this.#hasSentResponse = true;
    this.#stream.sendEnd(trailers);
  }

  // --- from the router ---

  answer(reply: LocalReply): void {
    this.#answer(reply, this.#binding.chain.bindings.length);
  }

  beginResponse(response: ResponseMessage, isEnd: boolean, isTunnel: boolean): void {
    this.#isTunnel = isTunnel;
    this.record.responseCodeDetails = 'via_upstream';
    this.#runResponse(response, isEnd, 0);
  }

  informational(response: ResponseMessage): void {
    if (this.#hasSentHead || this.message.protocol === 'HTTP/1.0') return;
    // Our own 100 has been sent already, unless the client's wish is passed on.
    if (response.status === 100 && !this.#binding.config.proxy100Continue) return;
    this.#stream.sendInformational(response);
  }

  responseData(data: Uint8Array, start: number, end: number): void {
    this.#responseRun.data(data, start, end);
  }

  responseEnd(trailers: HeaderList | null): void {
    this.#responseRun.end(trailers);
    this.#finishIfDone();
  }

  abortResponse(flag: number, details: string): void {
    this.record.flags |= flag;
    this.record.responseCodeDetails = details;
    this.#stream.abort();
    this.#finish();
  }

  grantRequestCredit(): void {
    if (this.#owedBytes === 0 || !this.#requestRun.takesBytes || !this.#router.takesBytes) return;
    const owed = this.#owedBytes;
    this.#owedBytes = 0;
    this.#stream.consumed(owed);
  }

  // --- timeouts and ends ---

  onIdleTimeout(): void {
    if (!this.#isActive) return;
    if (this.#hasSentHead) this.abortResponse(FLAG.SI, 'stream_idle_timeout');
    else
      this.answer(
        localReply(
          this.#hasRequestEnded ? 'stream-idle-timeout' : 'request-incomplete',
          'stream_idle_timeout',
        ),
      );
  }

  /** A time limit of the connection ran out while this request was coming in. */
  onRequestTimeout(): void {
    if (!this.#isActive || this.#hasRequestEnded) return;
    if (this.#hasSentHead) this.abortResponse(FLAG.DT, 'request_overall_timeout');
    else this.answer(localReply('request-receive-timeout', 'request_overall_timeout'));
  }

  /** The client broke the protocol inside its request. */
  onRequestInvalid(status: number, code: string, detail: string): void {
    if (!this.#isActive) return;
    if (this.#hasSentHead) this.abortResponse(FLAG.DPE, 'http1.codec_error');
    else this.answer({ status, code, flag: 'DPE', detail, responseCodeDetails: 'http1.codec_error' });
  }

  /** There is no head to speak of: it was malformed, too large or too late. Answered and logged all the same. */
  onHeadInvalid(status: number, code: string, detail: string): void {
    const { message } = this;
    message.headers.reset();
    message.method = '';
    message.path = '';
    message.authority = '';
    message.upgrade = '';
    this.#begin(this.services.clock.nowMs(), true);
    this.#fillRouteRequest();
    this.#binding.metrics.onRequestStart(this.record);
    const isTimeout = status === 408;
    this.answer({
      status,
      code,
      flag: isTimeout ? 'DT' : 'DPE',
      detail,
      responseCodeDetails: isTimeout ? 'request_header_timeout' : 'http1.codec_error',
    });
  }

  dispose(): void {
    if (this.#isActive) this.#finish();
    this.#router.dispose();
    this.#idle.dispose();
  }

  #begin(nowMs: number, isEnd: boolean): void {
    const { record, message } = this;
    const { listener, config } = this.#binding;
    record.reset();
    record.startMs = nowMs;
    record.startWallMs = this.services.clock.wallMs();
    record.requestHeadEndMs = nowMs;
    record.requestEndMs = isEnd ? nowMs : 0;
    record.listenerName = listener.name;
    record.trafficDirection = listener.trafficDirection;
    record.statPrefix = config.statPrefix;
    record.connection = this.connection;
    record.protocol = message.protocol;
    record.method = message.method;
    record.originalPath = message.path;
    record.requestHeaders = message.headers;
    this.#isActive = true;
    this.#isTunnel = false;
    this.#hasRequestEnded = isEnd;
    this.#hasSentHead = false;
    this.#hasSentResponse = false;
    this.#owedBytes = 0;
    this.response = null;
    this.route = null;
    this.weighted = null;
  }

  #fillRouteRequest(): void {
    const { message, routeRequest, record } = this;
    const path = message.path;
    const queryAt = path.indexOf('?');
    routeRequest.method = message.method;
    routeRequest.scheme = message.scheme;
    routeRequest.authority = message.authority;
    routeRequest.path = queryAt < 0 ? path : path.slice(0, queryAt);
    routeRequest.query = queryAt < 0 ? '' : path.slice(queryAt + 1);
    routeRequest.localPort = this.connection.localPort;
    record.path = path;
    record.authority = message.authority;
  }

  #match(): void {
    const table = this.#binding.config.routes();
    this.hasRouteTable = table !== null;
    const route = table === null ? null : table.match(this.routeRequest, this.services.draw);
    this.route = route;
    this.record.route = route;
    this.weighted =
      route !== null && route.action.kind === 'forward'
        ? drawWeighted(route.action.clusters, this.services.draw)
        : null;
  }

  #routeConfigs(): ReadonlyMap<string, unknown> | null {
    return this.weighted?.perFilterConfig ?? this.route?.perFilterConfig ?? null;
  }

  #setIdleTimeout(nowMs: number): void {
    const action = this.route?.action;
    const ofRoute = action !== undefined && action.kind === 'forward' ? action.idleTimeoutMs : undefined;
    this.#idleTimeoutMs = ofRoute ?? this.#binding.config.streamIdleTimeoutMs;
    if (this.#idleTimeoutMs > 0) this.#idle.setIn(this.#idleTimeoutMs, nowMs);
    else this.#idle.clear();
  }

  #touch(): void {
    if (this.#idleTimeoutMs > 0) this.#idle.setIn(this.#idleTimeoutMs, this.services.clock.nowMs());
  }

  #sendContinue(): void {
    this.message.expectsContinue = false;
    this.#local.status = 100;
    this.#local.headers.reset();
    this.#stream.sendInformational(this.#local);
  }

  /** `position`: of the filter that answers; the response filters before it see the answer. */
  #answer(reply: LocalReply, position: number): void {
    if (!this.#isActive) return;
    const flag = responseFlagBit(reply.flag) ?? 0;
    if (this.#hasSentHead) {
      this.abortResponse(flag, reply.responseCodeDetails);
      return;
    }
    const { record } = this;
    this.#requestRun.stop();
    this.#responseRun.stop();
    this.#router.cancel();
    record.flags |= flag;
    record.reason = reply.code;
    record.responseCodeDetails = reply.responseCodeDetails;
    const isGrpc = isGrpcRequest(this.message.headers);
    const local = this.#local;
    const body = writeReply(reply, record, this.#binding.config.isEdge, isGrpc, local.headers);
    local.status = isGrpc ? 200 : reply.status;
    local.contentLength = body.length;
    const isBodyless = body.length === 0 || this.message.method === 'HEAD' || hasNoContent(local.status);
    this.#isTunnel = false;
    this.#runResponse(local, isBodyless, this.#binding.chain.bindings.length - position);
    if (!isBodyless && this.#isActive) {
      this.#responseRun.data(body, 0, body.length);
      this.#responseRun.end(null);
    }
    this.#finishIfDone();
  }

  #runResponse(response: ResponseMessage, isEnd: boolean, fromStep: number): void {
    this.response = response;
    this.record.status = response.status;
    this.record.responseHeaders = response.headers;
    const plan = this.#binding.chain.response;
    if (plan.rewritesBody && !isEnd) response.contentLength = -1;
    this.#responseRun.begin(plan, fromStep);
    this.#responseRun.head(isEnd);
  }

  #sendHead(isEnd: boolean): void {
    const response = this.response!;
    this.#hasSentHead = true;
    this.#touch();
    this.record.status = response.status;
    finishResponseHead(response, this.#binding, this.services, this.record);
    if (isEnd) this.#hasSentResponse = true;
    this.#stream.sendHead(response, isEnd, this.#isTunnel);
  }

  #finishIfDone(): void {
    if (this.#isActive && this.#hasSentResponse && this.#router.isIdle) this.#finish();
  }

  #finish(): void {
    this.#isActive = false;
    this.#idle.clear();
    this.#requestRun.stop();
    this.#responseRun.stop();
    this.#router.reset();
    const { record, services } = this;
    record.responseEndMs = services.clock.nowMs();
    this.#stream.flush();
    try {
      this.#endFilters();
      this.#binding.metrics.onRequestEnd(record);
      for (const logger of this.#binding.config.accessLoggers) logger.log(record);
    } catch (error) {
      services.reportError(error);
    }
    this.response = null;
    this.#stream.exchangeEnded();
  }

  #endFilters(): void {
    const chain = this.#binding.chain;
    for (let i = 0; i < chain.onEnd.length; i++) {
      const position = chain.onEnd[i]!;
      this.filterAt(position)?.onEnd!(this.contextAt(position));
    }
    if (this.#calls !== null) {
      for (const call of this.#calls) call.cancel();
      this.#calls = null;
    }
    for (let i = 0; i < this.#contexts.length; i++) {
      const context = this.#contexts[i];
      if (
        context === undefined ||
        !(context.wasKept || this.#requestRun.hasPaused || this.#responseRun.hasPaused)
      )
        continue;
      context.cutOff();
      this.#contexts[i] = new FilterContext(this, i);
    }
  }
}

function onIdleTimeout(owner: unknown): void {
  (owner as Exchange).onIdleTimeout();
}
