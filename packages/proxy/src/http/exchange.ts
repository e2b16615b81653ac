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
import type { ContextHost } from '../filter/filter-context.ts';
import { FilterSet, type RouteConfigs } from '../filter/filter-set.ts';
import { FilterRun, type Direction, type FilterRunOwner } from '../filter/filter-run.ts';
import { drawWeighted } from '../filter/router/choose-cluster.ts';
import { Router } from '../filter/router/router.ts';
import { routerConfigOf } from '../filter/router/router-factory.ts';
import type { RouterHost } from '../filter/router/router-host.ts';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import type { ProxyErrorCode } from '../errors.ts';
import type { CompiledRoute, RouteRequest, WeightedCluster } from '../route/route.ts';
import { noteGrpcOutcome } from '../telemetry/grpc-status.ts';
import type { RequestRecord } from '../telemetry/record.ts';
import { NO_CONNECTION } from '../telemetry/request-record.ts';
import { FLAG, responseFlagBit } from '../telemetry/response-flags.ts';
import { beginRecord, blankMessage, fillRouteRequest, forgetPeer, newRouteRequest } from './begin-record.ts';
import type { ExchangeServices, HttpBinding } from './exchange-services.ts';
import { detachedMessage, detachedStream } from './detached-stream.ts';
import { grpcErrorTrailers, hasNoContent, invalidHeadReply, localReply, writeReply } from './reply.ts';
import { finishRequestHead, finishResponseHead } from './head-rules.ts';
import { StreamIdle } from './stream-idle.ts';
import type {
  DownstreamResetCause,
  DownstreamStream,
  RequestMessage,
  RequestSink,
  ResponseMessage,
} from './streams.ts';

export class Exchange implements RequestSink, RouterHost, FilterRunOwner, ContextHost {
  readonly services: ExchangeServices;
  message: RequestMessage = detachedMessage;
  readonly record: RequestRecord;
  readonly routeRequest: RouteRequest;
  connection: ConnectionFacts = NO_CONNECTION;
  destinationAddress: string | null = null;
  destinationPort = 0;
  readonly upstreamFilters: readonly UpstreamHttpFilter[];
  readonly suppressEnvoyHeaders: boolean;
  route: CompiledRoute | null = null;
  weighted: WeightedCluster | null = null;
  hasRouteTable = false;
  response: ResponseMessage | null = null;
  readonly #binding: HttpBinding;
  #stream: DownstreamStream = detachedStream;
  readonly #router: Router;
  readonly #requestRun = new FilterRun('request', this);
  readonly #responseRun = new FilterRun('response', this);
  readonly #idle: StreamIdle;
  readonly #filters: FilterSet;
  readonly #local: ResponseMessage = { status: 0, headers: new HeaderList(), contentLength: -1 };
  #pending: { position: number; reply: LocalReply } | null = null;
  #isActive = false;
  #isTunnel = false;
  #hasRequestEnded = false;
  #hasSentHead = false;
  #hasSentResponse = false;
  #owedBytes = 0;

  constructor(services: ExchangeServices, binding: HttpBinding) {
    this.services = services;
    this.record = services.newRecord();
    this.upstreamFilters = binding.upstreamFilters;
    const { suppressEnvoyHeaders, hedging } = routerConfigOf(binding.chain.terminal.config);
    this.suppressEnvoyHeaders = suppressEnvoyHeaders;
    this.#binding = binding;
    this.routeRequest = newRouteRequest(this.message);
    this.#filters = new FilterSet(this, binding.chain);
    this.#router = new Router(this, hedging);
    this.#idle = new StreamIdle(services.timers, services.clock, () => this.onIdleTimeout());
  }

  /** Before each request. `message` is the stream's own, filled when the head comes. */
  attach(stream: DownstreamStream, message: RequestMessage, connection: ConnectionFacts): void {
    this.#stream = stream;
    this.message = message;
    this.connection = connection;
  }

  /** After `exchangeEnded`: refers to nothing of the connection any more. */
  detach(): void {
    this.attach(detachedStream, detachedMessage, NO_CONNECTION);
    this.routeRequest.headers = detachedMessage.headers;
    this.route = null;
    this.weighted = null;
    forgetPeer(this.record);
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
    this.#begin(isEnd);
    const chain = this.#binding.chain;
    this.#filters.begin();
    this.#requestRun.begin(chain.request, 0);
    const refusal = finishRequestHead(
      this.message,
      this.connection,
      this.#binding,
      this.services,
      this.record,
    );
    fillRouteRequest(this.routeRequest, this.message, this.connection, this.record);
    if (refusal !== null) {
      this.#binding.metrics.onRequestStart(this.record);
      this.answer(refusal);
      return;
    }
    this.#match();
    this.#binding.metrics.onRequestStart(this.record);
    this.#idle.start(this.route, this.#binding.config);
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
    this.#idle.touch();
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
    this.record.flags |= isProtocolError ? FLAG.DPE : cause === 'remote-reset' ? FLAG.DR : FLAG.DC;
    this.record.responseCodeDetails = details;
    this.record.reason = isProtocolError ? '' : 'client-disconnected';
    if (!this.#hasSentHead) this.record.status = 0;
    this.#finish();
  }

  filterAt(position: number): HttpFilter | null {
    return this.#filters.at(position, this.#routeConfigs());
  }

  contextAt(position: number): HttpFilterContext {
    return this.#filters.contextAt(position);
  }

  upstreamFilterContext(): HttpFilterContext {
    return this.#filters.upstreamContext();
  }

  routeConfigOf(position: number): unknown {
    return this.#filters.configOf(position, this.#routeConfigs());
  }

  setDestination(address: string, port: number): void {
    this.destinationAddress = address;
    this.destinationPort = port;
  }

  rematchRoute(): void {
    if (this.#router.hasStarted) return;
    fillRouteRequest(this.routeRequest, this.message, this.connection, this.record);
    this.#match();
    this.#idle.start(this.route, this.#binding.config);
  }

  resumeFrom(position: number): void {
    if (!this.#isActive) return;
    const run = this.#requestRun.isPausedBy(position) ? this.#requestRun : this.#responseRun;
    run.resume(position);
    this.grantRequestCredit();
    if (this.isDownstreamWritable) this.#router.onDownstreamWritable();
    this.#finishIfDone();
  }

  runOf(direction: Direction): FilterRun {
    return direction === 'request' ? this.#requestRun : this.#responseRun;
  }

  callCluster(cluster: string, request: SideRequest, onReply: (reply: SideReply) => void): Cancel {
    return this.#filters.call(this.services, cluster, request, onReply);
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
    this.#idle.touch();
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

  /** Where a response has begun, it is cut instead. */
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

  abortResponse(flag: number, details: string, code: ProxyErrorCode | null = null): void {
    this.record.flags |= flag;
    this.record.responseCodeDetails = details;
    if (code !== null && this.#endAsGrpc(code)) return;
    this.#stream.abort();
    this.#finish();
  }

  grantRequestCredit(): void {
    if (this.#owedBytes === 0 || !this.#requestRun.takesBytes || !this.#router.takesBytes) return;
    const owed = this.#owedBytes;
    this.#owedBytes = 0;
    this.#stream.consumed(owed);
  }

  onIdleTimeout(): void {
    const code = this.#hasRequestEnded ? 'stream-idle-timeout' : 'request-incomplete';
    this.answer(localReply(code, 'stream_idle_timeout'));
  }

  /** The connection's time ran out. */
  onRequestTimeout(): void {
    if (this.#hasRequestEnded) return;
    this.answer(localReply('request-receive-timeout', 'request_overall_timeout'));
  }

  /** The client broke the protocol inside its request. */
  onRequestInvalid(status: number, code: string, detail: string): void {
    this.answer(invalidHeadReply(status, code, detail, 'HTTP/1.1'));
  }

  /** There is no head to speak of: it was malformed, too large or too late. Answered and logged all the same. */
  onHeadInvalid(status: number, code: string, detail: string): void {
    const { message } = this;
    blankMessage(message);
    this.#begin(true);
    fillRouteRequest(this.routeRequest, this.message, this.connection, this.record);
    this.#binding.metrics.onRequestStart(this.record);
    this.answer(invalidHeadReply(status, code, detail, message.protocol));
  }

  dispose(): void {
    if (this.#isActive) this.#finish();
    this.#router.dispose();
    this.#idle.dispose();
  }

  #begin(isEnd: boolean): void {
    beginRecord(this.record, this.message, this.connection, this.#binding, this.services, isEnd);
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

  #match(): void {
    const table = this.#binding.config.routes();
    this.hasRouteTable = table !== null;
    const route = table?.match(this.routeRequest, this.services.draw) ?? null;
    this.route = this.record.route = route;
    this.weighted =
      route !== null && route.action.kind === 'forward'
        ? drawWeighted(route.action.clusters, this.services.draw)
        : null;
  }

  #routeConfigs(): RouteConfigs {
    return this.weighted?.perFilterConfig ?? this.route?.perFilterConfig ?? null;
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
    const local = this.#local;
    const body = writeReply(reply, record, this.#binding.config.isEdge, this.message.headers, local);
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
    this.#idle.touch();
    this.record.status = response.status;
    finishResponseHead(response, this.#binding, this.services, this.record);
    this.#hasSentResponse ||= isEnd;
    if (this.#isTunnel) this.#tunnelOpened();
    this.#stream.sendHead(response, isEnd, this.#isTunnel);
  }

  #tunnelOpened(): void {
    this.#idle.startTunnel(this.route, this.#binding.config);
    this.#binding.connectionStats.upgradeOpened();
  }

  /** A gRPC call that has begun ends with a status too, over HTTP/2, where trailers always arrive. */
  #endAsGrpc(code: ProxyErrorCode): boolean {
    const mayEnd = this.#hasSentHead && this.#responseRun.takesBytes && this.response?.contentLength === -1;
    if (!mayEnd || !this.record.isGrpc || this.message.protocol !== 'HTTP/2') return false;
    this.record.reason = code;
    this.responseEnd(grpcErrorTrailers(code, this.#binding.config.isEdge));
    return true;
  }

  #finishIfDone(): void {
    if (this.#isActive && this.#hasSentResponse && this.#router.isIdle) this.#finish();
  }

  #finish(): void {
    this.#isActive = false;
    this.#idle.stop();
    if (this.#isTunnel && this.#hasSentHead) this.#binding.connectionStats.upgradeClosed();
    this.#requestRun.stop();
    this.#responseRun.stop();
    this.#router.reset();
    const { record, services } = this;
    record.responseEndMs = services.clock.nowMs();
    this.#stream.flush();
    try {
      noteGrpcOutcome(record);
      this.#filters.end(this.#routeConfigs(), this.#requestRun.hasPaused || this.#responseRun.hasPaused);
      this.#binding.metrics.onRequestEnd(record);
      for (const logger of this.#binding.config.accessLoggers) logger.log(record);
    } catch (error) {
      services.reportError(error);
    }
    this.response = this.destinationAddress = null;
    this.#stream.exchangeEnded();
  }
}
