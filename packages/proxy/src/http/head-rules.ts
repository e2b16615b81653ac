/** What an HTTP manager does to every request head before its filters, and to every response head after them. */
import { H } from '@sluice/wire';
import type { LocalReply } from '../filter/filter.ts';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import type { RequestRecord } from '../telemetry/record.ts';
import { continueTrace, createTraceContext, formatTraceparent } from '../telemetry/trace-context.ts';
import type { ExchangeServices, HttpBinding } from './exchange-services.ts';
import { judgeRequestHeaders } from './header-trust.ts';
import { normalizePath, type NormalizedPath } from './path-normalization.ts';
import { localReply } from './reply.ts';
import type { RequestMessage, ResponseMessage } from './streams.ts';

/** Filled and read within one call. */
const normalized: NormalizedPath = { outcome: 'ok', path: '' };
const trace = createTraceContext();

/** Null, or the refusal of a head that cannot be served. */
export function finishRequestHead(
  message: RequestMessage,
  facts: ConnectionFacts,
  binding: HttpBinding,
  services: ExchangeServices,
  record: RequestRecord,
): LocalReply | null {
  const { config } = binding;
  if (message.protocol === 'HTTP/1.0') {
    if (!config.acceptHttp10) return localReply('http10-refused', 'http1.http10_refused');
    if (message.authority === '' && config.defaultHostForHttp10 !== '') {
      message.authority = config.defaultHostForHttp10;
      message.headers.set(H.host, config.defaultHostForHttp10);
    }
  }
  if (config.via !== '') message.headers.append(H.via, config.via);
  judgeRequestHeaders(message, facts, config, services.ids, record);
  if (config.tracing.isEnabled) traceRequest(message, config.tracing.samplingPercent, services, record);
  if (message.authority === '') return localReply('host-missing', 'missing_host_header');
  const refusal = normalizeTarget(message, binding);
  // What logs call the original path is what the route saw, not another spelling of it.
  record.originalPath = message.path;
  return refusal;
}

function normalizeTarget(message: RequestMessage, binding: HttpBinding): LocalReply | null {
  const result = normalizePath(message.path, binding.config.pathNormalization, normalized);
  if (result.outcome === 'reject') return localReply('path-rejected', 'path_normalization_failed');
  if (result.outcome === 'redirect') {
    return localReply('path-redirected', 'path_normalization_failed', {
      headers: [['location', result.path]],
    });
  }
  message.path = result.path;
  return null;
}

function traceRequest(
  message: RequestMessage,
  samplingPercent: number,
  services: ExchangeServices,
  record: RequestRecord,
): void {
  const headers = message.headers;
  const parent = headers.has(H.traceparent) ? (headers.joined(H.traceparent) ?? null) : null;
  const state = headers.has(H.tracestate) ? (headers.joined(H.tracestate) ?? null) : null;
  continueTrace(trace, parent, state, { ids: services.ids, samplingPercent, random: services.draw });
  record.traceId = trace.traceId;
  record.spanId = trace.spanId;
  record.parentSpanId = trace.parentSpanId;
  record.isSampled = trace.isSampled;
  headers.set(H.traceparent, formatTraceparent(trace));
  if (state === null) return;
  if (trace.tracestate === '') headers.remove(H.tracestate);
  else headers.set(H.tracestate, trace.tracestate);
}

export function finishResponseHead(
  response: ResponseMessage,
  binding: HttpBinding,
  services: ExchangeServices,
  record: RequestRecord,
): void {
  const { config } = binding;
  const { headers } = response;
  if (!headers.has(H.date)) headers.append(H.date, services.date.text());
  if (config.serverHeader === 'OVERWRITE') headers.set(H.server, config.serverName);
  else if (config.serverHeader === 'APPEND_IF_ABSENT' && !headers.has(H.server))
    headers.append(H.server, config.serverName);
  if (config.via !== '') headers.append(H.via, config.via);
  if (config.alwaysSetRequestIdInResponse && record.requestId !== '')
    headers.set(H.xRequestId, record.requestId);
}
