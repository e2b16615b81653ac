/**
 * One record per request (and per TCP connection): the single source for access log, metrics, traces
 * and, later, tap and explain. Reused: a record belongs to its exchange until `AccessLogger`s and
 * metrics have read it, after the response has been sent. Consumers copy what they keep.
 */
import type { Cluster, Endpoint } from '../cluster/cluster.ts';
import type { TlsFacts } from '../io/tls-facts.ts';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import type { CompiledRoute, FormatFacts } from '../route/route.ts';
import type { HeaderList } from '@sluice/wire';

export interface RequestRecord extends FormatFacts {
  kind: 'http' | 'tcp';
  /** Wall clock, ms since the epoch, of the first byte. */
  startWallMs: number;
  /** Monotonic, ms; 0 = did not happen. */
  startMs: number;
  requestHeadEndMs: number;
  requestEndMs: number;
  upstreamHeadSentMs: number;
  upstreamFirstByteMs: number;
  upstreamLastByteMs: number;
  responseEndMs: number;

  listenerName: string;
  trafficDirection: 'UNSPECIFIED' | 'INBOUND' | 'OUTBOUND';
  statPrefix: string;
  connection: ConnectionFacts;
  protocol: 'HTTP/1.0' | 'HTTP/1.1' | 'HTTP/2' | '-';
  method: string;
  /** Path as forwarded, with query; `originalPath` differs from it after a rewrite. */
  path: string;
  originalPath: string;
  authority: string;
  requestHeaders: HeaderList | null;
  responseHeaders: HeaderList | null;
  responseTrailers: HeaderList | null;
  /** Client as judged by trusted forwarding headers; empty = the connection's remote address. */
  clientAddress: string;
  /** True for requests that a health check filter answered or recognised (`not_health_check_filter`). */
  isHealthCheck: boolean;

  route: CompiledRoute | null;
  cluster: Cluster | null;
  clusterName: string;
  endpoint: Endpoint | null;
  upstreamLocalAddress: string;
  /** Of the last attempt's connection; null = plain. */
  upstreamTls: TlsFacts | null;
  upstreamTransportFailure: string;
  /** 1 + retries + hedges that were really sent. */
  attempts: number;

  status: number;
  /** Bit set; see `telemetry/response-flags.ts`. */
  flags: number;
  responseCodeDetails: string;
  /** Code of docs/errors.md when the proxy made the reply; empty otherwise. */
  reason: string;
  terminationDetails: string;
  requestId: string;
  traceId: string;
  spanId: string;
  parentSpanId: string;
  isSampled: boolean;

  /** Body bytes, as Envoy counts BYTES_RECEIVED and BYTES_SENT. */
  bytesReceived: number;
  bytesSent: number;
  upstreamBytesSent: number;
  upstreamBytesReceived: number;

  /** Why things went as they went: `{what: 'retry', policy: '/apis/…', detail: 'skipped: body over 64 KiB'}`. */
  decisions: Decision[];
  /** Dynamic metadata by filter name, then key; null until a filter sets some. */
  metadata: Map<string, Map<string, unknown>> | null;
  /** The request speaks gRPC, or gRPC-Web that was translated to it. Known from the router on, and at the end. */
  isGrpc: boolean;
  /** `grpc-status` of the reply, or what stands for its HTTP status; -1 when the request is not gRPC. */
  grpcStatus: number;
  /** gRPC messages that passed, when a filter counts them. */
  requestMessages: number;
  responseMessages: number;
  setMetadata(namespace: string, key: string, value: unknown): void;
  getMetadata(namespace: string, key: string): unknown;
  /** Back to a fresh record, without allocation. */
  reset(): void;
  decide(what: string, policy: string, detail: string): void;
}

export interface Decision {
  what: string;
  policy: string;
  detail: string;
}

export interface AccessLogger {
  /** Called once per request or connection, after its end. Never blocks and never throws. */
  log(record: RequestRecord): void;
}

/** What the exchange tells metrics at its end. Bound per listener chain. */
export interface RequestMetrics {
  onRequestStart(record: RequestRecord): void;
  onRequestEnd(record: RequestRecord): void;
}
