/**
 * The proxy's ADS stream: opens it, opens it again when it breaks (jittered, growing pauses; traffic goes
 * on meanwhile with what is held), and keeps its subscriptions at what the configuration names.
 */
import { reconnectBackoffMs, TimerNode, type Logger, type Random, type TimerWheel } from '@sluice/runtime';
import { GrpcStatus, type GrpcClientStream, type GrpcMetadata, type GrpcStreamTransport } from '@sluice/wire';
import {
  AdsClient,
  type AdsUpdate,
  type AdsVariant,
  type Init,
  type Node,
  type RejectedResource,
} from '@sluice/xds';

/** Whoever counts what becomes of a session. */
export interface AdsObserver {
  /** The control plane answers on a stream. */
  connected(): void;
  /** The stream ended, or could not be had. */
  lost(): void;
  /** All that is subscribed to of a type, from now on. */
  wants(typeUrl: string, names: ReadonlySet<string>): void;
  /** A response was judged; `rejected` is what was refused, besides what could not be opened. */
  updated(update: AdsUpdate, rejected: readonly RejectedResource[]): void;
}

export interface AdsSessionDeps {
  readonly variant: AdsVariant;
  readonly node: Init<Node>;
  readonly metadata: GrpcMetadata;
  readonly transport: GrpcStreamTransport;
  readonly timers: TimerWheel;
  readonly random: Random;
  readonly logger: Logger;
  /** Judges the resources of one response; what it returns is NACKed. */
  onUpdate(update: AdsUpdate): readonly RejectedResource[];
  readonly observer: AdsObserver;
  /** The control plane does not take who we are. */
  onRefused(): void;
}

const methods: Readonly<Record<AdsVariant, string>> = {
  sotw: '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources',
  delta: '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
};

/** Envoy's reconnect pauses (grpc_mux: 500 ms to 30 s). */
const backoff = { baseMs: 500, maxMs: 30_000 };

export class AdsSession {
  readonly #deps: AdsSessionDeps;
  readonly #client: AdsClient;
  readonly #wanted = new Map<string, ReadonlySet<string>>();
  readonly #retry: TimerNode;
  #stream: GrpcClientStream | null = null;
  /** Which stream is the one that counts. */
  #opening = 0;
  #failures = 0;
  #isStopped = false;
  #isHearing = false;

  constructor(deps: AdsSessionDeps) {
    this.#deps = deps;
    this.#client = new AdsClient(deps.variant, deps.node);
    this.#retry = new TimerNode(() => this.#open());
  }

  start(): void {
    this.#open();
  }

  stop(): void {
    this.#isStopped = true;
    this.#deps.timers.disarm(this.#retry);
    this.#stream?.cancel();
    this.#stream = null;
  }

  /** Goes over to a connection with the credential of the moment. What is held stays; nothing is asked for twice. */
  reconnect(): void {
    if (this.#isStopped) return;
    const old = this.#stream;
    if (old === null) {
      // Between two tries: who was refused may have waited for just this credential.
      if (!this.#retry.isArmed) return;
      this.#deps.timers.disarm(this.#retry);
      this.#open();
      return;
    }
    this.#stream = null;
    this.#client.closed();
    this.#open();
    old.cancel();
  }

  /** The whole set of names of a type, `*` for everything; the difference to before is sent. */
  want(typeUrl: string, names: ReadonlySet<string>): void {
    const before = this.#wanted.get(typeUrl) ?? new Set<string>();
    const dropped = [...before].filter((name) => !names.has(name));
    const added = [...names].filter((name) => !before.has(name));
    if (dropped.length === 0 && added.length === 0) return;
    const wanted = new Set(names);
    this.#wanted.set(typeUrl, wanted);
    this.#deps.observer.wants(typeUrl, wanted);
    if (added.length > 0) this.#client.subscribe(typeUrl, added);
    if (dropped.length > 0) this.#client.unsubscribe(typeUrl, dropped);
    this.#flush();
  }

  #open(): void {
    if (this.#isStopped) return;
    this.#isHearing = false;
    let isOver = false;
    const isCurrent = (): boolean => this.#opening === opening;
    const opening = ++this.#opening;
    const stream = this.#deps.transport.open(methods[this.#deps.variant], this.#deps.metadata, {
      onMessage: (message) => {
        if (!isOver && isCurrent()) this.#receive(message);
      },
      onStatus: (code, message) => {
        isOver = true;
        // A stream that was given up for another one ends without consequence.
        if (isCurrent()) this.#closed(code, message);
      },
    });
    // A transport may report failure before it returns: then there is nothing to speak to.
    if (isOver) return;
    this.#stream = stream;
    this.#client.opened();
    this.#flush();
  }

  #receive(bytes: Uint8Array): void {
    this.#failures = 0;
    if (!this.#isHearing) {
      this.#isHearing = true;
      this.#deps.observer.connected();
    }
    const received = this.#client.receive(bytes);
    if (received.kind === 'broken') {
      this.#deps.logger.error('the control plane sent what is no xDS response', {
        error: received.error.message,
      });
      this.#stream?.cancel();
      return;
    }
    if (received.kind === 'update') {
      const rejected = this.#deps.onUpdate(received.update);
      this.#client.settle(received.update, rejected);
      this.#deps.observer.updated(received.update, rejected);
    }
    this.#flush();
  }

  #closed(code: number, message: string): void {
    this.#stream = null;
    this.#client.closed();
    if (this.#isStopped) return;
    this.#deps.observer.lost();
    const pauseMs = reconnectBackoffMs(backoff, this.#failures++, this.#deps.random);
    this.#deps.logger.warning('the stream to the control plane ended; the configuration stays as it is', {
      code,
      message,
      retryInMs: Math.round(pauseMs),
    });
    this.#deps.timers.arm(this.#retry, pauseMs);
    if (code === GrpcStatus.permissionDenied || code === GrpcStatus.unauthenticated) this.#deps.onRefused();
  }

  #flush(): void {
    if (this.#stream === null) return;
    for (const request of this.#client.takeRequests()) this.#stream.send(request);
  }
}
