/**
 * Messages from HEADERS, CONTINUATION and DATA (RFC 9113 §8): which stream they belong to, in which state it
 * may take them, and what its owner is told.
 *
 * A block is decoded even where its stream refuses it, since the HPACK table depends on it.
 */
import { HeaderList } from '../headers/header-list.ts';
import { H2ErrorCode } from './error-code.ts';
import { FrameFlag, MIN_MAX_FRAME_BYTES, readUint31 } from './frame.ts';
import { HeadCollector, type BlockKind } from './head-collector.ts';
import { HeaderBlocks } from './header-blocks.ts';
import { HpackDecoder } from './hpack/decoder.ts';
import { PseudoFields } from './pseudo.ts';
import type { SessionCore } from './session-core.ts';
import { giveStream, takeStream, type StreamState } from './stream-state.ts';

const {
  PROTOCOL_ERROR,
  COMPRESSION_ERROR,
  FLOW_CONTROL_ERROR,
  STREAM_CLOSED,
  REFUSED_STREAM,
  ENHANCE_YOUR_CALM,
} = H2ErrorCode;
/** Dependency and weight that HEADERS may begin with (§6.2). */
const PRIORITY_BYTES = 5;

/** What discarded blocks are decoded into: nothing is put there. */
const nothing = new HeaderList();
const noPseudo = new PseudoFields();

export class MessageReader {
  readonly #core: SessionCore;
  readonly #decoder = new HpackDecoder();
  readonly #collector: HeadCollector;
  readonly #blocks: HeaderBlocks;
  /** Of the DATA frame under way; null if it is discarded. */
  #dataStream: StreamState | null = null;
  #dataStreamId = 0;
  #isDataEnd = false;
  #dataOctets = 0;

  constructor(core: SessionCore) {
    const { localSettings, limits, role } = core.options;
    this.#core = core;
    const takesProtocol = role === 'server' && localSettings.enableConnectProtocol;
    this.#collector = new HeadCollector(
      localSettings.maxHeaderListBytes,
      limits.maxHeaderCount,
      takesProtocol,
    );
    // The list counts more than its octets as plain literals, so a larger block is a larger list.
    const maxBlockBytes = localSettings.maxHeaderListBytes + MIN_MAX_FRAME_BYTES;
    this.#blocks = new HeaderBlocks(maxBlockBytes, limits.maxContinuationFrames);
  }

  /** Stream whose header block is under way; 0 if none is. */
  get pendingBlockId(): number {
    return this.#blocks.streamId;
  }

  setTableLimit(bytes: number): void {
    this.#decoder.setLimit(bytes);
  }

  /** §5.1: never used by the side that it belongs to. Even ids belong to servers, and we push nothing. */
  isIdle(streamId: number): boolean {
    return streamId % 2 === 0 || streamId > this.#core.table.lastId;
  }

  headers(streamId: number, flags: number, buf: Uint8Array, from: number, to: number): void {
    let start = from;
    let end = to;
    let dependsOnItself = false;
    if ((flags & FrameFlag.PADDED) !== 0) {
      if (start >= end) return this.#fail(PROTOCOL_ERROR, 'padding is longer than its frame');
      end -= buf[start++]!;
    }
    if ((flags & FrameFlag.PRIORITY) !== 0) {
      dependsOnItself = end - start >= PRIORITY_BYTES && readUint31(buf, start) === streamId;
      start += PRIORITY_BYTES;
    }
    if (start > end) return this.#fail(PROTOCOL_ERROR, 'padding is longer than its frame');
    const isEnd = (flags & FrameFlag.END_STREAM) !== 0;
    if (this.#core.guard.contentFrame(start === end && !isEnd)) return this.#failFlood('empty frames');
    if ((flags & FrameFlag.END_HEADERS) !== 0) this.#block(streamId, isEnd, dependsOnItself, buf, start, end);
    else if (!this.#blocks.begin(streamId, isEnd, dependsOnItself, buf, start, end)) this.#failContinuation();
  }

  continuation(flags: number, buf: Uint8Array, start: number, end: number): void {
    const isLast = (flags & FrameFlag.END_HEADERS) !== 0;
    if (this.#core.guard.contentFrame(start === end && !isLast)) return this.#failFlood('empty frames');
    const blocks = this.#blocks;
    if (!blocks.add(buf, start, end)) return this.#failContinuation();
    if (!isLast) return;
    const { streamId, isEndStream, dependsOnItself } = blocks;
    const block = blocks.take();
    this.#block(streamId, isEndStream, dependsOnItself, block, 0, block.length);
  }

  beginData(streamId: number, flags: number, length: number): void {
    const core = this.#core;
    this.#dataStream = null;
    this.#dataStreamId = streamId;
    this.#dataOctets = 0;
    this.#isDataEnd = (flags & FrameFlag.END_STREAM) !== 0;
    if (!core.windows.spend(length)) return this.#fail(FLOW_CONTROL_ERROR, 'connection window exceeded');
    const stream = core.table.open.get(streamId);
    if (stream === undefined) {
      this.#onClosedStream(streamId);
    } else if (stream.isRemoteEnded) {
      core.streamError(streamId, stream, STREAM_CLOSED);
    } else if (!stream.hasHead) {
      core.streamError(streamId, stream, PROTOCOL_ERROR);
    } else if (!core.windows.spendOf(stream, length)) {
      core.streamError(streamId, stream, FLOW_CONTROL_ERROR);
    } else if (
      stream.expectedBytes >= 0 &&
      (flags & FrameFlag.PADDED) === 0 &&
      stream.receivedBytes + length > stream.expectedBytes
    ) {
      core.streamError(streamId, stream, PROTOCOL_ERROR);
    } else {
      this.#dataStream = stream;
    }
  }

  dataOctets(buf: Uint8Array, start: number, end: number): void {
    const core = this.#core;
    const length = end - start;
    this.#dataOctets += length;
    core.stats.dataBytesReceived += length;
    const stream = this.#openDataStream();
    if (stream === null) return;
    stream.receivedBytes += length;
    if (stream.expectedBytes >= 0 && stream.receivedBytes > stream.expectedBytes) {
      // §8.1.1: more than content-length says, in a padded frame; nobody may read two messages in it.
      core.streamError(stream.id, stream, PROTOCOL_ERROR);
      return;
    }
    if (stream.isLingering) return;
    core.windows.handedOver(stream, length);
    core.sink.onData(stream, buf, start, end);
  }

  dataEnd(): void {
    const core = this.#core;
    if (core.guard.contentFrame(this.#dataOctets === 0 && !this.#isDataEnd))
      return this.#failFlood('empty frames');
    const stream = this.#openDataStream();
    this.#dataStream = null;
    if (stream !== null) {
      if (this.#isDataEnd) this.#endMessage(stream, null);
      else if (!stream.isLingering) core.windows.giveTo(stream);
      else if (stream.receiveWindow * 2 <= core.windows.initialBytes) core.endLingering(stream);
    }
    core.windows.give();
    core.checkFlood();
  }

  /** The stream of the DATA frame under way, unless its owner reset it meanwhile. */
  #openDataStream(): StreamState | null {
    const stream = this.#dataStream;
    if (stream === null) return null;
    if (!stream.isClosed && stream.id === this.#dataStreamId) return stream;
    // One that was answered while its data came has a bare one in its place.
    return (this.#dataStream = this.#core.table.open.get(this.#dataStreamId) ?? null);
  }

  /** One whole header block. */
  #block(
    streamId: number,
    isEnd: boolean,
    dependsOnItself: boolean,
    buf: Uint8Array,
    start: number,
    end: number,
  ): void {
    const core = this.#core;
    const stream = core.table.open.get(streamId);
    if (stream === undefined) {
      if (core.isServer && streamId > core.table.lastId && streamId % 2 === 1)
        this.#newRequest(streamId, isEnd, dependsOnItself, buf, start, end);
      else if (this.#discard(buf, start, end)) this.#onClosedStream(streamId);
    } else if (dependsOnItself) {
      if (this.#discard(buf, start, end)) core.streamError(streamId, stream, PROTOCOL_ERROR);
    } else if (stream.isRemoteEnded) {
      if (this.#discard(buf, start, end)) core.streamError(streamId, stream, STREAM_CLOSED);
    } else if (!stream.hasHead) {
      this.#response(stream, isEnd, buf, start, end);
    } else if (!isEnd) {
      // §8.1: only the last block of a message may follow its head.
      if (this.#discard(buf, start, end)) core.streamError(streamId, stream, PROTOCOL_ERROR);
    } else {
      this.#trailers(stream, buf, start, end);
    }
  }

  #newRequest(
    streamId: number,
    isEnd: boolean,
    dependsOnItself: boolean,
    buf: Uint8Array,
    start: number,
    end: number,
  ): void {
    const core = this.#core;
    const { table, options } = core;
    core.stats.streamsOpened++;
    core.guard.streamOpened();
    const isRefused =
      streamId > core.lastServedId || core.openStreamCount >= options.localSettings.maxConcurrentStreams;
    if (isRefused) {
      if (this.#discard(buf, start, end)) this.#refuse(streamId);
      return;
    }
    const stream = takeStream(core);
    const collector = this.#collector;
    if (!this.#decode('request', stream.headers, stream.pseudo, buf, start, end)) return giveStream(stream);
    if (collector.malformed !== '' || dependsOnItself || !this.#setExpected(stream, isEnd)) {
      table.opened(streamId);
      const why = collector.malformed === '' ? 'its length or priority cannot be' : collector.malformed;
      core.sink.onMalformed?.(why, collector.hasBadField);
      core.streamError(streamId, undefined, PROTOCOL_ERROR);
      return giveStream(stream);
    }
    core.admit(stream, streamId);
    stream.hasHead = true;
    stream.isRemoteEnded = isEnd;
    if (collector.isTooLarge) {
      core.stats.headerListsTooLarge++;
      stream.headers.reset();
      core.sink.onHeadTooLarge(stream, isEnd);
    } else {
      core.sink.onHead(stream, isEnd);
    }
    if (isEnd) core.remoteEnded(stream);
  }

  #refuse(streamId: number): void {
    const core = this.#core;
    core.table.opened(streamId);
    core.table.remember(streamId, 'reset-by-us');
    core.stats.refusedStreams++;
    core.frames.resetStream(streamId, REFUSED_STREAM);
    if (core.guard.ignored(core.nowMs)) this.#failFlood('refused streams');
  }

  #response(stream: StreamState, isEnd: boolean, buf: Uint8Array, start: number, end: number): void {
    const core = this.#core;
    const collector = this.#collector;
    if (!this.#decode('response', stream.headers, stream.pseudo, buf, start, end)) return;
    const { status } = stream.pseudo;
    const isInformational = status >= 100 && status < 200;
    if (collector.malformed !== '' || (isInformational && isEnd))
      return core.streamError(stream.id, stream, PROTOCOL_ERROR);
    if (collector.isTooLarge) {
      core.stats.headerListsTooLarge++;
      return core.streamError(stream.id, stream, ENHANCE_YOUR_CALM);
    }
    if (isInformational) {
      if (++stream.informationalCount > core.options.limits.maxInformational)
        return core.streamError(stream.id, stream, ENHANCE_YOUR_CALM);
      return core.sink.onInformational(stream);
    }
    if (!this.#setExpected(stream, isEnd)) return core.streamError(stream.id, stream, PROTOCOL_ERROR);
    stream.hasHead = true;
    stream.isRemoteEnded = isEnd;
    core.sink.onHead(stream, isEnd);
    if (isEnd) core.remoteEnded(stream);
  }

  #trailers(stream: StreamState, buf: Uint8Array, start: number, end: number): void {
    const core = this.#core;
    const collector = this.#collector;
    const list = (stream.trailers ??= new HeaderList());
    if (!this.#decode('trailers', list, stream.pseudo, buf, start, end)) return;
    if (collector.malformed !== '') return core.streamError(stream.id, stream, PROTOCOL_ERROR);
    if (collector.isTooLarge) {
      core.stats.headerListsTooLarge++;
      return core.streamError(stream.id, stream, ENHANCE_YOUR_CALM);
    }
    core.stats.trailerFieldsDropped += collector.droppedTrailers;
    this.#endMessage(stream, list.count === 0 ? null : list);
  }

  #endMessage(stream: StreamState, trailers: HeaderList | null): void {
    const core = this.#core;
    if (stream.expectedBytes >= 0 && stream.receivedBytes !== stream.expectedBytes)
      return core.streamError(stream.id, stream, PROTOCOL_ERROR);
    stream.isRemoteEnded = true;
    if (!stream.isLingering) core.sink.onEnd(stream, trailers);
    core.remoteEnded(stream);
  }

  /** What the head just decoded says of its content; false if that cannot be (§8.1.1). */
  #setExpected(stream: StreamState, isEnd: boolean): boolean {
    const { contentLength } = this.#collector;
    stream.contentLength = contentLength;
    const { status } = stream.pseudo;
    if (status !== 0) {
      const hasNoContent = stream.requestMethod === 'HEAD' || status === 304 || status === 204;
      const isTunnel = stream.requestMethod === 'CONNECT' && status < 300;
      stream.expectedBytes = hasNoContent ? 0 : isTunnel ? -1 : contentLength;
    } else {
      if (stream.pseudo.method === 'CONNECT' && contentLength >= 0) return false;
      stream.expectedBytes = contentLength;
    }
    return !isEnd || stream.expectedBytes <= 0;
  }

  #decode(
    kind: BlockKind,
    list: HeaderList,
    pseudo: PseudoFields,
    buf: Uint8Array,
    start: number,
    end: number,
  ): boolean {
    this.#collector.begin(kind, list, pseudo);
    if (!this.#decoder.decode(buf, start, end, true, this.#collector)) {
      this.#fail(COMPRESSION_ERROR, this.#decoder.failure);
      return false;
    }
    this.#collector.finish();
    return true;
  }

  #discard(buf: Uint8Array, start: number, end: number): boolean {
    return this.#decode('discarded', nothing, noPseudo, buf, start, end);
  }

  /** HEADERS or DATA where no stream is open (§5.1). */
  #onClosedStream(streamId: number): void {
    const core = this.#core;
    if (this.isIdle(streamId)) return this.#fail(PROTOCOL_ERROR, 'frame on an idle stream');
    switch (core.table.howClosed(streamId)) {
      case 'ended':
        return this.#fail(STREAM_CLOSED, 'frame on a stream that has ended');
      case 'skipped':
        return this.#fail(PROTOCOL_ERROR, 'stream ids went backwards');
      case 'reset-by-peer':
        return core.streamError(streamId, undefined, STREAM_CLOSED);
      default:
        // In flight when we reset the stream.
        if (core.guard.ignored(core.nowMs)) this.#failFlood('frames of closed streams');
    }
  }

  #failContinuation(): void {
    this.#core.stats.continuationFlood++;
    this.#fail(ENHANCE_YOUR_CALM, 'header block without end');
  }

  #failFlood(what: string): void {
    this.#fail(ENHANCE_YOUR_CALM, `too many ${what}`);
  }

  #fail(code: H2ErrorCode, detail: string): void {
    this.#core.fail(code, detail);
  }
}
