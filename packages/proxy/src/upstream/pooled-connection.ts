/** What the pool and its connections say to each other, whichever HTTP they speak. */
import type { PriorityLimits } from '../cluster/cluster.ts';
import type { ResponseSink } from '../http/streams.ts';

/** An established connection; while it opens it is an OpeningConnection. */
export interface PooledConnection {
  /** The circuit breaker that it is counted by. */
  readonly limits: PriorityLimits;
  readonly openedMs: number;
  readonly isOpen: boolean;
  /** No stream is open. */
  readonly isIdle: boolean;
  /** Streams that it can take now. */
  readonly freeStreams: number;
  /** Requests carried, present ones included. */
  readonly requestCount: number;
  /** Whether it stands in the pool's stack; the pool's own note. */
  isReady: boolean;
  /** One stream more; `sink.onUpstreamReady` comes before this returns. */
  assign(sink: ResponseSink): void;
  /** Idle from now: closes by itself when nobody assigns anything for so long. 0 = never. */
  rest(timeoutMs: number): void;
  /** Takes nothing more; closes when what it carries is over, at once when idle. */
  retire(): void;
}

export interface ConnectionOwner {
  /** Streams that a new connection of this endpoint probably takes: what the last one said. */
  readonly expectedStreams: number;
  /** The peer has said how many it takes. */
  onStreamLimit(streams: number): void;
  /** A stream has ended, or the peer allows more: it may take another. */
  onFree(connection: PooledConnection): void;
  /** Last word of a connection. */
  onClosed(connection: PooledConnection, byRemote: boolean): void;
  onBytes(sent: number, received: number): void;
}
