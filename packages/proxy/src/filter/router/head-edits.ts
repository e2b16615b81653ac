/** What a route does to the head of a request before its first attempt, and to the head of its response. */
import { H } from '@sluice/wire';
import type { ResponseMessage } from '../../http/streams.ts';
import type { ForwardAction, HeaderOperation } from '../../route/route.ts';
import { applyHeaderOperations } from '../header-operations.ts';
import { rewritePath, rewrittenHost, setHost } from './rewrite.ts';
import type { RouterHost } from './router-host.ts';
import { smallDecimal } from './small-decimal.ts';

const NONE: readonly HeaderOperation[] = [];

export function editRequestHead(host: RouterHost, action: ForwardAction): void {
  const { message, record, route, weighted } = host;
  const { headers } = message;
  applyHeaderOperations(headers, weighted?.requestHeaders ?? NONE, record);
  applyHeaderOperations(headers, route?.requestHeaders ?? NONE, record);
  const originalPath = message.path;
  if (action.rewrite !== null) {
    message.path = rewritePath(message.path, action.rewrite);
    record.path = message.path;
    if (!host.suppressEnvoyHeaders) headers.set(H.xEnvoyOriginalPath, originalPath);
  }
  const rewrite = weighted?.hostRewrite ?? action.hostRewrite;
  if (rewrite !== null) {
    const name = rewrittenHost(rewrite, headers, originalPath);
    if (name !== null) {
      if (!host.suppressEnvoyHeaders) headers.set(H.xEnvoyOriginalHost, message.authority);
      setHost(message, name);
    }
  }
}

export function editResponseHead(host: RouterHost, response: ResponseMessage): void {
  const { record, route, weighted } = host;
  const { headers } = response;
  const sinceMs = record.requestEndMs > 0 ? record.requestEndMs : record.startMs;
  const serviceTimeMs = Math.max(0, Math.floor(record.upstreamFirstByteMs - sinceMs));
  if (!host.suppressEnvoyHeaders) headers.set(H.xEnvoyUpstreamServiceTime, smallDecimal(serviceTimeMs));
  record.status = response.status;
  record.responseCodeDetails = 'via_upstream';
  record.responseHeaders = headers;
  if (route?.virtualHost.includeAttemptCountInResponse === true)
    headers.set(H.xEnvoyAttemptCount, smallDecimal(record.attempts));
  applyHeaderOperations(headers, weighted?.responseHeaders ?? NONE, record);
  applyHeaderOperations(headers, route?.responseHeaders ?? NONE, record);
}
