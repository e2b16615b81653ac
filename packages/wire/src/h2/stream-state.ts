/**
 * The state of one stream (RFC 9113 §5.1), and its owner's handle on it.
 *
 *              open ──END_STREAM received──► half-closed (remote) ─┐
 *               │                                                  ├─► closed
 *               └────END_STREAM sent───────► half-closed (local) ──┘     RST_STREAM either way: closed
 *
 * Idle streams have no object, and closed ones keep theirs only until the owner lets go. Windows are what
 * the other side may still send: `sendWindow` may fall below zero (§6.9.2), `receiveWindow` may not.
 */
import { HeaderList } from '../headers/header-list.ts';
import { DEFAULT_WINDOW_BYTES } from './frame.ts';
import { PseudoFields } from './pseudo.ts';
import { SendQueue } from './send-queue.ts';
import type { H2Stream } from './stream-types.ts';

/** What a stream asks of its session. */
export interface StreamOwner {
  writeRequestHead(
    stream: StreamState,
    method: string,
    scheme: string,
    authority: string,
    path: string,
    protocol: string,
    headers: HeaderList,
    isEnd: boolean,
  ): void;
  writeResponseHead(stream: StreamState, status: number, headers: HeaderList, isEnd: boolean): void;
  writeData(stream: StreamState, data: Uint8Array, start: number, end: number, isEnd: boolean): void;
  writeEnd(stream: StreamState, trailers: HeaderList | null): void;
  dataConsumed(stream: StreamState, byteCount: number): void;
  resetStream(stream: StreamState, code: number): void;
  streamReleased(stream: StreamState): void;
  readonly streamQueueBytes: number;
}

export class StreamState implements H2Stream {
  id = 0;
  user: unknown = null;
  readonly headers = new HeaderList();
  readonly pseudo = new PseudoFields();
  contentLength = -1;
  isRemoteEnded = false;
  isLocalEnded = false;
  isClosed = false;
  owner: StreamOwner;

  sendWindow = DEFAULT_WINDOW_BYTES;
  receiveWindow = DEFAULT_WINDOW_BYTES;
  /** Given to the owner and not yet consumed. */
  unconsumedBytes = 0;
  receivedBytes = 0;
  /** Octets of content that the head announces; -1 if it does not. */
  expectedBytes = -1;
  openedAtMs = 0;
  /** The final head was received, and sent. */
  hasHead = false;
  hasSentHead = false;
  /** Client: what was asked, since HEAD and CONNECT change what a length means. */
  requestMethod = '';
  informationalCount = 0;
  readonly queue = new SendQueue();
  /** Our END_STREAM waits behind the queue, with these trailers if there are any. */
  endsAfterQueue = false;
  queuedTrailers: HeaderList | null = null;
  /** In the ring of streams that may send now. */
  isReady = false;
  /** `isWritable` was seen false: onWritable is owed. */
  owesWritable = false;
  /** When the owner first saw that it is stalled; -1 if it is not. */
  stalledSinceMs = -1;
  isReleased = false;
  /** Answered, its owner gone; only the rest of the request is awaited. */
  isLingering = false;
  /** Received trailers; made when first needed. */
  trailers: HeaderList | null = null;

  constructor(owner: StreamOwner) {
    this.owner = owner;
  }

  get queuedBytes(): number {
    return this.queue.byteCount;
  }

  get isWritable(): boolean {
    if (this.queue.byteCount < this.owner.streamQueueBytes) return true;
    this.owesWritable = true;
    return false;
  }

  sendRequestHead(
    method: string,
    scheme: string,
    authority: string,
    path: string,
    protocol: string,
    headers: HeaderList,
    isEnd: boolean,
  ): void {
    if (this.isClosed || this.hasSentHead) return;
    this.owner.writeRequestHead(this, method, scheme, authority, path, protocol, headers, isEnd);
  }

  sendResponseHead(status: number, headers: HeaderList, isEnd: boolean): void {
    if (this.isClosed || this.hasSentHead) return;
    this.owner.writeResponseHead(this, status, headers, isEnd);
  }

  sendData(data: Uint8Array, start: number, end: number, isEnd = false): void {
    if (this.isClosed || this.isLocalEnded || !this.hasSentHead) return;
    this.owner.writeData(this, data, start, end, isEnd);
  }

  sendEnd(trailers: HeaderList | null): void {
    if (this.isClosed || this.isLocalEnded || !this.hasSentHead) return;
    this.owner.writeEnd(this, trailers);
  }

  consumed(byteCount: number): void {
    if (!this.isClosed) this.owner.dataConsumed(this, byteCount);
  }

  reset(code: number): void {
    if (!this.isClosed) this.owner.resetStream(this, code);
  }

  release(): void {
    if (this.isReleased) return;
    this.isReleased = true;
    this.owner.streamReleased(this);
  }

  /** As new, for another exchange. */
  recycle(): void {
    this.id = 0;
    this.user = null;
    this.headers.reset();
    this.pseudo.reset();
    this.trailers?.reset();
    this.contentLength = -1;
    this.isRemoteEnded = false;
    this.isLocalEnded = false;
    this.isClosed = false;
    this.unconsumedBytes = 0;
    this.receivedBytes = 0;
    this.hasHead = false;
    this.hasSentHead = false;
    this.expectedBytes = -1;
    this.requestMethod = '';
    this.informationalCount = 0;
    this.queue.clear();
    this.endsAfterQueue = false;
    this.queuedTrailers = null;
    this.isReady = false;
    this.owesWritable = false;
    this.stalledSinceMs = -1;
    this.isReleased = false;
    this.isLingering = false;
  }
}

/** Streams kept for reuse by all sessions of a thread. */
const MAX_SPARE_STREAMS = 256;
const spare: StreamState[] = [];

export function takeStream(owner: StreamOwner): StreamState {
  const stream = spare.pop();
  if (stream === undefined) return new StreamState(owner);
  stream.owner = owner;
  return stream;
}

/** The stream is closed, and nobody refers to it any more. */
export function giveStream(stream: StreamState): void {
  if (spare.length >= MAX_SPARE_STREAMS) return;
  stream.recycle();
  spare.push(stream);
}
