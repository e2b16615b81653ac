/**
 * What an HTTP/2 session and its owner say to each other.
 *
 * The session reads octets and tells the sink; it writes octets into the output. It knows no socket and
 * no clock: the owner passes time in, asks for stalled streams, and closes the connection.
 */
import type { H2ErrorCode } from './error-code.ts';
import type { H2Limits } from './limits.ts';
import type { HeaderList } from '../headers/header-list.ts';
import type { H2Stream } from './stream-types.ts';

/** Where frames are written: the proxy's Connection satisfies it structurally. */
export interface H2Output {
  /** Room for `byteCount` octets from `writeOffset` of the returned buffer; then `commit(end)`. */
  reserve(byteCount: number): Uint8Array;
  readonly writeOffset: number;
  commit(end: number): void;
  /** Sends [start, end) of `data`, which does not change afterwards. */
  write(data: Uint8Array, start: number, end: number): void;
  /** False above the high-water mark: DATA then waits in its stream until `session.onOutputDrain()`. */
  readonly isWritable: boolean;
}

/** What we announce in our SETTINGS. */
export interface H2LocalSettings {
  /** HPACK table that the peer may use towards us. */
  readonly headerTableSize: number;
  /** Streams that the peer may have open (server role). */
  readonly maxConcurrentStreams: number;
  readonly initialWindowBytes: number;
  readonly maxFrameBytes: number;
  /** SETTINGS_MAX_HEADER_LIST_SIZE, enforced: name + value + 32 a field (RFC 9113 §6.5.2). */
  readonly maxHeaderListBytes: number;
  /** Extended CONNECT (RFC 8441), server role. */
  readonly enableConnectProtocol: boolean;
}

export interface H2SessionOptions {
  readonly role: 'server' | 'client';
  readonly localSettings: H2LocalSettings;
  /** The receive window of the whole connection; at least 65535. */
  readonly connectionWindowBytes: number;
  readonly limits: H2Limits;
  /** HPACK table that we use at most towards the peer, whatever it offers; 4096 where absent. */
  readonly maxEncoderTableBytes?: number;
}

/**
 * Events, called from within the session's own methods and never from a stream's. After onReset, or once both directions have ended, nothing more is
 * told about a stream. The sink may call any method of session and streams from within.
 */
export interface H2SessionSink {
  /**
   * Server: a request; client: the final response. `stream.headers` and `stream.pseudo` hold it until
   * the stream is released.
   */
  onHead(stream: H2Stream, isEnd: boolean): void;
  /**
   * Server: a well-formed request whose header list is above `maxHeaderListBytes` or `maxHeaderCount`; its
   * fields are not kept. The owner answers 431 or resets. A client resets such a response by itself.
   */
  onHeadTooLarge(stream: H2Stream, isEnd: boolean): void;
  /**
   * Server: a request whose head is malformed, for a log. Its stream is reset and nothing of it kept.
   * `isField`: one of its fields is wrong, rather than what they mean together.
   */
  onMalformed?(detail: string, isField: boolean): void;
  /** Client: a 1xx response; `stream.headers` hold it until the next head. */
  onInformational(stream: H2Stream): void;
  /** Octets of content. The owner says `stream.consumed(n)` when it is done with them; `buf` is never reused by the session. */
  onData(stream: H2Stream, buf: Uint8Array, start: number, end: number): void;
  /** The peer's message is complete, after onHead or onData with isEnd false. `trailers` is null if there are none. */
  onEnd(stream: H2Stream, trailers: HeaderList | null): void;
  /** The stream's queue has fallen to half of its cap after `isWritable` was false. */
  onWritable(stream: H2Stream): void;
  /**
   * The stream ended before its time: by the peer's RST_STREAM or GOAWAY, or by us for the peer's error.
   * `isProvablyUnprocessed`: REFUSED_STREAM, or an id above the last of GOAWAY.
   */
  onReset(stream: H2Stream, code: number, isByPeer: boolean, isProvablyUnprocessed: boolean): void;
  /** The peer opens nothing more to us nor accepts anything more from us. Streams above were reset before this call. */
  onGoAway(lastStreamId: number, code: number): void;
  /** The peer's SETTINGS changed; `session.peerMaxConcurrentStreams` holds what it allows. */
  onSettings(): void;
  onPong(payload: number): void;
  /** The session wrote GOAWAY and is dead; open streams were reset before this call. The owner flushes and closes. */
  onFailure(code: H2ErrorCode, detail: string): void;
  /** Draining (by either side), and the last stream has ended. */
  onDrained(): void;
}

/** Counters of one session since its start. */
export interface H2Stats {
  streamsOpened: number;
  framesReceived: number;
  framesSent: number;
  dataFramesSent: number;
  dataBytesReceived: number;
  dataBytesSent: number;
  resetsReceived: number;
  resetsSent: number;
  /** Streams reset for a malformed message or another stream error of the peer. */
  streamErrors: number;
  headerListsTooLarge: number;
  /** Fields that may not stand in trailers (RFC 9110 §6.5.1), left out. */
  trailerFieldsDropped: number;
  refusedStreams: number;
  /** One of these is 1 when the session ended for it. */
  prematureResetFlood: number;
  provokedResetFlood: number;
  continuationFlood: number;
  emptyFrameFlood: number;
  pingFlood: number;
  settingsFlood: number;
  priorityFlood: number;
  windowUpdateFlood: number;
  ignoredFrameFlood: number;
  outboundFlood: number;
  outboundControlFlood: number;
}
