/**
 * gRPC-Web to gRPC (`envoy.filters.http.grpc_web`): what a browser can send becomes a gRPC call, and the
 * trailers of its reply become the last frame of the body.
 *
 *   request   content type, `te: trailers`; text format: base64 → octets, in groups as they come
 *   response  content type; text format: octets → base64, padded where a message ends; trailers → frame 0x80
 *
 * A response that is no gRPC is told as `grpc-status` and `grpc-message` in the head, as Envoy does. Nothing
 * of a body is kept beyond a group of base64 and the beginning of such an error page.
 */
import {
  encodeGrpcMessage,
  frameGrpcWebTrailers,
  GrpcMessageCounter,
  grpcStatusOfHttp,
  GrpcWebTextDecoder,
  GrpcWebTextEncoder,
  H,
  type HeaderList,
} from '@sluice/wire';
import { isGrpcRequest } from '../../http/grpc-request.ts';
import { localReply } from '../../http/reply.ts';
import { grpcStatusIn } from '../../telemetry/grpc-status.ts';
import type { BodyChunk, FilterVerdict, HttpFilter, HttpFilterContext, ResponseView } from '../filter.ts';
import { grpcWebFormat } from './web-format.ts';

/** Of an error page that becomes a `grpc-message`: enough to read, and fit for any client's header limit. */
const MAX_MESSAGE_BYTES = 4096;

const EMPTY = new Uint8Array(0);
const decoder = new TextDecoder();

export class GrpcWebFilter implements HttpFilter {
  readonly isReusable = true;
  #isWeb = false;
  #isTextRequest = false;
  #isTextResponse = false;
  #isErrorPage = false;
  readonly #decoder = new GrpcWebTextDecoder();
  readonly #encoder = new GrpcWebTextEncoder();
  readonly #messages = new GrpcMessageCounter();

  onRequestHead(x: HttpFilterContext): FilterVerdict {
    const headers = x.requestHeaders;
    const format = grpcWebFormat(headers, H.contentType);
    if (format === null) {
      x.leave();
      return 'continue';
    }
    this.#isWeb = true;
    this.#isTextRequest = format === 'text';
    this.#isTextResponse = grpcWebFormat(headers, H.accept) === 'text';
    // The length was that of one HTTP/1 body; what goes on is a stream of messages.
    x.rewriteBody('request');
    headers.remove(H.contentLength);
    headers.set(H.contentType, 'application/grpc');
    headers.set(H.te, 'trailers');
    if (!headers.has(H.grpcAcceptEncoding)) headers.append(H.grpcAcceptEncoding, 'identity');
    return 'continue';
  }

  onRequestData(x: HttpFilterContext, chunk: BodyChunk, isEnd: boolean): FilterVerdict {
    if (!this.#isTextRequest) return 'continue';
    const octets = this.#decoder.decode(chunk.data, chunk.start, chunk.end);
    if (octets === null) return this.#refuse(x, 'grpc_base_64_decode_failed');
    chunk.replace(octets);
    if (!isEnd || this.#decoder.isComplete) return 'continue';
    return this.#refuse(x, 'grpc_base_64_decode_failed_bad_size');
  }

  onResponseHead(x: HttpFilterContext, isEnd: boolean): FilterVerdict {
    if (!this.#isWeb) return 'continue';
    const response = x.response!;
    const isGrpc = isGrpcReply(response, isEnd);
    x.rewriteBody('response');
    response.headers.remove(H.contentLength);
    response.headers.set(H.contentType, this.#contentType);
    if (isGrpc) return 'continue';
    if (isEnd) {
      tellError(response, '');
      return 'continue';
    }
    this.#isErrorPage = true;
    x.bufferBody('response', MAX_MESSAGE_BYTES, 'cut');
    return 'pause';
  }

  onResponseData(x: HttpFilterContext, chunk: BodyChunk, isEnd: boolean): FilterVerdict {
    if (this.#isErrorPage) {
      tellError(x.response!, decoder.decode(chunk.data.subarray(chunk.start, chunk.end)));
      chunk.replace(EMPTY);
    } else if (this.#isTextResponse) {
      this.#messages.scan(chunk.data, chunk.start, chunk.end);
      const flush = isEnd || this.#messages.isAtBoundary;
      chunk.replace(this.#encoder.encode(chunk.data, chunk.start, chunk.end, flush));
    }
    return 'continue';
  }

  onResponseTrailers(x: HttpFilterContext, trailers: HeaderList): FilterVerdict {
    if (!this.#isWeb) return 'continue';
    if (!this.#isErrorPage) {
      const status = grpcStatusIn(trailers);
      if (status >= 0) x.record.grpcStatus = status;
      const frame = frameGrpcWebTrailers(trailers);
      x.appendBody(this.#isTextResponse ? this.#encoder.encode(frame, 0, frame.length, true) : frame);
    }
    trailers.reset();
    return 'continue';
  }

  onEnd(): void {
    if (!this.#isWeb) return;
    this.#isWeb = false;
    this.#isTextRequest = false;
    this.#isTextResponse = false;
    this.#isErrorPage = false;
    this.#decoder.reset();
    this.#encoder.reset();
    this.#messages.reset();
  }

  get #contentType(): string {
    return this.#isTextResponse ? 'application/grpc-web-text+proto' : 'application/grpc-web+proto';
  }

  /** Answers of this filter do not pass its own response side, so they are gRPC-Web already. */
  #refuse(x: HttpFilterContext, responseCodeDetails: string): FilterVerdict {
    // A reply in terms of gRPC is made for requests that speak it; this one did not.
    x.requestHeaders.set(H.contentType, 'application/grpc-web-text');
    x.record.isGrpc = true;
    const reply = localReply('grpc-web-text-invalid', responseCodeDetails, {
      body: { bytes: EMPTY, contentType: '' },
    });
    x.answer({
      ...reply,
      headers: [
        ['content-type', this.#contentType],
        ['grpc-status', String(reply.grpcStatus)],
        ['grpc-message', encodeGrpcMessage(reply.detail)],
      ],
    });
    return 'answered';
  }
}

/** Without a body only the status in the head tells; an upstream may speak gRPC-Web itself. */
function isGrpcReply({ status, headers }: ResponseView, isEnd: boolean): boolean {
  if (isEnd) return headers.has(H.grpcStatus);
  return status === 200 && (isGrpcRequest(headers) || grpcWebFormat(headers, H.contentType) === 'binary');
}

/** A reply that has no gRPC status gets the one that stands for its HTTP status. */
function tellError({ status, headers }: ResponseView, message: string): void {
  headers.set(H.grpcStatus, String(grpcStatusOfHttp(status)));
  if (message !== '') headers.set(H.grpcMessage, encodeGrpcMessage(message));
}
