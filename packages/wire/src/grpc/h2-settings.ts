/**
 * How our own gRPC connections (ADS, SDS, signing) use HTTP/2: few streams, large messages from the server,
 * and every message consumed on receipt. Traffic of the mesh has settings of its own.
 */
import { defaultH2Limits } from '../h2/limits.ts';
import type { H2SessionOptions } from '../h2/session-types.ts';

/** A push of a large mesh is megabytes: it should not wait a round trip every 64 KiB. */
const STREAM_WINDOW_BYTES = 1024 * 1024;
const CONNECTION_WINDOW_BYTES = 4 * STREAM_WINDOW_BYTES;
const HEADER_TABLE_BYTES = 4096;
const MAX_FRAME_BYTES = 16_384;
/** A bearer token and a certificate chain in metadata fit. */
const MAX_HEADER_LIST_BYTES = 64 * 1024;

export function grpcSessionOptions(
  role: 'client' | 'server',
  maxConcurrentStreams: number,
): H2SessionOptions {
  return {
    role,
    localSettings: {
      headerTableSize: HEADER_TABLE_BYTES,
      maxConcurrentStreams,
      initialWindowBytes: STREAM_WINDOW_BYTES,
      maxFrameBytes: MAX_FRAME_BYTES,
      maxHeaderListBytes: MAX_HEADER_LIST_BYTES,
      enableConnectProtocol: false,
    },
    connectionWindowBytes: CONNECTION_WINDOW_BYTES,
    limits: defaultH2Limits,
  };
}
