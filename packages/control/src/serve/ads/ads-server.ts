/**
 * ADS for all proxies: authenticates streams, keeps them, pushes to them. A push asks the translator for
 * each stream's snapshot, which is the same object where nothing changed for it.
 */
import { GrpcStatus } from '@sluice/wire';
import type { GrpcHandler, GrpcPeer, GrpcServerStream, GrpcServerStreamSink } from '@sluice/wire';
import type { AdsServerEvent, AdsSnapshot, AdsVariant, Node } from '@sluice/xds';
import type { Logger, MetricsRegistry } from '@sluice/runtime';
import type { RegisteredInstance, Registry } from '../../registry/registry.ts';
import type { ProxyState, ProxyStates } from '../../status/proxy-state.ts';
import { AdsStream, bearerToken } from './ads-stream.ts';
import type { AdmittedInstance, AdsStreamHost } from './ads-stream.ts';
import { createAdsMetrics } from './ads-metrics.ts';
import type { AdsMetrics } from './ads-metrics.ts';
import { shortTypeNames } from './type-names.ts';

const service = '/envoy.service.discovery.v3.AggregatedDiscoveryService';
export const adsPaths = {
  sotw: `${service}/StreamAggregatedResources`,
  delta: `${service}/DeltaAggregatedResources`,
} as const;

export interface AdsServerOptions {
  readonly registry: Registry;
  readonly snapshot: (instance: RegisteredInstance, stream: AdsStream) => AdsSnapshot;
  /** Which instance a client with a certificate may be. */
  readonly admit: (node: Node, peer: GrpcPeer) => AdmittedInstance;
  readonly wallMs: () => number;
  readonly metrics: MetricsRegistry;
  readonly log: Logger;
}

export class AdsServer implements ProxyStates, AdsStreamHost {
  readonly #options: AdsServerOptions;
  readonly #streams = new Set<AdsStream>();
  readonly #listeners = new Set<(nodeId: string) => void>();
  readonly #metrics: AdsMetrics;
  readonly wallMs: () => number;
  readonly log: Logger;

  constructor(options: AdsServerOptions) {
    this.#options = options;
    this.#metrics = createAdsMetrics(options.metrics);
    this.wallMs = options.wallMs;
    this.log = options.log;
  }

  get handlers(): ReadonlyMap<string, GrpcHandler> {
    return new Map([
      [adsPaths.sotw, (stream: GrpcServerStream) => this.#open(stream, 'sotw')],
      [adsPaths.delta, (stream: GrpcServerStream) => this.#open(stream, 'delta')],
    ]);
  }

  /** For the port that has TLS: clients are known by their certificates. */
  get secureHandlers(): ReadonlyMap<string, GrpcHandler> {
    return new Map([
      [adsPaths.sotw, (stream: GrpcServerStream) => this.#openSecure(stream, 'sotw')],
      [adsPaths.delta, (stream: GrpcServerStream) => this.#openSecure(stream, 'delta')],
    ]);
  }

  get proxies(): ReadonlyMap<string, ProxyState> {
    const states = new Map<string, ProxyState>();
    for (const stream of this.#streams) {
      const state = stream.state(this.#options.registry.instances.get(stream.instance) ?? null);
      if (state) states.set(state.nodeId, state);
    }
    return states;
  }

  get streams(): ReadonlySet<AdsStream> {
    return this.#streams;
  }

  subscribe(listener: (nodeId: string) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Brings every connected proxy up to date. */
  pushAll(): void {
    const startedMs = performance.now();
    for (const stream of this.#streams) this.#push(stream);
    this.#metrics.pushed(performance.now() - startedMs);
  }

  pushTo(instance: string): void {
    for (const stream of this.#streams) if (stream.instance === instance) this.#push(stream);
  }

  /** Ends the streams of an instance that is gone: its token is no longer good. */
  disconnect(instance: string): void {
    for (const stream of this.#streams) {
      if (stream.instance === instance)
        stream.close(GrpcStatus.unauthenticated, 'the registration has ended');
    }
  }

  /** Ends the streams of clients whose certificate `judge` no longer takes; its answer is the reason. */
  rejudge(judge: (peer: GrpcPeer) => string | null): void {
    for (const stream of this.#streams) {
      const reason = stream.proof === 'certificate' ? judge(stream.peer) : null;
      if (reason !== null) stream.close(GrpcStatus.unauthenticated, reason);
    }
  }

  close(): void {
    for (const stream of this.#streams) stream.close(GrpcStatus.unavailable, 'the control plane is stopping');
  }

  admit(node: Node, peer: GrpcPeer): AdmittedInstance {
    const admitted = this.#options.admit(node, peer);
    if (admitted.ok) {
      const { instance } = admitted;
      this.log.info('proxy connected', { instance, identity: peer.spiffeId ?? '' });
    }
    return admitted;
  }

  authenticate(token: string): RegisteredInstance | null {
    return this.#options.registry.authenticate(token);
  }

  snapshot(stream: AdsStream): AdsSnapshot {
    const registered = this.#options.registry.instances.get(stream.instance);
    if (!registered) return { version: '', types: new Map() };
    return this.#options.snapshot(registered, stream);
  }

  onState(stream: AdsStream, events: readonly AdsServerEvent[]): void {
    for (const event of events) {
      if (event.kind !== 'nack') continue;
      const type = shortTypeNames.get(event.typeUrl) ?? event.typeUrl;
      this.#metrics.rejected(type);
      this.log.warning('proxy refused configuration', {
        instance: stream.instance,
        type,
        resources: [...event.rejected.keys()].join(' '),
        error: event.message,
      });
    }
    this.#announce(stream);
  }

  onClosed(stream: AdsStream): void {
    this.#streams.delete(stream);
    this.#metrics.connected(this.#streams.size);
    // One with a certificate that never named an instance was refused, and that was told.
    if (stream.instance === '') return;
    this.log.info('proxy disconnected', { instance: stream.instance });
    this.#announce(stream);
  }

  #open(stream: GrpcServerStream, variant: AdsVariant): GrpcServerStreamSink {
    const token = bearerToken(stream.metadata);
    const registered = token === null ? null : this.authenticate(token);
    if (!registered)
      return this.#refuse(stream, 'a registered instance’s token is required (authorization: Bearer …)');
    return this.#take(stream, variant, registered.instance);
  }

  #openSecure(stream: GrpcServerStream, variant: AdsVariant): GrpcServerStreamSink {
    if (stream.peer.spiffeId === undefined)
      return this.#refuse(stream, 'a certificate of the mesh is required for configuration');
    return this.#take(stream, variant, null);
  }

  #refuse(stream: GrpcServerStream, reason: string): GrpcServerStreamSink {
    this.log.warning('stream refused', { peer: stream.peer.address, reason });
    stream.end(GrpcStatus.unauthenticated, reason);
    return { onMessage: () => {}, onHalfClose: () => {}, onCancelled: () => {} };
  }

  #take(stream: GrpcServerStream, variant: AdsVariant, instance: string | null): AdsStream {
    const ads = new AdsStream(this, stream, variant, instance);
    this.#streams.add(ads);
    this.#metrics.connected(this.#streams.size);
    if (instance !== null) this.log.info('proxy connected', { instance, variant });
    return ads;
  }

  /** A fault in translating for one proxy leaves the others served, and that one with what it has. */
  #push(stream: AdsStream): void {
    try {
      stream.push();
    } catch (error) {
      this.log.error('a proxy could not be brought up to date', {
        instance: stream.instance,
        error: error instanceof Error ? (error.stack ?? error.message) : String(error),
      });
    }
  }

  #announce(stream: AdsStream): void {
    const nodeId = stream.node?.id ?? '';
    for (const listener of this.#listeners) listener(nodeId);
  }
}
