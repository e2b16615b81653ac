/**
 * One try of a request at one endpoint, with its own upstream stream, timers and position in the body.
 *
 *   waiting (for a connection) ──► sending ──► answering ──► over
 *      └───────────── reset, timeout or release at any point ──┘
 *
 * Invariant: after `release` or a reported end neither the stream nor the host hears of it again, and what
 * it held of circuit breakers is given back exactly once.
 */
import type { HeaderList } from '@sluice/wire';
import type { Clock, TimerWheel } from '@sluice/runtime';
import type { Cluster, Endpoint, PriorityLimits } from '../../cluster/cluster.ts';
import { Deadline } from '../../http/deadline.ts';
import type { RequestBody } from '../../http/request-body.ts';
import type {
  ResponseMessage,
  ResponseSink,
  StreamWish,
  UpstreamConnector,
  UpstreamRequest,
  UpstreamReset,
  UpstreamStream,
} from '../../http/streams.ts';
import type { AttemptFailure } from './retry-decision.ts';

export interface AttemptHost {
  readonly body: RequestBody;
  readonly upstream: UpstreamConnector;
  /** Writes what depends on the endpoint and the attempt into the head; false: the attempt is over already. */
  prepareHead(attempt: Attempt): UpstreamRequest | null;
  onAttemptSent(attempt: Attempt): void;
  onAttemptProgress(attempt: Attempt): void;
  onAttemptInformational(attempt: Attempt, response: ResponseMessage): void;
  onAttemptHead(attempt: Attempt, response: ResponseMessage, isEnd: boolean): void;
  onAttemptData(attempt: Attempt, data: Uint8Array, start: number, end: number): void;
  onAttemptEnd(attempt: Attempt, trailers: HeaderList | null): void;
  /** In a tunnel: the upstream has finished sending and still receives. */
  onAttemptHalfEnd(): void;
  onAttemptFailed(attempt: Attempt, failure: AttemptFailure, detail: string): void;
}

export class Attempt implements ResponseSink {
  readonly #host: AttemptHost;
  readonly #clock: Clock;
  readonly #tryDeadline: Deadline;
  readonly #idleDeadline: Deadline;
  /** Filled before `start`. */
  readonly wish: StreamWish = {
    mayReuse: true,
    isTunnel: false,
    isH2: false,
    serverName: '',
    downstream: null,
  };
  endpoint: Endpoint | null = null;
  cluster: Cluster | null = null;
  stream: UpstreamStream | null = null;
  isOpen = false;
  hasSentHead = false;
  hasResponse = false;
  /** The connection had carried a request before this one. */
  wasReused = false;
  /** Octets of the body sent. */
  position = 0;
  hasSentEnd = false;
  /** Response octets received and not yet credited. */
  owedBytes = 0;
  startMs = 0;
  #idleTimeoutMs = 0;
  #limits: PriorityLimits | null = null;
  #isCounted = false;
  /** Opaque bytes both ways: each direction ends by itself. */
  isTunnel = false;
  #hasHalfEnded = false;

  constructor(host: AttemptHost, wheel: TimerWheel, clock: Clock) {
    this.#host = host;
    this.#clock = clock;
    this.#tryDeadline = new Deadline(wheel, this, onTryTimeout);
    this.#idleDeadline = new Deadline(wheel, this, onTryTimeout);
  }

  /** By `wish`; the outcome comes through the host, perhaps before this returns. */
  start(cluster: Cluster, limits: PriorityLimits, endpoint: Endpoint): void {
    this.cluster = cluster;
    this.endpoint = endpoint;
    this.stream = null;
    this.isOpen = true;
    this.hasSentHead = false;
    this.hasResponse = false;
    this.wasReused = false;
    this.isTunnel = false;
    this.#hasHalfEnded = false;
    this.position = 0;
    this.hasSentEnd = false;
    this.owedBytes = 0;
    this.startMs = this.#clock.nowMs();
    this.#limits = limits;
    this.#isCounted = limits.requests.tryAcquire();
    if (!this.#isCounted) {
      cluster.stats.pendingOverflow();
      this.#fail('overflow', 'active request limit');
      return;
    }
    endpoint.activeRequests++;
    this.#host.upstream.open(cluster, limits, endpoint, this, this.wish);
  }

  setTimeouts(perTryTimeoutMs: number, perTryIdleTimeoutMs: number, nowMs: number): void {
    this.#idleTimeoutMs = perTryIdleTimeoutMs;
    if (perTryTimeoutMs > 0) this.#tryDeadline.setIn(perTryTimeoutMs, nowMs);
    if (perTryIdleTimeoutMs > 0) this.#idleDeadline.setIn(perTryIdleTimeoutMs, nowMs);
  }

  /** The response is being forwarded: the time for a try is over, idleness still counts. */
  clearTryTimeout(): void {
    this.#tryDeadline.clear();
  }

  /** Sends what has arrived of the body and not been sent here. */
  pump(): void {
    const stream = this.stream;
    if (stream === null || !this.isOpen || this.hasSentEnd || !this.hasSentHead) return;
    const body = this.#host.body;
    while (stream.isWritable && this.position < body.totalBytes) {
      const chunk = body.read(this.position);
      if (chunk === null) break;
      this.position += chunk.length;
      stream.sendData(chunk, 0, chunk.length);
      if (!this.isOpen) return;
    }
    body.trim(this.position);
    if (!body.hasEnded || this.position !== body.totalBytes) return;
    this.hasSentEnd = true;
    stream.sendEnd(body.trailers);
    if (this.#hasHalfEnded) this.onResponseEnd(null);
  }

  /** Bytes that go straight through: this attempt has sent all before them. */
  sendNow(data: Uint8Array, start: number, end: number): void {
    this.position += end - start;
    this.stream!.sendData(data, start, end);
  }

  credit(): void {
    if (this.owedBytes === 0 || this.stream === null) return;
    const owed = this.owedBytes;
    this.owedBytes = 0;
    this.stream.consumed(owed);
  }

  /** Ends it from our side. Safe to call at any time, more than once. */
  release(): void {
    if (!this.isOpen) return;
    const stream = this.stream;
    const endpoint = this.endpoint!;
    this.#close();
    if (stream !== null) stream.release();
    else this.#host.upstream.cancel(endpoint, this);
  }

  dispose(): void {
    this.release();
    this.#tryDeadline.dispose();
    this.#idleDeadline.dispose();
  }

  onUpstreamReady(stream: UpstreamStream): void {
    this.stream = stream;
    this.wasReused = stream.isReused;
    const request = this.#host.prepareHead(this);
    if (request === null) return;
    const body = this.#host.body;
    const isEnd = body.hasEnded && body.totalBytes === 0 && body.trailers === null;
    this.hasSentHead = true;
    this.hasSentEnd = isEnd;
    const endpoint = this.endpoint!;
    endpoint.stats.requests++;
    this.cluster!.stats.requestStarted();
    stream.sendHead(request, isEnd);
    if (!this.isOpen) return;
    this.#host.onAttemptSent(this);
    if (isEnd) return;
    this.pump();
    if (this.isOpen) this.#host.onAttemptProgress(this);
  }

  onInformational(response: ResponseMessage): void {
    this.#touch();
    this.#host.onAttemptInformational(this, response);
  }

  onResponseHead(response: ResponseMessage, isEnd: boolean): void {
    this.hasResponse = true;
    this.#touch();
    this.#host.onAttemptHead(this, response, isEnd);
  }

  onResponseData(data: Uint8Array, start: number, end: number): void {
    this.owedBytes += end - start;
    this.#touch();
    this.#host.onAttemptData(this, data, start, end);
  }

  onResponseEnd(trailers: HeaderList | null): void {
    if (this.isTunnel && !this.hasSentEnd) {
      this.#hasHalfEnded = true;
      this.#host.onAttemptHalfEnd();
      return;
    }
    const stream = this.stream;
    this.#close();
    // First, so that the next request of a pipelining client finds the connection in the pool.
    stream?.release();
    this.#host.onAttemptEnd(this, trailers);
  }

  onUpstreamWritable(): void {
    this.pump();
    if (this.isOpen) this.#host.onAttemptProgress(this);
  }

  onUpstreamReset(reset: UpstreamReset, detail: string): void {
    this.#fail(reset, detail);
  }

  onTryTimeout(): void {
    const stream = this.stream;
    const endpoint = this.endpoint!;
    this.#close();
    if (stream !== null) stream.release();
    else this.#host.upstream.cancel(endpoint, this);
    endpoint.stats.timeouts++;
    this.cluster!.stats.perTryTimeout();
    this.#host.onAttemptFailed(this, 'per-try-timeout', 'per-try timeout');
  }

  #touch(): void {
    if (this.#idleTimeoutMs > 0) this.#idleDeadline.setIn(this.#idleTimeoutMs, this.#clock.nowMs());
  }

  #fail(failure: AttemptFailure, detail: string): void {
    if (!this.isOpen) return;
    this.#close();
    this.#host.onAttemptFailed(this, failure, detail);
  }

  #close(): void {
    this.isOpen = false;
    this.stream = null;
    this.#tryDeadline.clear();
    this.#idleDeadline.clear();
    this.#idleTimeoutMs = 0;
    if (!this.#isCounted) return;
    this.#isCounted = false;
    this.#limits!.requests.release();
    this.endpoint!.activeRequests--;
  }
}

/** One meaning for per-try and per-try idle: the attempt took too long. */
function onTryTimeout(owner: unknown): void {
  (owner as Attempt).onTryTimeout();
}
