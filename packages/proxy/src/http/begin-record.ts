/** What the record and the route request take from a request's head. */
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import type { RouteRequest } from '../route/route.ts';
import type { RequestRecord } from '../telemetry/record.ts';
import { NO_CONNECTION } from '../telemetry/request-record.ts';
import type { ExchangeServices, HttpBinding } from './exchange-services.ts';
import type { RequestMessage } from './streams.ts';

export function beginRecord(
  record: RequestRecord,
  message: RequestMessage,
  connection: ConnectionFacts,
  binding: HttpBinding,
  services: ExchangeServices,
  isEnd: boolean,
): void {
  const nowMs = services.clock.nowMs();
  record.reset();
  record.startMs = nowMs;
  record.startWallMs = services.clock.wallMs();
  record.requestHeadEndMs = nowMs;
  record.requestEndMs = isEnd ? nowMs : 0;
  record.listenerName = binding.listener.name;
  record.trafficDirection = binding.listener.trafficDirection;
  record.statPrefix = binding.config.statPrefix;
  record.connection = connection;
  record.protocol = message.protocol;
  record.method = message.method;
  record.originalPath = message.path;
  record.requestHeaders = message.headers;
}

/** Nothing of a connection is referred to any more. */
export function forgetPeer(record: RequestRecord): void {
  record.requestHeaders = null;
  record.responseHeaders = null;
  record.connection = NO_CONNECTION;
}

/** Of a request whose head could not be read. */
export function blankMessage(message: RequestMessage): void {
  message.headers.reset();
  message.method = '';
  message.path = '';
  message.authority = '';
  message.upgrade = '';
}

/** One per exchange, filled anew for each request. */
export function newRouteRequest({ headers }: RequestMessage): RouteRequest {
  return { method: '', scheme: 'http', authority: '', path: '', query: '', headers, localPort: 0 };
}

/** Again whenever a filter has changed what routes look at. */
export function fillRouteRequest(
  routeRequest: RouteRequest,
  message: RequestMessage,
  connection: ConnectionFacts,
  record: RequestRecord,
): void {
  const path = message.path;
  const queryAt = path.indexOf('?');
  routeRequest.method = message.method;
  routeRequest.scheme = message.scheme;
  routeRequest.authority = message.authority;
  routeRequest.path = queryAt < 0 ? path : path.slice(0, queryAt);
  routeRequest.query = queryAt < 0 ? '' : path.slice(queryAt + 1);
  routeRequest.headers = message.headers;
  routeRequest.localPort = connection.localPort;
  record.path = path;
  record.authority = message.authority;
}
