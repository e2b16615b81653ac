/**
 * Sends DATA within both windows (RFC 9113 §5.2, §6.9), in turns.
 *
 * What can go at once is never queued. Streams that have octets waiting and a window of their own stand in a
 * ring and send a frame each in turn, so that a long body does not hold up its neighbours; one without
 * window leaves the ring until the peer gives it some.
 * Invariant: `isReady` says that a stream stands in the ring. No window is spent below zero.
 */
import { EMPTY_BYTES } from '../headers/bytes.ts';
import type { HeaderList } from '../headers/header-list.ts';
import { DEFAULT_WINDOW_BYTES, MAX_WINDOW_BYTES, MIN_MAX_FRAME_BYTES } from './frame.ts';
import type { FrameWriter } from './frame-writer.ts';
import type { StreamState } from './stream-state.ts';

export interface DataSenderHost {
  /** END_STREAM was written. */
  localEnded(stream: StreamState): void;
  /** Trailers go now, with END_STREAM. */
  writeTrailers(stream: StreamState, trailers: HeaderList): void;
  /** The queue has room again. */
  becameWritable(stream: StreamState): void;
}

/** A turn. Peers may allow larger frames; this is what every peer takes, and one TLS record. */
const MAX_DATA_FRAME_BYTES = MIN_MAX_FRAME_BYTES;

export class DataSender {
  /** What the peer lets the connection send. */
  window = DEFAULT_WINDOW_BYTES;
  readonly #frames: FrameWriter;
  readonly #host: DataSenderHost;
  readonly #ring: StreamState[] = [];
  #ringHead = 0;

  constructor(frames: FrameWriter, host: DataSenderHost) {
    this.#frames = frames;
    this.#host = host;
  }

  send(stream: StreamState, data: Uint8Array, start: number, end: number, isEnd: boolean): void {
    let at = start;
    if (stream.queue.byteCount === 0) {
      // Who stands in the ring goes first; an empty frame costs no window (§6.9.1) and waits for nobody.
      if (this.#ringHead === this.#ring.length) at = this.#sendNow(stream, data, start, end, isEnd);
      if (start === end && isEnd) this.#frames.data(stream.id, EMPTY_BYTES, 0, 0, true);
      if (at === end) {
        if (isEnd) this.#host.localEnded(stream);
        return;
      }
    }
    if (at < end) stream.queue.push(data, at, end);
    if (isEnd) {
      stream.isLocalEnded = true;
      stream.endsAfterQueue = true;
    }
    this.#makeReady(stream);
  }

  /** Ends a stream once its queue has gone. `trailers` must stay as they are until then. */
  endAfterQueue(stream: StreamState, trailers: HeaderList | null): void {
    stream.isLocalEnded = true;
    stream.endsAfterQueue = true;
    stream.queuedTrailers = trailers;
  }

  /** Drops what waits; the stream was reset. */
  forget(stream: StreamState): void {
    stream.queue.clear();
    stream.endsAfterQueue = false;
    stream.queuedTrailers = null;
    if (!stream.isReady) return;
    // Or the ring of a connection without window would grow with every stream that is reset.
    stream.isReady = false;
    const at = this.#ring.indexOf(stream, this.#ringHead);
    if (at >= 0) this.#ring.splice(at, 1);
  }

  /** False if the window would exceed its bound (§6.9.1). */
  widen(increment: number): boolean {
    this.window += increment;
    return this.window <= MAX_WINDOW_BYTES;
  }

  /** The same of a stream; `increment` is negative when the initial window shrinks (§6.9.2). */
  widenStream(stream: StreamState, increment: number): boolean {
    stream.sendWindow += increment;
    if (stream.sendWindow > MAX_WINDOW_BYTES) return false;
    this.#makeReady(stream);
    return true;
  }

  /** True if octets wait for a window, rather than for their turn or the output. */
  isStalled(stream: StreamState): boolean {
    return stream.queue.byteCount > 0 && (stream.sendWindow <= 0 || this.window <= 0);
  }

  /** Sends in turns until a window, the output or the queues are exhausted. */
  pump(): void {
    const ring = this.#ring;
    while (this.#ringHead < ring.length && this.window > 0 && this.#frames.output.isWritable) {
      const stream = ring[this.#ringHead++]!;
      stream.isReady = false;
      if (this.#ringHead > 64 && this.#ringHead * 2 > ring.length) {
        ring.splice(0, this.#ringHead);
        this.#ringHead = 0;
      }
      if (!stream.isClosed && stream.queue.byteCount > 0 && stream.sendWindow > 0) this.#sendTurn(stream);
    }
    if (this.#ringHead === ring.length && ring.length > 0) {
      ring.length = 0;
      this.#ringHead = 0;
    }
  }

  /** As much as the windows and the output take; the offset after it. */
  #sendNow(stream: StreamState, data: Uint8Array, start: number, end: number, isEnd: boolean): number {
    let at = start;
    while (at < end && this.#frames.output.isWritable) {
      const length = Math.min(end - at, stream.sendWindow, this.window, MAX_DATA_FRAME_BYTES);
      if (length <= 0) break;
      this.#spend(stream, length);
      this.#frames.data(stream.id, data, at, at + length, isEnd && at + length === end);
      at += length;
    }
    return at;
  }

  #sendTurn(stream: StreamState): void {
    const { queue } = stream;
    const start = queue.firstStart;
    const length = Math.min(queue.firstEnd - start, stream.sendWindow, this.window, MAX_DATA_FRAME_BYTES);
    const isLast = length === queue.byteCount;
    const isEnd = isLast && stream.endsAfterQueue && stream.queuedTrailers === null;
    const buf = queue.firstBuffer;
    this.#spend(stream, length);
    queue.take(length);
    this.#frames.data(stream.id, buf, start, start + length, isEnd);
    if (isLast && stream.endsAfterQueue) {
      const trailers = stream.queuedTrailers;
      this.forget(stream);
      if (trailers !== null) this.#host.writeTrailers(stream, trailers);
      else this.#host.localEnded(stream);
      return;
    }
    this.#makeReady(stream);
    if (stream.owesWritable && queue.byteCount * 2 <= stream.owner.streamQueueBytes) {
      stream.owesWritable = false;
      this.#host.becameWritable(stream);
    }
  }

  #spend(stream: StreamState, byteCount: number): void {
    stream.sendWindow -= byteCount;
    this.window -= byteCount;
    stream.stalledSinceMs = -1;
  }

  #makeReady(stream: StreamState): void {
    if (stream.isReady || stream.queue.byteCount === 0 || stream.sendWindow <= 0) return;
    stream.isReady = true;
    this.#ring.push(stream);
  }
}
