/**
 * What both halves of a session share: its streams, how they and it end, and what their owners send.
 */
import { HeaderList } from '../headers/header-list.ts';
import { DataSender, type DataSenderHost } from './data-sender.ts';
import { H2ErrorCode } from './error-code.ts';
import { FloodGuard } from './flood-guard.ts';
import { MAX_STREAM_ID } from './frame.ts';
import { FrameWriter } from './frame-writer.ts';
import { HeadWriter } from './head-writer.ts';
import { DEFAULT_TABLE_BYTES } from './hpack/decoder.ts';
import { Lingering, takePlace } from './lingering.ts';
import { ReceiveWindows } from './receive-windows.ts';
import type { H2Output, H2SessionOptions, H2SessionSink, H2Stats } from './session-types.ts';
import { PeerSettings } from './settings.ts';
import { emptyStats } from './stats.ts';
import { StreamTable } from './stream-table.ts';
import { takeStream, type StreamOwner, type StreamState } from './stream-state.ts';

/** Streams that a client opens before it knows the peer's limit (RFC 9113 §6.5.2 recommends no less than 100). */
const STREAMS_BEFORE_SETTINGS = 100;

export class SessionCore implements StreamOwner, DataSenderHost {
  readonly options: H2SessionOptions;
  readonly sink: H2SessionSink;
  readonly isServer: boolean;
  readonly stats: H2Stats = emptyStats();
  readonly frames: FrameWriter;
  readonly heads: HeadWriter;
  readonly sender: DataSender;
  readonly windows: ReceiveWindows;
  readonly guard: FloodGuard;
  readonly table = new StreamTable();
  readonly peer = new PeerSettings();
  readonly streamQueueBytes: number;
  nowMs: number;
  hasPeerSettings = false;
  isDead = false;
  isDraining = false;
  /** Server: what we promised to serve in our last GOAWAY; more is refused. */
  lastServedId = MAX_STREAM_ID;
  #hasToldDrained = false;
  #nextId = 1;
  /** Opened by our owner, their heads not yet sent: they have no id. */
  readonly #unsent: StreamState[] = [];
  readonly #lingering = new Lingering();

  constructor(options: H2SessionOptions, output: H2Output, sink: H2SessionSink, nowMs: number) {
    const { limits, localSettings } = options;
    this.options = options;
    this.sink = sink;
    this.isServer = options.role === 'server';
    this.nowMs = nowMs;
    this.streamQueueBytes = limits.streamQueueBytes;
    this.frames = new FrameWriter(output, limits, this.stats);
    this.heads = new HeadWriter(this.frames, options.maxEncoderTableBytes ?? DEFAULT_TABLE_BYTES);
    this.sender = new DataSender(this.frames, this);
    this.windows = new ReceiveWindows(
      this.frames,
      options.connectionWindowBytes,
      localSettings.initialWindowBytes,
      limits.maxUnconsumedBytes,
    );
    this.guard = new FloodGuard(limits, this.stats, nowMs);
  }

  /** Of streams that an owner knows. */
  get openStreamCount(): number {
    return this.table.open.size - this.#lingering.count + this.#unsent.length;
  }

  get isDrained(): boolean {
    const isFinal = !this.isServer || this.lastServedId !== MAX_STREAM_ID || this.isDead;
    return this.isDraining && isFinal && this.openStreamCount === 0;
  }

  get peerMaxConcurrentStreams(): number {
    return this.hasPeerSettings ? this.peer.maxConcurrentStreams : STREAMS_BEFORE_SETTINGS;
  }

  open(user: unknown): StreamState | null {
    if (this.isDead || this.isDraining || this.#nextId > MAX_STREAM_ID) return null;
    if (this.openStreamCount >= this.peerMaxConcurrentStreams) return null;
    const stream = takeStream(this);
    stream.user = user;
    this.#unsent.push(stream);
    this.stats.streamsOpened++;
    return stream;
  }

  /** A stream with an id: `id` is the next one of its side. */
  admit(stream: StreamState, id: number): void {
    stream.id = id;
    stream.openedAtMs = this.nowMs;
    stream.sendWindow = this.peer.initialWindowBytes;
    stream.receiveWindow = this.windows.initialBytes;
    this.table.add(stream);
  }

  writeRequestHead(
    stream: StreamState,
    method: string,
    scheme: string,
    authority: string,
    path: string,
    protocol: string,
    headers: HeaderList,
    isEnd: boolean,
  ): void {
    const at = this.#unsent.indexOf(stream);
    if (at < 0 || this.isServer) return;
    this.#unsent.splice(at, 1);
    this.admit(stream, this.#nextId);
    this.#nextId += 2;
    stream.hasSentHead = true;
    stream.requestMethod = method;
    const { maxFrameBytes } = this.peer;
    this.heads.request(stream.id, method, scheme, authority, path, protocol, headers, maxFrameBytes, isEnd);
    if (isEnd) this.localEnded(stream);
  }

  writeResponseHead(stream: StreamState, status: number, headers: HeaderList, isEnd: boolean): void {
    if (!this.isServer) return;
    if (status >= 200) stream.hasSentHead = true;
    this.heads.response(stream.id, status, headers, this.peer.maxFrameBytes, isEnd && status >= 200);
    if (isEnd && status >= 200) this.localEnded(stream);
  }

  writeData(stream: StreamState, data: Uint8Array, start: number, end: number, isEnd: boolean): void {
    this.sender.send(stream, data, start, end, isEnd);
  }

  writeEnd(stream: StreamState, trailers: HeaderList | null): void {
    if (stream.queue.byteCount > 0) {
      this.sender.endAfterQueue(stream, trailers === null ? null : copyOf(trailers));
    } else if (trailers !== null && trailers.count > 0) {
      this.writeTrailers(stream, trailers);
    } else {
      this.sender.send(stream, EMPTY, 0, 0, true);
    }
  }

  writeTrailers(stream: StreamState, trailers: HeaderList): void {
    this.heads.trailers(stream.id, trailers, this.peer.maxFrameBytes);
    this.localEnded(stream);
  }

  becameWritable(stream: StreamState): void {
    this.sink.onWritable(stream);
  }

  dataConsumed(stream: StreamState, byteCount: number): void {
    this.windows.consumed(stream, byteCount);
  }

  resetStream(stream: StreamState, code: number): void {
    const isAnswered = stream.isLocalEnded && !stream.endsAfterQueue && !stream.isRemoteEnded;
    if (code === H2ErrorCode.NO_ERROR && this.isServer && isAnswered) return this.#linger(stream);
    if (stream.id !== 0) this.frames.resetStream(stream.id, code);
    this.close(stream, 'reset-by-us');
  }

  /** The client has gone on beyond what it was allowed, or there are too many such streams. */
  endLingering(bare: StreamState): void {
    this.frames.resetStream(bare.id, H2ErrorCode.NO_ERROR);
    this.close(bare, 'reset-by-us');
  }

  #linger(stream: StreamState): void {
    const bare = takeStream(this);
    takePlace(bare, stream);
    stream.isClosed = true;
    this.windows.closed(stream);
    this.table.replace(stream, bare);
    const oldest = this.#lingering.add(bare);
    if (oldest !== undefined) this.endLingering(oldest);
    this.checkDrained();
  }

  streamReleased(stream: StreamState): void {
    if (stream.isClosed) this.table.released(stream);
  }

  localEnded(stream: StreamState): void {
    stream.isLocalEnded = true;
    if (stream.isRemoteEnded) this.close(stream, 'ended');
  }

  /** The peer's END_STREAM has been told to the owner, who may have ended the stream by now. */
  remoteEnded(stream: StreamState): void {
    if (!stream.isClosed && stream.isLocalEnded && !stream.endsAfterQueue) this.close(stream, 'ended');
  }

  /** Takes the stream out of the session. The owner is not told. */
  close(stream: StreamState, how: 'ended' | 'reset-by-peer' | 'reset-by-us'): void {
    stream.isClosed = true;
    if (stream.isLingering) this.#lingering.remove(stream);
    this.sender.forget(stream);
    this.windows.closed(stream);
    if (stream.id === 0) {
      const at = this.#unsent.indexOf(stream);
      if (at >= 0) this.#unsent.splice(at, 1);
      if (stream.isReleased) this.table.released(stream);
    } else {
      this.table.closed(stream, how);
    }
    this.checkDrained();
  }

  /** The stream's owner learns that it is gone, if it has one. */
  tellReset(stream: StreamState, code: number, isByPeer: boolean, isUnprocessed: boolean): void {
    if (!stream.isLingering) this.sink.onReset(stream, code, isByPeer, isUnprocessed);
  }

  /** A stream error (RFC 9113 §5.4.2) of the peer's making. */
  streamError(id: number, stream: StreamState | undefined, code: H2ErrorCode): void {
    if (this.isDead) return;
    this.stats.streamErrors++;
    this.frames.resetStream(id, code);
    if (stream !== undefined) {
      this.close(stream, 'reset-by-us');
      this.tellReset(stream, code, false, false);
    } else {
      this.table.remember(id, 'reset-by-us');
    }
    if (this.isServer && this.guard.provokedReset())
      this.fail(H2ErrorCode.ENHANCE_YOUR_CALM, 'too many streams reset for errors of the peer');
  }

  /** A connection error (§5.4.1): GOAWAY, and nothing more is read or written. */
  fail(code: H2ErrorCode, detail: string): void {
    if (this.isDead) return;
    this.isDead = true;
    this.frames.goAway(this.isServer ? this.table.lastId : 0, code);
    this.endAll(code, false);
    this.sink.onFailure(code, detail);
  }

  /** Every open stream ends now. One that was never sent was never processed. */
  endAll(code: number, isByPeer: boolean): void {
    for (const stream of [...this.#unsent, ...this.table.open.values()]) {
      if (stream.isClosed) continue;
      const wasSent = stream.id !== 0;
      this.close(stream, isByPeer ? 'reset-by-peer' : 'reset-by-us');
      this.tellReset(stream, code, isByPeer, !wasSent);
    }
  }

  /** The peer processes nothing above this id (§6.8): those streams may be tried elsewhere. */
  endAbove(lastId: number): void {
    for (const stream of [...this.#unsent, ...this.table.open.values()]) {
      if (stream.isClosed || (stream.id !== 0 && stream.id <= lastId)) continue;
      this.close(stream, 'reset-by-peer');
      this.tellReset(stream, H2ErrorCode.REFUSED_STREAM, true, true);
    }
  }

  checkDrained(): void {
    if (this.#hasToldDrained || !this.isDrained || this.isDead) return;
    this.#hasToldDrained = true;
    this.sink.onDrained();
  }

  /** A peer that makes us write and does not read. */
  checkFlood(): void {
    if (this.frames.isFlooded && !this.isDead)
      this.fail(H2ErrorCode.ENHANCE_YOUR_CALM, 'too many frames wait for a peer that does not read');
  }
}

const EMPTY = new Uint8Array(0);

function copyOf(list: HeaderList): HeaderList | null {
  if (list.count === 0) return null;
  const copy = new HeaderList();
  list.copyTo(copy);
  return copy;
}
