/**
 * The open streams of a session, and how the last ones closed (RFC 9113 §5.1).
 *
 * What a frame on a closed stream means depends on how it closed. That is remembered of the last ones only:
 * a peer must not make us remember without bound, and what is older is treated as if in flight when we reset
 * the stream, which harms nobody.
 */
import { giveStream, type StreamState } from './stream-state.ts';

export type ClosedHow =
  /** Both sides sent END_STREAM. */
  | 'ended'
  | 'reset-by-peer'
  | 'reset-by-us'
  /** Skipped by the peer: implicitly closed, never used (§5.1.1). */
  | 'skipped'
  /** Too long ago to tell. */
  | 'forgotten';

const REMEMBERED = 64;
const REMEMBERED_RESETS = 256;

export class StreamTable {
  readonly open = new Map<number, StreamState>();
  /** Highest id that the peer opened (server), or that we opened (client). */
  lastId = 0;
  #gapStart = 0;
  #gapEnd = 0;
  readonly #ended = new ClosedIds(REMEMBERED);
  readonly #resetByPeer = new ClosedIds(REMEMBERED_RESETS);
  readonly #resetByUs = new ClosedIds(REMEMBERED_RESETS);
  /** Closed and let go of, but still on the stack of who called us. */
  readonly #retired: StreamState[] = [];

  add(stream: StreamState): void {
    this.open.set(stream.id, stream);
    this.opened(stream.id);
  }

  /** The id was used, be it for a stream that is refused. */
  opened(id: number): void {
    if (id > this.lastId + 2) {
      this.#gapStart = this.lastId;
      this.#gapEnd = id;
    }
    this.lastId = id;
  }

  /** `bare` stands for the stream from now on. */
  replace(stream: StreamState, bare: StreamState): void {
    this.open.set(bare.id, bare);
    if (stream.isReleased) this.#retired.push(stream);
  }

  closed(stream: StreamState, how: 'ended' | 'reset-by-peer' | 'reset-by-us'): void {
    this.open.delete(stream.id);
    this.remember(stream.id, how);
    if (stream.isReleased) this.#retired.push(stream);
  }

  remember(id: number, how: 'ended' | 'reset-by-peer' | 'reset-by-us'): void {
    const ids = how === 'ended' ? this.#ended : how === 'reset-by-peer' ? this.#resetByPeer : this.#resetByUs;
    ids.add(id);
  }

  howClosed(id: number): ClosedHow {
    if (this.#resetByUs.has(id)) return 'reset-by-us';
    if (this.#resetByPeer.has(id)) return 'reset-by-peer';
    if (this.#ended.has(id)) return 'ended';
    return id > this.#gapStart && id < this.#gapEnd ? 'skipped' : 'forgotten';
  }

  /** The owner lets go of a closed stream. */
  released(stream: StreamState): void {
    this.#retired.push(stream);
  }

  /** Nothing refers to retired streams any more: the stack has unwound since. */
  recycle(): void {
    const retired = this.#retired;
    if (retired.length === 0) return;
    for (let i = 0; i < retired.length; i++) giveStream(retired[i]!);
    retired.length = 0;
  }
}

/** The last ids of one kind. */
class ClosedIds {
  #ids: Int32Array | null = null;
  readonly #capacity: number;
  #next = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  add(id: number): void {
    const ids = (this.#ids ??= new Int32Array(this.#capacity));
    ids[this.#next] = id;
    this.#next = (this.#next + 1) % this.#capacity;
  }

  has(id: number): boolean {
    return this.#ids !== null && this.#ids.includes(id);
  }
}
