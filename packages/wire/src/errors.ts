/**
 * The codes of everything a peer can do wrong on the wire.
 *
 * Codecs report these as events and never throw on a peer's octets. `httpStatus` is what a server
 * answers a downstream peer; the same mistake made by an upstream is a 502 whatever the entry says.
 */
import { defineErrors, type CodeOf } from '@sluice/runtime';

const refuse =
  'The peer sent invalid HTTP/1.1. Find the client (or upstream) in the access log and correct it; nothing was forwarded.';
const smuggling =
  'Ambiguous message length, as in request smuggling. Nothing was forwarded; find out who sends it.';
const limit =
  'The peer exceeded a limit. Raise the limit of the listener or cluster if the traffic is legitimate.';

export const wireErrors = defineErrors('wire', [
  h1('h1-request-line-invalid', 400, 'The request line is not method, target and version.', refuse),
  h1('h1-method-invalid', 400, 'The method is not a token.', refuse),
  h1('h1-target-invalid', 400, 'The request target has an invalid form or invalid characters.', refuse),
  h1('h1-version-invalid', 400, 'The protocol version is malformed or missing.', refuse),
  h1('h1-version-unsupported', 505, 'The protocol version is neither HTTP/1.0 nor HTTP/1.1.', refuse),
  h1('h1-request-line-too-long', 414, 'The request line is longer than allowed.', limit),
  h1(
    'h1-header-name-invalid',
    400,
    'A field name is empty or not a token, or whitespace stands before the colon.',
    refuse,
  ),
  h1('h1-header-value-invalid', 400, 'A field value holds NUL or another control character.', refuse),
  h1('h1-line-ending-invalid', 400, 'A line ends in a bare CR or a bare LF.', smuggling),
  h1('h1-obs-fold', 400, 'A header line is folded.', smuggling),
  h1('h1-headers-too-large', 431, 'The header section is larger than allowed.', limit),
  h1('h1-too-many-headers', 431, 'The header section has more fields than allowed.', limit),
  h1('h1-host-missing', 400, 'An HTTP/1.1 request has no Host.', refuse),
  h1('h1-host-repeated', 400, 'The request has more than one Host.', smuggling),
  h1('h1-host-invalid', 400, 'Host is not a host with an optional port.', refuse),
  h1('h1-content-length-invalid', 400, 'Content-Length is not a plain decimal number in range.', smuggling),
  h1('h1-content-length-repeated', 400, 'Content-Length occurs more than once.', smuggling),
  h1('h1-length-and-coding', 400, 'Content-Length and Transfer-Encoding stand in one message.', smuggling),
  h1(
    'h1-transfer-encoding-invalid',
    400,
    'Transfer-Encoding does not end in exactly one chunked, or stands in HTTP/1.0.',
    smuggling,
  ),
  h1('h1-transfer-coding-unsupported', 501, 'A transfer coding other than chunked is used.', refuse),
  h1('h1-expectation-unsupported', 417, 'Expect holds something other than 100-continue.', refuse),
  h1('h1-connect-with-content', 400, 'A CONNECT request announces content.', smuggling),
  h1('h1-chunk-size-invalid', 400, 'A chunk size is not hexadecimal or too large.', smuggling),
  h1('h1-chunk-extension-invalid', 400, 'A chunk extension is malformed.', smuggling),
  h1(
    'h1-chunk-line-too-long',
    400,
    'A chunk-size line, or the chunk extensions of a body, are longer than allowed.',
    limit,
  ),
  h1('h1-chunk-unterminated', 400, 'Chunk data is not followed by CRLF.', smuggling),
  h1('h1-trailers-too-large', 431, 'The trailer section is larger than allowed.', limit),
  h1('h1-trailer-forbidden', 400, 'A trailer field would change framing or routing.', smuggling),
  h1(
    'h1-truncated',
    400,
    'The connection ended inside a message.',
    'The peer closed too early; look for its crash or timeout.',
  ),
  h1('h1-status-line-invalid', 502, 'The status line is not version, three digits and a reason.', refuse),
  h1('h1-status-line-too-long', 502, 'The status line is longer than allowed.', limit),
  h1('h1-response-unexpected', 502, 'A response arrived that no request asked for.', refuse),
  h1('h1-upgrade-unexpected', 502, 'The upstream switched protocols without being asked.', refuse),
  h1('h1-too-many-informational', 502, 'The upstream sent more interim responses than allowed.', limit),
  grpc(
    'grpc-message-too-large',
    8,
    'A gRPC message is larger than allowed.',
    'Raise the message limit if the message is legitimate.',
  ),
  grpc(
    'grpc-compression-unsupported',
    12,
    'A gRPC message is compressed although identity was agreed.',
    'Switch compression off at the peer.',
  ),
  grpc(
    'grpc-framing-invalid',
    13,
    'A gRPC message has an invalid prefix or ends too early.',
    'The peer does not speak gRPC on this path, or crashed.',
  ),
]);

export type WireErrorCode = CodeOf<typeof wireErrors>;

function h1<const Code extends string>(code: Code, httpStatus: number, meaning: string, action: string) {
  const responseFlag = code === 'h1-truncated' ? 'DC' : httpStatus === 502 ? 'UPE' : 'DPE';
  return {
    code,
    httpStatus,
    grpcStatus: httpStatus === 501 ? 12 : httpStatus >= 500 ? 14 : 13,
    responseFlag,
    meaning,
    action,
  };
}

function grpc<const Code extends string>(code: Code, grpcStatus: number, meaning: string, action: string) {
  return { code, httpStatus: 200, grpcStatus, responseFlag: 'DPE', meaning, action };
}
