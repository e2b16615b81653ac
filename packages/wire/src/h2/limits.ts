/**
 * Bounds that keep one HTTP/2 peer from costing more than it pays for. Each has a counter in H2Stats.
 *
 * Where Envoy has such a bound the default is Envoy's. Exceeding one ends the session with
 * GOAWAY(ENHANCE_YOUR_CALM), unless the line says otherwise.
 */
export interface H2Limits {
  /** Fields of one header block, trailers too; more is a stream error. Envoy: max_headers_count. */
  readonly maxHeaderCount: number;
  /** CONTINUATION frames of one header block (CVE-2024-27316). */
  readonly maxContinuationFrames: number;
  /**
   * Streams opened before the reset rule applies (CVE-2023-44487, CVE-2025-8671): afterwards, of the streams
   * seen, fewer than half may have been reset early by the peer or for an error that the peer made.
   * Envoy: overload.premature_reset_total_stream_count.
   */
  readonly prematureResetStreamCount: number;
  /** A reset by the peer before this age, without a complete answer, is early. */
  readonly prematureResetAgeMs: number;
  /** DATA, HEADERS and CONTINUATION frames in a row without payload and without END_STREAM. Envoy: 1. */
  readonly maxConsecutiveEmptyFrames: number;
  /** PRIORITY frames, per stream opened. Envoy: 100. */
  readonly maxPriorityFramesPerStream: number;
  /** WINDOW_UPDATE frames, per DATA frame sent. Envoy: 10. */
  readonly maxWindowUpdatesPerDataFrame: number;
  /** PING frames at once, and how many more each second. Every one costs an answer. */
  readonly pingBurst: number;
  readonly pingsPerSecond: number;
  /** SETTINGS frames at once, and how many more each second. */
  readonly settingsBurst: number;
  readonly settingsPerSecond: number;
  /** Frames without effect (unknown types, frames of closed streams) at once, and how many more each second. */
  readonly ignoredFrameBurst: number;
  readonly ignoredFramesPerSecond: number;
  /** Frames written while the peer does not read. Envoy: 10000. */
  readonly maxOutboundFrames: number;
  /** PING and SETTINGS answers, RST_STREAM and WINDOW_UPDATE among them. Envoy: 1000. */
  readonly maxOutboundControlFrames: number;
  /** 1xx responses to one request (client role); more is a stream error. */
  readonly maxInformational: number;
  /** Octets received and not yet consumed, over all streams; beyond, the connection's window is withheld too. */
  readonly maxUnconsumedBytes: number;
  /** Octets queued on a stream from which `isWritable` is false. */
  readonly streamQueueBytes: number;
}

export const defaultH2Limits: H2Limits = {
  maxHeaderCount: 100,
  maxContinuationFrames: 64,
  prematureResetStreamCount: 500,
  prematureResetAgeMs: 1_000,
  maxConsecutiveEmptyFrames: 1,
  maxPriorityFramesPerStream: 100,
  maxWindowUpdatesPerDataFrame: 10,
  pingBurst: 1_000,
  pingsPerSecond: 1_000,
  settingsBurst: 100,
  settingsPerSecond: 10,
  ignoredFrameBurst: 1_000,
  ignoredFramesPerSecond: 1_000,
  maxOutboundFrames: 10_000,
  maxOutboundControlFrames: 1_000,
  maxInformational: 100,
  maxUnconsumedBytes: 8 * 1024 * 1024,
  streamQueueBytes: 64 * 1024,
};
