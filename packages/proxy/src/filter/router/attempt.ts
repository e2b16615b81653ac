/**
 * One line of tries of a request: a try at one endpoint, with its own upstream stream, timers and position in
 * the body, and after it perhaps another in its place. A request may have several lines at once (`attempts.ts`).
 *
 *   resting ──► waiting (for a connection) ──► sending ──► answering ──► resting
 *      │            └────────── reset, timeout or release at any point ──────┘
 *      └──► due (backing off) ──► waiting
 *
 * Invariant: after `release` or a reported end neither the stream nor the host hears of the try again, and what
 * it held of circuit breakers is given back exactly once; after `rest` its share of the retry budget is too.
 */
import type { HeaderList } from '@sluice/wire';
import { TimerNode, type Clock, type TimerWheel } from '@sluice/runtime';
import type { Cluster, Endpoint, PriorityLimits, RetryBudget } from '../../cluster/cluster.ts';
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
import { RetryShare } from './retry-share.ts';

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
  /** The backoff before its next try is over. */
  onAttemptDue(attempt: Attempt): void;
  /** Its per-try timeout has passed. True: it goes on all the same. */
  outlivesTryTimeout(attempt: Attempt): boolean;
  /** Octets of a body that is not kept have been read. */
  onBodyRead(): void;
}

export class Attempt implements ResponseSink {
  readonly #host: AttemptHost;
  readonly #wheel: TimerWheel;
  readonly #clock: Clock;
  readonly #backoff = new TimerNode(onBackoffEnd);
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
  /** Of the attempts that were sent for this request, from 1; 0 = not sent. */
  number = 0;
  /** Another attempt was started in its place while it lives: it has no further try. */
  isSuperseded = false;
  hasSentHead = false;
  /** The connection had carried a request before this one. */
  wasReused = false;
  /** Octets of the body sent. */
  position = 0;
  hasSentEnd = false;
  /** Response octets received and not yet credited. */
  owedBytes = 0;
  startMs = 0;
  headSentMs = 0;
  #idleTimeoutMs = 0;
  #limits: PriorityLimits | null = null;
  #isCounted = false;
  /** Opaque bytes both ways: each direction ends by itself. */
  isTunnel = false;
  #hasHalfEnded = false;
  readonly #retry = new RetryShare();
  /** It has been a retry or has backed off: a request whose first try succeeds looks no further than here. */
  #wasRetried = false;

  constructor(host: AttemptHost, wheel: TimerWheel, clock: Clock) {
    this.#host = host;
    this.#wheel = wheel;
    this.#clock = clock;
    this.#backoff.owner = this;
    this.#tryDeadline = new Deadline(wheel, this, onTryTimeout);
    this.#idleDeadline = new Deadline(wheel, this, onTryIdle);
  }

  /** A try is under way, or will be after its backoff. */
  get isLive(): boolean {
    return this.isOpen || this.#backoff.isArmed;
  }

  /** It has sent all that there is of the body and can send more. */
  get takesBytes(): boolean {
    const stream = this.stream;
    return (
      this.hasSentHead && stream !== null && stream.isWritable && this.position === this.#host.body.totalBytes
    );
  }

  /** By `wish`; the outcome comes through the host, perhaps before this returns. */
  start(cluster: Cluster, limits: PriorityLimits, endpoint: Endpoint): void {
    this.cluster = cluster;
    this.endpoint = endpoint;
    this.stream = null;
    this.isOpen = true;
    this.number = 0;
    this.hasSentHead = false;
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

  /** Its next try is a retry, with a share of the budget until it rests. False: the budget is spent. */
  becomeRetry(cluster: Cluster, budget: RetryBudget): boolean {
    this.#wasRetried = true;
    return this.#retry.take(cluster, budget);
  }

  /** What became of a retry; does nothing for a first try. */
  judge(succeeded: boolean): void {
    if (this.#wasRetried) this.#retry.judge(succeeded);
  }

  /** `onAttemptDue` follows. */
  backOff(delayMs: number): void {
    this.#wasRetried = true;
    this.position = 0;
    this.#wheel.arm(this.#backoff, delayMs);
  }

  /** No further try, and none is open. */
  rest(): void {
    this.isSuperseded = false;
    if (!this.#wasRetried) return;
    this.#wasRetried = false;
    if (this.#backoff.isArmed) this.#wheel.disarm(this.#backoff);
    this.#retry.settle();
  }

  /** Refers to nothing of the request any more. */
  forget(): void {
    this.cluster = null;
    this.endpoint = null;
    this.#limits = null;
    this.wish.downstream = null;
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
    if (!body.isReplayable) this.#host.onBodyRead();
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
    else {
      this.cluster!.stats.requestCancelled();
      this.#host.upstream.cancel(endpoint, this);
    }
  }

  dispose(): void {
    this.release();
    this.rest();
    this.#tryDeadline.dispose();
    this.#idleDeadline.dispose();
  }

  onUpstreamReady(stream: UpstreamStream): void {
    if (!this.isOpen) {
      stream.release();
      return;
    }
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
    this.headSentMs = this.#clock.nowMs();
    this.#host.onAttemptSent(this);
    if (isEnd) return;
    this.pump();
    if (this.isOpen) this.#host.onAttemptProgress(this);
  }

  onInformational(response: ResponseMessage): void {
    if (!this.isOpen) return;
    this.#touch();
    this.#host.onAttemptInformational(this, response);
  }

  onResponseHead(response: ResponseMessage, isEnd: boolean): void {
    if (!this.isOpen) return;
    this.#touch();
    this.#host.onAttemptHead(this, response, isEnd);
  }

  onResponseData(data: Uint8Array, start: number, end: number): void {
    if (!this.isOpen) return;
    this.owedBytes += end - start;
    this.#touch();
    this.#host.onAttemptData(this, data, start, end);
  }

  onResponseEnd(trailers: HeaderList | null): void {
    if (!this.isOpen) return;
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
    if (!this.#host.outlivesTryTimeout(this)) this.onTryIdle();
  }

  onTryIdle(): void {
    const endpoint = this.endpoint!;
    this.release();
    endpoint.stats.timeouts++;
    this.cluster!.stats.perTryTimeout();
    this.#host.onAttemptFailed(this, 'per-try-timeout', 'per-try timeout');
  }

  onBackoffEnd(): void {
    this.#host.onAttemptDue(this);
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

function onTryTimeout(owner: unknown): void {
  (owner as Attempt).onTryTimeout();
}

function onTryIdle(owner: unknown): void {
  (owner as Attempt).onTryIdle();
}

function onBackoffEnd(node: TimerNode): void {
  (node.owner as Attempt).onBackoffEnd();
}
