/**
 * Replies that the proxy makes (design §5): one function from a code to a LocalReply, one from a LocalReply
 * to a response. Both directions meet here: what went wrong downstream and what went wrong upstream.
 *
 * A client inside the mesh learns who decided and why; a stranger at an edge learns the reason code and the
 * request id, by which `sluice explain` shows the rest.
 */
import { H, type HeaderList } from '@sluice/wire';
import { proxyErrors, type ProxyErrorCode } from '../errors.ts';
import type { LocalReply } from '../filter/filter.ts';
import type { RequestRecord } from '../telemetry/record.ts';

export interface ReplyOverrides {
  readonly status?: number;
  readonly flag?: string;
  readonly detail?: string;
  readonly headers?: LocalReply['headers'];
  readonly body?: LocalReply['body'];
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
    ...(entry.grpcStatus === undefined ? {} : { grpcStatus: entry.grpcStatus }),
  };
}

const encoder = new TextEncoder();
const EMPTY = new Uint8Array(0);

/** Statuses whose responses have no content (RFC 9110 §15.3.5, §15.4.5). */
export function hasNoContent(status: number): boolean {
  return status < 200 || status === 204 || status === 304;
}

/** Fills `headers`; returns the body. `isGrpc`: the reply is a trailers-only gRPC response with status 200. */
export function writeReply(
  reply: LocalReply,
  record: RequestRecord,
  isEdge: boolean,
  isGrpc: boolean,
  headers: HeaderList,
): Uint8Array {
  headers.reset();
  headers.append(H.xSluiceReason, reply.code);
  for (const [name, value] of reply.headers ?? []) headers.append(name.toLowerCase(), value);
  if (isGrpc) {
    headers.set(H.contentType, 'application/grpc');
    headers.set(H.grpcStatus, String(reply.grpcStatus ?? grpcStatusOf(reply.status)));
    headers.set(H.grpcMessage, encodeURIComponent(isEdge ? reply.code : reply.detail).replaceAll('%20', ' '));
    return EMPTY;
  }
  const body = bodyOf(reply, record, isEdge, headers);
  if (!hasNoContent(reply.status)) headers.set(H.contentLength, String(body.length));
  return hasNoContent(reply.status) ? EMPTY : body;
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

/** gRPC's mapping of HTTP statuses (grpc/doc/http-grpc-status-mapping.md). */
export function grpcStatusOf(status: number): number {
  switch (status) {
    case 400:
      return 13;
    case 401:
      return 16;
    case 403:
      return 7;
    case 404:
      return 12;
    case 429:
    case 502:
    case 503:
    case 504:
      return 14;
    default:
      return 2;
  }
}
