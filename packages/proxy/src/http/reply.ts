/**
 * Replies that the proxy makes (design §5): one function from a code to a LocalReply, one from a LocalReply
 * to a response. Both directions meet here: what went wrong downstream and what went wrong upstream.
 *
 * A client inside the mesh learns who decided and why; a stranger at an edge learns the reason code and the
 * request id, by which `sluice explain` shows the rest.
 */
import { encodeGrpcMessage, grpcStatusOfHttp, H, HeaderList } from '@sluice/wire';
import { proxyErrors, type ProxyErrorCode } from '../errors.ts';
import type { LocalReply } from '../filter/filter.ts';
import { applyHeaderOperations } from '../filter/header-operations.ts';
import type { RequestRecord } from '../telemetry/record.ts';
import { isGrpcRequest } from './grpc-request.ts';
import type { RequestMessage, ResponseMessage } from './streams.ts';

export interface ReplyOverrides {
  readonly status?: number;
  readonly flag?: string;
  readonly detail?: string;
  readonly headers?: LocalReply['headers'];
  readonly body?: LocalReply['body'];
  readonly headerOperations?: LocalReply['headerOperations'];
}

export function localReply(
  code: ProxyErrorCode,
  responseCodeDetails: string,
  overrides: ReplyOverrides = {},
): LocalReply {
  const entry = proxyErrors.entry(code);
  return {
    status: overrides.status ?? entry.httpStatus ?? 500,
    code,
    flag: overrides.flag ?? entry.responseFlag ?? '',
    detail: overrides.detail ?? entry.meaning,
    responseCodeDetails,
    ...(overrides.headers === undefined ? {} : { headers: overrides.headers }),
    ...(overrides.body === undefined ? {} : { body: overrides.body }),
    ...(overrides.headerOperations === undefined ? {} : { headerOperations: overrides.headerOperations }),
    // A route's own choice of status is told to gRPC by the table of HTTP statuses.
    ...(entry.grpcStatus === undefined || (overrides.status ?? entry.httpStatus) !== entry.httpStatus
      ? {}
      : { grpcStatus: entry.grpcStatus }),
  };
}

const encoder = new TextEncoder();
const EMPTY = new Uint8Array(0);
const MAX_GRPC_MESSAGE_BYTES = 1024;

/** Statuses whose responses have no content (RFC 9110 §15.3.5, §15.4.5). */
export function hasNoContent(status: number): boolean {
  return status < 200 || status === 204 || status === 304;
}

/** For requests that broke the protocol, or whose head did not come in time; `code` is the codec's. */
export function invalidHeadReply(
  status: number,
  code: string,
  detail: string,
  protocol: RequestMessage['protocol'],
): LocalReply {
  const isTimeout = status === 408;
  const responseCodeDetails = isTimeout
    ? 'request_header_timeout'
    : `${protocol === 'HTTP/2' ? 'http2' : 'http1'}.codec_error`;
  return { status, code, flag: isTimeout ? 'DT' : 'DPE', detail, responseCodeDetails };
}

/**
 * Fills `response`; returns its body. A gRPC request is answered by a trailers-only response, whose HTTP
 * status is 200.
 */
export function writeReply(
  reply: LocalReply,
  record: RequestRecord,
  isEdge: boolean,
  requestHeaders: HeaderList,
  response: ResponseMessage,
): Uint8Array {
  const { headers } = response;
  headers.reset();
  headers.append(H.xSluiceReason, reply.code);
  for (const [name, value] of reply.headers ?? []) headers.append(name.toLowerCase(), value);
  const isGrpc = isGrpcRequest(requestHeaders);
  response.status = isGrpc ? 200 : reply.status;
  const body = isGrpc ? writeGrpcStatus(reply, isEdge, headers) : bodyOf(reply, record, isEdge, headers);
  const isBodyless = isGrpc || hasNoContent(reply.status);
  response.contentLength = isBodyless ? 0 : body.length;
  if (!isBodyless) headers.set(H.contentLength, String(body.length));
  if (reply.headerOperations !== undefined) {
    record.status = response.status;
    applyHeaderOperations(headers, reply.headerOperations, record);
  }
  return isBodyless ? EMPTY : body;
}

function writeGrpcStatus(reply: LocalReply, isEdge: boolean, headers: HeaderList): Uint8Array {
  headers.set(H.contentType, 'application/grpc');
  headers.set(H.grpcStatus, String(reply.grpcStatus ?? grpcStatusOfHttp(reply.status)));
  headers.set(H.grpcMessage, encodeGrpcMessage(grpcMessageOf(reply, isEdge)));
  return EMPTY;
}

/** The content that a route gives its answer is its message; more than a header can hold is cut. */
function grpcMessageOf(reply: LocalReply, isEdge: boolean): string {
  if (reply.body === undefined) return isEdge ? reply.code : reply.detail;
  return new TextDecoder().decode(reply.body.bytes.subarray(0, MAX_GRPC_MESSAGE_BYTES));
}

/** The end of a gRPC call that the proxy cuts after its response has begun. */
export function grpcErrorTrailers(code: ProxyErrorCode, isEdge: boolean): HeaderList {
  const { meaning, grpcStatus, httpStatus } = proxyErrors.entry(code);
  const trailers = new HeaderList();
  trailers.append(H.grpcStatus, String(grpcStatus ?? grpcStatusOfHttp(httpStatus ?? 500)));
  trailers.append(H.grpcMessage, encodeGrpcMessage(isEdge ? code : meaning));
  trailers.append(H.xSluiceReason, code);
  return trailers;
}

function bodyOf(reply: LocalReply, record: RequestRecord, isEdge: boolean, headers: HeaderList): Uint8Array {
  if (reply.body !== undefined) {
    if (reply.body.bytes.length > 0 && !headers.has(H.contentType))
      headers.append(H.contentType, reply.body.contentType);
    return reply.body.bytes;
  }
  if (reply.status < 400) return EMPTY;
  headers.set(H.contentType, 'application/problem+json');
  return encoder.encode(
    `${JSON.stringify(isEdge ? edgeProblem(reply, record) : fullProblem(reply, record))}\n`,
  );
}

function edgeProblem(reply: LocalReply, record: RequestRecord): object {
  return { status: reply.status, reason: reply.code, requestId: record.requestId };
}

function fullProblem(reply: LocalReply, record: RequestRecord): object {
  const route = record.route;
  return {
    type: `https://sluice.dev/errors#${reply.code}`,
    title: proxyErrors.has(reply.code) ? proxyErrors.entry(reply.code).meaning : reply.detail,
    status: reply.status,
    detail: reply.detail,
    reason: reply.code,
    requestId: record.requestId,
    listener: record.listenerName,
    route: route === null ? null : route.name === '' ? route.virtualHost.name : route.name,
    cluster: record.clusterName === '' ? null : record.clusterName,
    policy: route?.origin ?? null,
  };
}
