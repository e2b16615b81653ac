/**
 * Every reply and every end of a connection that this proxy decides, by code: what `x-sluice-reason`
 * says, what `docs/errors.md` explains. Statuses and flags are Envoy's, so that dashboards keep working.
 */
import { defineErrors, type CodeOf } from '@sluice/runtime';

export const proxyErrors = defineErrors('proxy', [
  {
    code: 'route-not-found', httpStatus: 404, grpcStatus: 12, responseFlag: 'NR',
    meaning: 'No route matches this host, path and headers.',
    action: 'Compare the request with `sluice proxy-config routes`; add a route or a catch-all.',
  },
  {
    code: 'route-table-missing', httpStatus: 404, grpcStatus: 14, responseFlag: 'NR',
    meaning: 'The route table that this listener names has not arrived.',
    action: 'Check that the control plane is reachable and that the table was not rejected (`sluice status`).',
  },
  {
    code: 'cluster-not-found', httpStatus: 503, grpcStatus: 14, responseFlag: 'NC',
    meaning: 'The route names a cluster that this proxy does not have.',
    action: 'Check the destination host and subset of the route, and whether its cluster was rejected.',
  },
  {
    code: 'no-healthy-upstream', httpStatus: 503, grpcStatus: 14, responseFlag: 'UH',
    meaning: 'The cluster has no endpoint that may take a request.',
    action: 'Look at `sluice proxy-config endpoints`: are there instances, are they ready, are they ejected?',
  },
  {
    code: 'upstream-connect-failed', httpStatus: 503, grpcStatus: 14, responseFlag: 'UF',
    meaning: 'No connection to the chosen endpoint could be made.',
    action: 'Is the application listening on that address and port? See the upstream in the access log.',
  },
  {
    code: 'upstream-connect-timeout', httpStatus: 503, grpcStatus: 14, responseFlag: 'UF',
    meaning: 'The chosen endpoint did not accept a connection within the connect timeout.',
    action: 'Look for a firewall or an overloaded host; the cluster sets the connect timeout.',
  },
  {
    code: 'upstream-reset', httpStatus: 503, grpcStatus: 14, responseFlag: 'UC',
    meaning: 'The upstream closed the connection before it answered.',
    action: 'Look for a crash or a keep-alive timeout in the upstream; retries on reset hide it where safe.',
  },
  {
    code: 'upstream-stream-reset', httpStatus: 503, grpcStatus: 14, responseFlag: 'UR',
    meaning: 'The upstream reset the stream before it answered.',
    action: 'Look into the log of the upstream for the reason.',
  },
  {
    code: 'upstream-protocol-error', httpStatus: 502, grpcStatus: 14, responseFlag: 'UPE',
    meaning: 'The upstream answered with something that is not valid HTTP.',
    action: 'Check that the port speaks the protocol that the cluster is configured for.',
  },
  {
    code: 'upstream-overflow', httpStatus: 503, grpcStatus: 14, responseFlag: 'UO',
    meaning: 'A circuit breaker of the cluster is open: too many connections, pending or active requests.',
    action: 'Raise connectionPool limits in the DestinationRule, or add instances.',
  },
  {
    code: 'no-descriptors', httpStatus: 503, grpcStatus: 14, responseFlag: 'UF',
    meaning: 'The proxy has no file descriptor left for an upstream connection.',
    action: 'Raise RLIMIT_NOFILE of the proxy or lower its connection limits.',
  },
  {
    code: 'request-timeout', httpStatus: 504, grpcStatus: 4, responseFlag: 'UT',
    meaning: 'The upstream did not answer within the timeout of the route.',
    action: 'Raise `timeout` of the route or find out why the upstream is slow.',
  },
  {
    code: 'per-try-timeout', httpStatus: 504, grpcStatus: 4, responseFlag: 'UT',
    meaning: 'The last attempt did not answer within the per-try timeout.',
    action: 'Raise `perTryTimeout` of the retry policy or find out why the upstream is slow.',
  },
  {
    code: 'stream-idle-timeout', httpStatus: 504, grpcStatus: 4, responseFlag: 'SI',
    meaning: 'Nothing moved on this request for the stream idle timeout.',
    action: 'Raise the idle timeout of the route for long polls, or find out which side stalled.',
  },
  {
    code: 'request-incomplete', httpStatus: 408, grpcStatus: 4, responseFlag: 'SI',
    meaning: 'The client stopped sending its request for the stream idle timeout.',
    action: 'The client or the network before it stalled; see the bytes received in the access log.',
  },
  {
    code: 'request-headers-timeout', httpStatus: 408, grpcStatus: 4, responseFlag: 'DT',
    meaning: 'The request head was not complete within the header timeout.',
    action: 'A slow or hostile client; raise request_headers_timeout if it is legitimate.',
  },
  {
    code: 'request-receive-timeout', httpStatus: 408, grpcStatus: 4, responseFlag: 'DT',
    meaning: 'The request was not complete within the request timeout of the listener.',
    action: 'A slow client or a large upload; raise request_timeout if it is legitimate.',
  },
  {
    code: 'max-stream-duration', httpStatus: 504, grpcStatus: 4, responseFlag: 'UMSDR',
    meaning: 'The request lasted longer than the maximum stream duration.',
    action: 'Raise max_stream_duration for streams that may live longer.',
  },
  {
    code: 'client-disconnected', httpStatus: 499, grpcStatus: 1, responseFlag: 'DC',
    meaning: 'The client closed the connection before its response was complete.',
    action: 'Usually a client timeout: compare its limit with the duration in the access log.',
  },
  {
    code: 'path-rejected', httpStatus: 400, grpcStatus: 3, responseFlag: '',
    meaning: 'The path cannot be normalised, or holds an escaped slash where those are refused.',
    action: 'See meshConfig.pathNormalization for the level in force.',
  },
  {
    code: 'path-redirected', httpStatus: 307, grpcStatus: 3, responseFlag: '',
    meaning: 'The path held escaped slashes; the client is sent to the unescaped one.',
    action: 'Nothing to do; see meshConfig.pathNormalization.',
  },
  {
    code: 'host-missing', httpStatus: 400, grpcStatus: 3, responseFlag: 'DPE',
    meaning: 'The request names no host.',
    action: 'HTTP/1.0 clients need default_host_for_http_10 on the listener.',
  },
  {
    code: 'http10-refused', httpStatus: 426, grpcStatus: 12, responseFlag: 'DPE',
    meaning: 'The listener does not accept HTTP/1.0.',
    action: 'Set accept_http_10 on the listener or update the client.',
  },
  {
    code: 'upgrade-refused', httpStatus: 403, grpcStatus: 7, responseFlag: '',
    meaning: 'The route does not allow this upgrade or CONNECT.',
    action: 'Allow the upgrade type in the listener or route.',
  },
  {
    code: 'request-body-too-large', httpStatus: 413, grpcStatus: 8, responseFlag: '',
    meaning: 'A filter must see the whole request body, and it is larger than its limit.',
    action: 'Raise the body limit of the filter that the log names.',
  },
  {
    code: 'response-body-too-large', httpStatus: 500, grpcStatus: 8, responseFlag: '',
    meaning: 'A filter must see the whole response body, and it is larger than its limit.',
    action: 'Raise the body limit of the filter that the log names.',
  },
  {
    code: 'response-headers-refused', httpStatus: 502, grpcStatus: 13, responseFlag: 'UPE',
    meaning: 'A response header could not be written as configured.',
    action: 'Check header operations for values that are not valid field values.',
  },
  {
    code: 'direct-response', httpStatus: 200, grpcStatus: 0, responseFlag: '',
    meaning: 'The route answers itself.', action: 'Nothing to do: the route says so.',
  },
  {
    code: 'redirect', httpStatus: 301, grpcStatus: 12, responseFlag: '',
    meaning: 'The route redirects.', action: 'Nothing to do: the route says so.',
  },
  {
    code: 'internal-error', httpStatus: 500, grpcStatus: 13, responseFlag: '',
    meaning: 'A broken invariant of the proxy ended this request.',
    action: 'Report it with the log line of the same request id.',
  },
  {
    code: 'draining', httpStatus: 503, grpcStatus: 14, responseFlag: '',
    meaning: 'The proxy is shutting down.', action: 'Retry on another instance; clients that keep alive are told to close.',
  },
]);

export type ProxyErrorCode = CodeOf<typeof proxyErrors>;
