/**
 * What an HTTP/2 connection of ours announces and tolerates, on either side: Http2ProtocolOptions as the
 * codec wants it.
 *
 * Windows: a stream that nobody reads may hold its window and no more; the connection's window is given
 * back as octets arrive until `connectionWindowBytes` wait unread over all streams, so that one stalled
 * stream leaves its neighbours theirs. Sizes by measurement, 1 GB over loopback: with 64 KiB a stream it
 * costs twice the CPU, from 256 KiB on it costs the same, while what a slow reader can hold grows. 512 KiB
 * carry 50 MB/s over a round trip of 10 ms.
 */
import { defaultH2Limits, type H2Limits, type H2SessionOptions } from '@sluice/wire';

export interface H2Settings {
  readonly headerTableBytes: number;
  /** Downstream: what clients may open. Upstream: what we open at most on one connection. */
  readonly maxConcurrentStreams: number;
  readonly streamWindowBytes: number;
  readonly connectionWindowBytes: number;
  /** CONNECT and extended CONNECT (RFC 8441) are taken from clients. */
  readonly allowConnect: boolean;
  readonly keepalive: H2Keepalive | null;
  /** A malformed message ends its connection too, not only its stream. */
  readonly closesOnMalformed: boolean;
  readonly limits: H2Limits;
}

export interface H2Keepalive {
  /** Between PINGs; 0 = only after idleness. */
  readonly intervalMs: number;
  /** Without an answer for so long the connection is dead. */
  readonly timeoutMs: number;
  /** Of the interval, added at random. */
  readonly jitterPercent: number;
  /** A request on a connection that was quiet for so long is preceded by a PING; 0 = not. */
  readonly idleIntervalMs: number;
}

export const DEFAULT_STREAM_WINDOW_BYTES = 512 * 1024;
export const DEFAULT_CONNECTION_WINDOW_BYTES = 8 * 1024 * 1024;
/** Among workloads, as Envoy has it. */
const DEFAULT_MAX_STREAMS = 1024;
/**
 * From strangers: the least that RFC 9113 §6.5.2 recommends, and Envoy's advice for an edge. Each stream may hold
 * 64 KiB for a client that does not read.
 */
export const EDGE_MAX_STREAMS = 100;
/** RFC 9113's own; larger frames only delay the neighbours. */
const MAX_FRAME_BYTES = 16_384;

export const defaultH2Settings: H2Settings = {
  headerTableBytes: 4096,
  maxConcurrentStreams: DEFAULT_MAX_STREAMS,
  streamWindowBytes: DEFAULT_STREAM_WINDOW_BYTES,
  connectionWindowBytes: DEFAULT_CONNECTION_WINDOW_BYTES,
  allowConnect: false,
  keepalive: null,
  closesOnMalformed: false,
  limits: { ...defaultH2Limits, maxUnconsumedBytes: DEFAULT_CONNECTION_WINDOW_BYTES },
};

/** Made once per binding or cluster, not per connection. */
export function serverSessionOptions(
  settings: H2Settings,
  maxHeaderListBytes: number,
  maxHeaderCount: number,
): H2SessionOptions {
  return {
    role: 'server',
    localSettings: {
      headerTableSize: settings.headerTableBytes,
      maxConcurrentStreams: settings.maxConcurrentStreams,
      initialWindowBytes: settings.streamWindowBytes,
      maxFrameBytes: MAX_FRAME_BYTES,
      maxHeaderListBytes,
      enableConnectProtocol: settings.allowConnect,
    },
    connectionWindowBytes: settings.connectionWindowBytes,
    limits: { ...settings.limits, maxHeaderCount },
    maxEncoderTableBytes: settings.headerTableBytes,
  };
}

/** Response heads: as large as the HTTP/1 response parser takes them. */
export const MAX_RESPONSE_HEADERS_BYTES = 60 * 1024;
const MAX_RESPONSE_HEADER_COUNT = 100;

export function clientSessionOptions(settings: H2Settings): H2SessionOptions {
  return {
    role: 'client',
    localSettings: {
      headerTableSize: settings.headerTableBytes,
      maxConcurrentStreams: 0,
      initialWindowBytes: settings.streamWindowBytes,
      maxFrameBytes: MAX_FRAME_BYTES,
      maxHeaderListBytes: MAX_RESPONSE_HEADERS_BYTES,
      enableConnectProtocol: false,
    },
    connectionWindowBytes: settings.connectionWindowBytes,
    limits: { ...settings.limits, maxHeaderCount: MAX_RESPONSE_HEADER_COUNT },
    maxEncoderTableBytes: settings.headerTableBytes,
  };
}
