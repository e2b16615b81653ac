/**
 * Where our proxy answers differently from Envoy on purpose, each with its reason. An entry that no longer
 * occurs fails the test, so that this list stays true.
 */
import type { Difference } from './compare.ts';

export interface Explained {
  /** Matched against "section: case". */
  readonly where: RegExp;
  /** Matched against the field, e.g. `response[0].header.location`; default: any field of these cases. */
  readonly field?: RegExp;
  readonly reason: string;
}

const requestsThatMustNotPass: readonly Explained[] = [
  {
    where: /^malformed: (two hosts|two equal hosts|a host with an at sign)$/,
    reason: 'a second Host and userinfo in it are refused (RFC 9112 §3.2): two readers could see two hosts',
  },
  {
    where: /^malformed: an empty host$/,
    reason: 'a request must say for whom it is: refused with 400 instead of matched as ""',
  },
  {
    where:
      /^malformed: (two spaces|a tab in the request line|a bare CR in a value|bare LFs|a bare LF in the head|folding)$/,
    reason:
      'line endings, folding and white space of which readers disagree are refused (RFC 9112 §2.2, §3, §5.2)',
  },
  {
    where: /^malformed: a chunk without its end$/,
    reason: 'chunk data that is not followed by CRLF is refused before anything is forwarded',
  },
  {
    where: /^malformed: (encoding .*|no version|HTTP\/.*|http\/1.1)$/,
    field: /^(response\[0\]|log\[0\])\.status$/,
    reason:
      'unknown encodings are 400 and unknown versions 505 or 400; Envoy says 501 and 426 (all of them close)',
  },
  {
    where: /^http11: two empty lines before$/,
    reason: 'one empty line before a request is tolerated (RFC 9112 §2.2), not any number',
  },
  {
    where: /^http11: method QUERY$/,
    reason: 'QUERY is a method like any other to us; Envoy demands a Content-Type',
  },
  {
    where: /^paths-(normalized|escaped-(rejected|redirected|forwarded)).*: \/%(zz)?$/,
    reason: 'with normalisation on, a broken escape is refused: it has more than one reading',
  },
];

const spelling: readonly Explained[] = [
  {
    where: /^paths-(normalized|escaped).*: \/.*%([0-9a-f]*[a-f])/,
    field: /^(response\[0\]\.body|upstream\[0\]\.line|log\[0\]\.path)$/,
    reason:
      'hexadecimal digits of escapes become upper-case in the one normal form of a path (RFC 3986 §6.2.2.1)',
  },
  {
    where: /^paths-escaped-(rejected|redirected): \/.*%(2f|5c)/i,
    field: /^log\[0\]\.path$/,
    reason: 'a path that was refused or redirected is logged as it was sent',
  },
  {
    where: /\\/,
    field: /^log\[0\]\.(path|route)$/,
    reason: 'backslashes are escaped in log lines, so that no field can end its line or imitate another',
  },
  {
    where: /^http11: Transfer-Encoding: Chunked$/,
    field: /transfer-encoding$/,
    reason: 'values are forwarded as they were spelt',
  },
  {
    where: /^upgrades-on: /,
    field: /header\.connection$/,
    reason: 'the connection option is written "upgrade", and a refused upgrade does not end the connection',
  },
  {
    where: /^(trust-.*|header-levels.*): (two fields|all there)$/,
    field: /header\.x-forwarded-for$/,
    reason: 'on an edge the list that a stranger sent is dropped; see "untrusted forwarding"',
  },
];

const logs: readonly Explained[] = [
  {
    where: /^(malformed|http11|http10-.*|limits|paths|query-parameters): /,
    field: /^log\[0\]\.(details|flags|method|path|protocol|attempts)$/,
    reason:
      'a head that the codec refused is logged as http1.codec_error with flag DPE and what was read of it; its code is in x-sluice-reason',
  },
  {
    where: /^(weighted|no-upstream|grpc-replies): /,
    field: /^log\[[01]\]\.cluster$/,
    reason: 'the log names the cluster that the route asked for, also when there is none of this name',
  },
  {
    where: /^upgrades-/,
    field: /^log\[0\]\.cluster$/,
    reason: 'a refused upgrade has not been given to a cluster',
  },
  {
    where: /^(no-upstream|retries|grpc-replies|grpc-web): /,
    field: /^log\[[01]\]\.attempts$/,
    reason: 'attempts are requests that were sent; Envoy also counts those that found no connection',
  },
  {
    where: /^(no-upstream|retries|grpc-replies|grpc-web): (?!upstream:)/,
    field: /^log\[[01]\]\.details$/,
    reason: 'the details name the kind of failure; Envoy adds the words of the operating system',
  },
  {
    where: /^(timeouts: duration|grpc-timeouts: new-)/,
    field: /^log\[0\]\.(flags|details)$/,
    reason: 'a request that lived too long is flagged UMSDR, as Envoy does where the upstream set the limit',
  },
  {
    where: /^trust-.*: no address$/,
    field: /^log\[0\]\.remote$/,
    reason: 'what a trusted neighbour put into x-forwarded-for is logged even where it is no address',
  },
];

const trust: readonly Explained[] = [
  {
    where: /^trust-(edge.*|keeps-request-id): /,
    field: /header\.(x-forwarded-for|x-forwarded-host|x-forwarded-port|forwarded|x-real-ip)$/,
    reason:
      'untrusted forwarding headers end at an edge; and a client on loopback is 127.0.0.1, where Envoy writes an address of the host',
  },
  {
    where: /^trust-(edge.*|keeps-request-id): /,
    field: /header\.x-envoy-external-address$/,
    reason: 'the client address is told once, by x-forwarded-for',
  },
  {
    where: /^trust-(edge.*|keeps-request-id): /,
    field: /header\.x-envoy-(attempt-count|something|peer-metadata|original-dst-host)$/,
    reason: 'an edge removes every x-envoy- header, not a list of them',
  },
  {
    where: /^trust-.*: (internal|a timeout|retries)$/,
    field: /header\.x-envoy-/,
    reason:
      'inside the mesh callers are believed, so their x-envoy- headers count and go on; Envoy believes none of them unless internal_address_config says whom',
  },
  {
    where: /^retries: .*asked for by the client/,
    reason: 'as above: a caller inside the mesh may ask for retries',
  },
  {
    where: /^trust-.*: another scheme$/,
    field: /header\.x-forwarded-proto$/,
    reason: 'x-forwarded-proto is http or https; anything else is replaced',
  },
  {
    where: /^trust-no-request-id: an empty request id$/,
    field: /header\.x-request-id$/,
    reason: 'an empty request id is removed',
  },
];

const messages: readonly Explained[] = [
  {
    where: /^(pseudo-headers|http11): /,
    field: /^upstream\[0\]\.header\.content-length$/,
    reason: 'a request without content is forwarded as it came, without a Content-Length of 0',
  },
  {
    where: /^http11: chunked with trailers$/,
    field: /trailer\.x-sum$/,
    reason: 'trailers are forwarded; Envoy drops them unless enable_trailers is set',
  },
  {
    where: /^upstream-behaviour: trailers/,
    field: /(trailer\.x-sum|header\.trailer)$/,
    reason: 'trailers are forwarded, and announced only where they can follow',
  },
  {
    where: /^http11: hop-by-hop/,
    field: /^upstream\[0\]\.header\.(connection|trailer|http2-settings)$/,
    reason:
      'hop-by-hop headers end here, and TE is sent on with the Connection option that RFC 9110 §10.1.4 demands',
  },
  {
    where: /^upstream-behaviour: header=te/,
    field: /header\.connection$/,
    reason: 'a TE that goes on is named in Connection',
  },
  {
    where: /^upstream-behaviour: connection-headers/,
    field: /header\.x-hop$/,
    reason: 'headers that Connection names end at this hop in responses too (RFC 9110 §7.6.1)',
  },
  {
    where: /^upstream-behaviour: hints/,
    field: /interim$/,
    reason: '103 (Early Hints) is passed on; Envoy drops it',
  },
  {
    where: /^(upstream-behaviour|direct-responses): .*HEAD$/,
    field: /header\.(transfer-encoding|content-length)$/,
    reason: 'the answer to HEAD does not announce a chunked body that nobody measured',
  },
  {
    where: /^http10-accepted/,
    field: /^response\[0\]\.(version|interim)$/,
    reason: 'a server answers with its own version (RFC 9110 §2.5), and sends no 100 to HTTP/1.0',
  },
  {
    where: /^http10-refused: .*keep-alive$/,
    reason: 'a refused HTTP/1.0 request that asked for keep-alive gets it',
  },
  {
    where: /^limits: a target above 8 KiB$/,
    field: /\.status$/,
    reason: 'a target that is too long is 414, other oversized heads 431',
  },
  {
    where: /^(paths-.*|upgrades-.*): /,
    field: /^response\[0\]\.header\.connection$/,
    reason: 'a refusal that leaves the framing intact does not close the connection',
  },
  {
    where: /^upgrades-on: /,
    field: /header\.x-envoy-upstream-service-time$/,
    reason: 'upgrades tell how long the upstream took, as other responses do',
  },
  {
    where: /^upgrades-on: websocket (refused|answered)/,
    reason: 'the connection goes on after an upgrade that the upstream did not take',
  },
  {
    where: /^(rewrites: absolute form with a query only|http11: asterisk form.*)$/,
    field: /^log\[0\]/,
    reason:
      'http://host?query is the path / with a query (RFC 9112 §3.2.2) and OPTIONS * is routed; both find no route here',
  },
  {
    where: /^weighted: own-host/,
    field: /x-envoy-original-host$/,
    reason: 'the upstream is told what every host rewrite replaced, also that of a weighted cluster',
  },
  {
    where: /^rewrites: \/host-auto$/,
    field: /x-envoy-original-host$/,
    reason: 'the host that an endpoint brings is chosen per attempt; what it replaced is not told',
  },
];

const upstreams: readonly Explained[] = [
  {
    where: /^(upstream-behaviour|retries|host-retries): .*(reset|close)/,
    reason:
      'a reused connection that died before a byte of response is retried where the method may be repeated, once, without a policy asking for it',
  },
  {
    where: /^(upstream-behaviour|retries): .*half-/,
    field: /(\.status|\.flags|\.details)$/,
    reason:
      'a connection that ends in the middle of a response was terminated (UC, 503), which Envoy calls a protocol error (UPE, 502)',
  },
  {
    where: /^upstream-behaviour: bad-chunk/,
    field: /(\.body|\.bytesSent)$/,
    reason: 'what was read before the broken chunk has been forwarded already',
  },
  {
    where: /^(retries): /,
    field: /^response\[0\]\.header\.x-envoy-attempt-count$/,
    reason:
      'the attempt count is told in responses of the upstream; replies of the proxy have it in their log line',
  },
];

const grpc: readonly Explained[] = [
  {
    where: /^grpc-timeouts: (old-.*|not-read), .* hanging$/,
    field: /(grpc-status|grpcStatus)$/,
    reason:
      'a call that took too long is DEADLINE_EXCEEDED; Envoy says UNAVAILABLE, by which clients send again what may have been done',
  },
  {
    where: /^grpc-/,
    field: /^upstream\[\d\]\.header\.connection$/,
    reason: 'to HTTP/1 upstreams te is named in connection, for it is about one hop (RFC 9110 §10.1.4)',
  },
  {
    where: /^grpc-replies: upstream: half-body/,
    field: /^log\[0\]\.(flags|details)$/,
    reason: 'a gRPC response cut in the middle was terminated (UC), as any other',
  },
  {
    where: /^(grpc-retries: .*(asks for|at most one)|retries: .*asked for by the client|trust-.*: retries)/,
    reason:
      'callers on a listener inside the mesh may ask for retries; Envoy hears those whose x-forwarded-for is internal',
  },
  {
    where: /^grpc-retries: .*, status x$/,
    field: /^log\[0\]\.grpcStatus$/,
    reason: 'a status that is no number is Unknown, as clients take it',
  },
  {
    where: /^grpc-web: /,
    field: /^log\[\d\]\.grpcStatus$/,
    reason: 'the status of a gRPC-Web call is logged though it has left the trailers for the body',
  },
  {
    where: /^grpc-web: .*, an error without content$/,
    field: /^response\[0\]\.header\.grpc-status$/,
    reason: 'an error without content is told as a gRPC status too',
  },
  {
    where: /^grpc-web: .*, refused$/,
    field: /\.status$/,
    reason:
      "the proxy's own replies to gRPC-Web are trailers only with HTTP status 200, as to any gRPC client",
  },
  {
    where: /^grpc-web: .*, base64 cut short$/,
    field: /^response\[0\]\.header\.connection$/,
    reason: 'a request that came whole does not end its connection',
  },
];

export const explained: readonly Explained[] = [
  ...requestsThatMustNotPass,
  ...spelling,
  ...logs,
  ...trust,
  ...messages,
  ...upstreams,
  ...grpc,
];

export function explanationOf(difference: Difference): Explained | undefined {
  return explained.find(
    ({ where, field }) => where.test(difference.name) && (field?.test(difference.field) ?? true),
  );
}
