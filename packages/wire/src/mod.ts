/** Codecs without I/O: octets and messages in, events and octets out. */
export { wireErrors } from './errors.ts';
export type { WireErrorCode } from './errors.ts';
export {
  bytesEqual,
  decodeLatin1,
  isFieldValue,
  isToken,
  latin1Bytes,
  toByteString,
  writeDecimal,
  writeLatin1,
} from './headers/bytes.ts';
export type { ByteRange } from './headers/bytes.ts';
export {
  DEFAULT_MAX_GRPC_MESSAGE_BYTES,
  GRPC_PREFIX_BYTES,
  GrpcMessageDecoder,
  frameGrpcMessage,
  writeGrpcPrefix,
} from './grpc/message-framing.ts';
export type { GrpcMessageSink } from './grpc/message-framing.ts';
export { GrpcMessageCounter } from './grpc/message-counter.ts';
export { GrpcWebTextDecoder, GrpcWebTextEncoder } from './grpc/web-text.ts';
export { GRPC_WEB_TRAILERS_FLAG, frameGrpcWebTrailers } from './grpc/web-trailers.ts';
export {
  GrpcStatus,
  decodeGrpcMessage,
  encodeGrpcMessage,
  formatGrpcTimeout,
  grpcStatusName,
  grpcStatusOfHttp,
  httpStatusOfGrpc,
  parseGrpcStatus,
  parseGrpcTimeoutMs,
  readGrpcTimeoutMs,
} from './grpc/status.ts';
export type {
  GrpcClientStream,
  GrpcHandler,
  GrpcHandlers,
  GrpcMetadata,
  GrpcPeer,
  GrpcServerStream,
  GrpcServerStreamSink,
  GrpcStreamSink,
  GrpcStreamTransport,
} from './grpc/transport.ts';
export { HeaderList, MAX_EDIT_BYTES, MAX_LIST_ENTRIES } from './headers/header-list.ts';
export { H, findNameId, internName, lookupNameId, nameOf } from './headers/names.ts';
export type { NameId } from './headers/names.ts';
export { defaultH1Limits } from './h1/limits.ts';
export type { H1Limits } from './h1/limits.ts';
export type { BodyKind, BodySink } from './h1/message-body.ts';
export type { H1ParseError } from './h1/parse-error.ts';
export { RequestHead } from './h1/request-head.ts';
export type { RequestBodyKind, TargetForm } from './h1/request-head.ts';
export { H1RequestParser } from './h1/request-parser.ts';
export type { H1RequestSink } from './h1/request-parser.ts';
export { ResponseHead } from './h1/response-head.ts';
export type { ResponseBodyKind } from './h1/response-head.ts';
export { H1ResponseParser } from './h1/response-parser.ts';
export type { H1ResponseSink } from './h1/response-parser.ts';
export { writeChunkEnd, writeChunkHeader, writeLastChunk } from './h1/write-chunk.ts';
export type { WriteConnection } from './h1/write-fields.ts';
export { reasonPhrase, writeRequestHead, writeResponseHead } from './h1/write-head.ts';
export type { RequestWriteOptions, ResponseWriteOptions } from './h1/write-head.ts';
export { GrpcClientConnection } from './grpc/h2-client.ts';
export type { GrpcClientOptions, GrpcClientOwner } from './grpc/h2-client.ts';
export { GrpcServerConnection } from './grpc/h2-server.ts';
export type { GrpcServerLimits, GrpcServerOwner } from './grpc/h2-server.ts';
export { H2ErrorCode, h2ErrorName } from './h2/error-code.ts';
export { defaultH2Limits } from './h2/limits.ts';
export type { H2Limits } from './h2/limits.ts';
export type {
  H2LocalSettings,
  H2Output,
  H2SessionOptions,
  H2SessionSink,
  H2Stats,
} from './h2/session-types.ts';
export { H2Session } from './h2/session.ts';
export type { H2Pseudo, H2Stream } from './h2/stream-types.ts';
export { MAX_PROXY_V1_BYTES, PP2, PROXY_V2_FIXED_BYTES } from './proxy-protocol/proxy-header.ts';
export type { ProxyEndpoint, ProxyHeader, ProxyTlv } from './proxy-protocol/proxy-header.ts';
export { DEFAULT_MAX_PROXY_HEADER_BYTES, readProxyHeader } from './proxy-protocol/read-proxy-header.ts';
export type { ProxyHeaderRead } from './proxy-protocol/read-proxy-header.ts';
export { readProxySsl } from './proxy-protocol/ssl-info.ts';
export type { ProxySslInfo } from './proxy-protocol/ssl-info.ts';
export { writeProxyV1, writeProxyV2 } from './proxy-protocol/write-proxy-header.ts';
export type { WriteV2Options } from './proxy-protocol/write-proxy-header.ts';
