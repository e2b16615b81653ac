/**
 * Statistics of gRPC calls (`envoy.filters.http.grpc_stats`): outcomes and messages under the cluster that
 * took the call, for all methods together, for named ones, or for each; and the numbers of messages in the
 * record, from which Istio's `istio_request_messages_total` is fed.
 *
 * Messages are counted as bodies pass. The cluster is known only once the router has chosen it, so what was
 * counted before is charged then.
 */
import { GrpcMessageCounter, type HeaderList } from '@sluice/wire';
import type { GrpcCallStats } from '../../cluster/cluster.ts';
import { isGrpcRequest } from '../../http/grpc-request.ts';
import { grpcStatusIn } from '../../telemetry/grpc-status.ts';
import type { BodyChunk, FilterVerdict, HttpFilter, HttpFilterContext } from '../filter.ts';
import { methodOf, type GrpcStatsConfig } from './stats-config.ts';

export class GrpcStatsFilter implements HttpFilter {
  readonly isReusable = true;
  readonly #config: GrpcStatsConfig;
  #isGrpc = false;
  #isGrpcReply = false;
  #stats: GrpcCallStats | null = null;
  #chargedRequests = 0;
  #chargedResponses = 0;
  readonly #requests = new GrpcMessageCounter();
  readonly #responses = new GrpcMessageCounter();

  constructor(config: GrpcStatsConfig) {
    this.#config = config;
  }

  onRequestHead(x: HttpFilterContext): FilterVerdict {
    this.#isGrpc = isGrpcRequest(x.requestHeaders);
    if (!this.#isGrpc) x.leave();
    return 'continue';
  }

  onRequestData(x: HttpFilterContext, chunk: BodyChunk): FilterVerdict {
    if (this.#isGrpc && this.#requests.scan(chunk.data, chunk.start, chunk.end) > 0) this.#charge(x);
    return 'continue';
  }

  onResponseHead(x: HttpFilterContext): FilterVerdict {
    if (!this.#isGrpc) return 'continue';
    this.#isGrpcReply = isGrpcRequest(x.response!.headers);
    this.#chargeStatus(x, x.response!.headers);
    return 'continue';
  }

  onResponseData(x: HttpFilterContext, chunk: BodyChunk): FilterVerdict {
    if (this.#isGrpcReply && this.#responses.scan(chunk.data, chunk.start, chunk.end) > 0) this.#charge(x);
    return 'continue';
  }

  onResponseTrailers(x: HttpFilterContext, trailers: HeaderList): FilterVerdict {
    if (this.#isGrpc) this.#chargeStatus(x, trailers);
    return 'continue';
  }

  onEnd(x: HttpFilterContext): void {
    if (!this.#isGrpc) return;
    this.#charge(x);
    const { record } = x;
    if (this.#config.fillsRecord) {
      record.requestMessages = this.#requests.count;
      record.responseMessages = this.#responses.count;
    }
    const sentMs = Math.max(record.upstreamHeadSentMs, record.requestEndMs);
    if (this.#config.measuresUpstream && sentMs > 0 && record.upstreamLastByteMs > 0)
      this.#stats?.upstreamTime(Math.max(0, record.upstreamLastByteMs - sentMs));
    this.#forget();
  }

  #forget(): void {
    this.#isGrpc = false;
    this.#isGrpcReply = false;
    this.#stats = null;
    this.#chargedRequests = 0;
    this.#chargedResponses = 0;
    this.#requests.reset();
    this.#responses.reset();
  }

  #chargeStatus(x: HttpFilterContext, fields: HeaderList): void {
    const status = grpcStatusIn(fields);
    if (status >= 0) this.#statsFor(x)?.ended(status);
  }

  #charge(x: HttpFilterContext): void {
    const stats = this.#statsFor(x);
    if (stats === null) return;
    const requests = this.#requests.count - this.#chargedRequests;
    const responses = this.#responses.count - this.#chargedResponses;
    if (requests > 0) stats.requestMessages(requests);
    if (responses > 0) stats.responseMessages(responses);
    this.#chargedRequests += requests;
    this.#chargedResponses += responses;
  }

  #statsFor(x: HttpFilterContext): GrpcCallStats | null {
    const { cluster } = x.record;
    if (this.#stats !== null || cluster === null) return this.#stats;
    const method = methodOf(this.#config, x.request.path);
    if (method !== null) this.#stats = cluster.stats.grpc(method.service, method.method);
    return this.#stats;
  }
}
