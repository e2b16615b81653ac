/**
 * Streams that we have answered in full while their request still comes (RFC 9113 §8.1).
 *
 * RST_STREAM(NO_ERROR) may tell the client to stop, but some clients drop the answer with it, and it hides
 * what is wrong with the rest of the request. So the rest is read and thrown away for as long as the window
 * that the client already has lasts, and only who goes on beyond it is reset. The owner is done with such a
 * stream; a bare one takes its place.
 */
import type { StreamState } from './stream-state.ts';

/** More of them are not worth their memory: the oldest is reset. */
const MAX_LINGERING = 32;

export class Lingering {
  readonly #streams: StreamState[] = [];

  get count(): number {
    return this.#streams.length;
  }

  /** Returns the stream that must make room, if there are too many. */
  add(stream: StreamState): StreamState | undefined {
    this.#streams.push(stream);
    return this.#streams.length > MAX_LINGERING ? this.#streams[0] : undefined;
  }

  remove(stream: StreamState): void {
    const at = this.#streams.indexOf(stream);
    if (at >= 0) this.#streams.splice(at, 1);
  }
}

/** Makes `bare` stand for `stream`, which was answered. */
export function takePlace(bare: StreamState, stream: StreamState): void {
  bare.id = stream.id;
  bare.openedAtMs = stream.openedAtMs;
  bare.sendWindow = stream.sendWindow;
  bare.receiveWindow = stream.receiveWindow;
  bare.receivedBytes = stream.receivedBytes;
  bare.expectedBytes = stream.expectedBytes;
  bare.hasHead = true;
  bare.hasSentHead = true;
  bare.isLocalEnded = true;
  bare.isLingering = true;
  // Nobody else knows it.
  bare.isReleased = true;
}
