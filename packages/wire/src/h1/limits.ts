/** Limits of the HTTP/1 parsers. A peer that exceeds one gets the status named beside it. */

export interface H1Limits {
  /** Request line without its CRLF; beyond it 414. Also the status line of a response. */
  readonly maxStartLineBytes: number;
  /** Field lines of a head with their CRLFs; beyond it 431. */
  readonly maxHeaderBytes: number;
  /** Fields of a head; beyond it 431. */
  readonly maxHeaderCount: number;
  /** One chunk-size line with its extensions; beyond it 400. */
  readonly maxChunkLineBytes: number;
  /** Chunk extensions of a whole body: a peer could otherwise send kilobytes per octet of content; beyond it 400. */
  readonly maxChunkExtensionBytes: number;
  /** Field lines of the trailer section; beyond it 431. */
  readonly maxTrailerBytes: number;
  /** Fields of the trailer section; beyond it 431. */
  readonly maxTrailerCount: number;
  /** Interim (1xx) responses before one final response; beyond it the response is refused. */
  readonly maxInformationalResponses: number;
}

/**
 * Envoy's defaults where it has one (60 KiB of headers, 100 fields, `max_request_headers_kb`,
 * `max_headers_count`); Apache's and nginx's 8190 octets of request line; Go's 16 KiB of chunk extensions.
 */
export const defaultH1Limits: H1Limits = {
  maxStartLineBytes: 8190,
  maxHeaderBytes: 60 * 1024,
  maxHeaderCount: 100,
  maxChunkLineBytes: 1024,
  maxChunkExtensionBytes: 16 * 1024,
  maxTrailerBytes: 16 * 1024,
  maxTrailerCount: 64,
  maxInformationalResponses: 16,
};
