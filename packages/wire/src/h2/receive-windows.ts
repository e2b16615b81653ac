/**
 * What the peer may still send (RFC 9113 §5.2, §6.9), and when we give more.
 *
 * A stream's window is given back as its owner consumes: a slow reader stops its own peer. The connection's
 * is given back on receipt, so that a slow stream never stops its neighbours, until what all streams hold
 * unconsumed exceeds a bound; beyond it, what is above the bound is withheld.
 * Updates go when half a window is due: more often costs frames, less often stops the peer.
 */
import { DEFAULT_WINDOW_BYTES } from './frame.ts';
import type { FrameWriter } from './frame-writer.ts';
import type { StreamState } from './stream-state.ts';

export class ReceiveWindows {
  readonly #frames: FrameWriter;
  readonly #connectionBytes: number;
  readonly #maxUnconsumedBytes: number;
  /** Window of a new stream. Before our SETTINGS are acknowledged, never below the default (§6.9.2). */
  #initialBytes: number;
  readonly #settledBytes: number;
  #window = DEFAULT_WINDOW_BYTES;
  #unconsumedBytes = 0;

  constructor(
    frames: FrameWriter,
    connectionBytes: number,
    initialBytes: number,
    maxUnconsumedBytes: number,
  ) {
    this.#frames = frames;
    this.#connectionBytes = Math.max(connectionBytes, DEFAULT_WINDOW_BYTES);
    this.#settledBytes = initialBytes;
    this.#initialBytes = Math.max(initialBytes, DEFAULT_WINDOW_BYTES);
    this.#maxUnconsumedBytes = maxUnconsumedBytes;
  }

  get initialBytes(): number {
    return this.#initialBytes;
  }

  /** After the preface: the connection's window up to its size. */
  open(): void {
    const increment = this.#connectionBytes - this.#window;
    if (increment <= 0) return;
    this.#window += increment;
    this.#frames.windowUpdate(0, increment);
  }

  /** The peer knows our initial window: by how much the windows of open streams change. */
  settle(): number {
    const change = this.#settledBytes - this.#initialBytes;
    this.#initialBytes = this.#settledBytes;
    return change;
  }

  /** A DATA frame of this length, padding included, took from the connection's window; false if it had not so much. */
  spend(length: number): boolean {
    this.#window -= length;
    return this.#window >= 0;
  }

  /** The same of a stream's window. */
  spendOf(stream: StreamState, length: number): boolean {
    stream.receiveWindow -= length;
    return stream.receiveWindow >= 0;
  }

  /** Octets were handed to the stream's owner. */
  handedOver(stream: StreamState, byteCount: number): void {
    stream.unconsumedBytes += byteCount;
    this.#unconsumedBytes += byteCount;
  }

  consumed(stream: StreamState, byteCount: number): void {
    const count = Math.min(byteCount, stream.unconsumedBytes);
    stream.unconsumedBytes -= count;
    this.#unconsumedBytes -= count;
    this.giveTo(stream);
    this.give();
  }

  /** The stream is closed: nobody will consume the rest. */
  closed(stream: StreamState): void {
    if (stream.unconsumedBytes === 0) return;
    this.#unconsumedBytes -= stream.unconsumedBytes;
    stream.unconsumedBytes = 0;
    this.give();
  }

  /** Gives the stream what is due. One whose message has ended needs none. */
  giveTo(stream: StreamState): void {
    if (stream.isRemoteEnded) return;
    const due = this.#initialBytes - stream.receiveWindow - stream.unconsumedBytes;
    if (due <= 0 || due * 2 < this.#initialBytes) return;
    stream.receiveWindow += due;
    this.#frames.windowUpdate(stream.id, due);
  }

  /** Gives the connection what is due. */
  give(): void {
    const withheld = Math.max(0, this.#unconsumedBytes - this.#maxUnconsumedBytes);
    const due = this.#connectionBytes - this.#window - withheld;
    if (due <= 0 || due * 2 < this.#connectionBytes) return;
    this.#window += due;
    this.#frames.windowUpdate(0, due);
  }
}
