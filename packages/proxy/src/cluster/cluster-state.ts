/**
 * A live cluster of one data loop: settings, endpoints, and the host set that picks among them.
 *
 * Endpoint objects are kept for addresses that stay. Those that leave drain their pool at once: idle
 * connections close, busy ones after their request, so nothing in flight is cut.
 */
import type { Cluster, ClusterStats, Endpoint, PickContext, PriorityLimits } from './cluster.ts';
import type { ClusterSettings } from './cluster-settings.ts';
import type { CompiledAssignment } from './compile-endpoints.ts';
import { EndpointState, endpointLabel } from './endpoint-state.ts';
import { buildHostSet, localityKey, type HostSet } from './host-set.ts';
import { OriginalDestinations } from './original-destinations.ts';
import type { TlsEnvironment } from '../tls/tls-environment.ts';
import type { UpstreamTransport } from '../tls/transport.ts';
import { ClusterTransports } from './cluster-transports.ts';
import { priorityLimits, type SharedLimitsMemory } from './shared-limits.ts';

export interface ClusterEnvironment {
  readonly limits: SharedLimitsMemory;
  readonly nowMs: () => number;
  readonly random: () => number;
  bindStats(cluster: Cluster): ClusterStats;
  readonly tls: TlsEnvironment;
}

export class ClusterState implements Cluster {
  readonly settings: ClusterSettings;
  readonly version: string;
  readonly limits: PriorityLimits;
  readonly highPriorityLimits: PriorityLimits;
  stats: ClusterStats;
  readonly #environment: ClusterEnvironment;
  #endpoints: readonly EndpointState[] = [];
  #hosts: HostSet;
  #localityWeights: ReadonlyMap<string, number> = new Map();
  #isWarm = false;
  #assignmentVersion = '';
  readonly #destinations: OriginalDestinations | null;
  readonly #transports: ClusterTransports;

  constructor(
    settings: ClusterSettings,
    version: string,
    limitsSlot: number,
    environment: ClusterEnvironment,
  ) {
    this.settings = settings;
    this.version = version;
    this.#environment = environment;
    this.limits = priorityLimits(environment.limits, limitsSlot, 'default', settings.limits);
    this.highPriorityLimits = priorityLimits(
      environment.limits,
      limitsSlot,
      'high',
      settings.highPriorityLimits,
    );
    this.#transports = new ClusterTransports(settings.transports, environment.tls, settings.statName);
    this.#destinations =
      settings.originalDst === null ? null : new OriginalDestinations(settings.name, settings.originalDst);
    this.#isWarm = settings.type === 'ORIGINAL_DST';
    this.#hosts = this.#buildHosts();
    this.stats = environment.bindStats(this);
  }

  get name(): string {
    return this.settings.name;
  }
  get statName(): string {
    return this.settings.statName;
  }
  get type(): ClusterSettings['type'] {
    return this.settings.type;
  }
  get connectTimeoutMs(): number {
    return this.settings.connectTimeoutMs;
  }
  get maxRequestsPerConnection(): number {
    return this.settings.maxRequestsPerConnection;
  }
  get poolIdleTimeoutMs(): number {
    return this.settings.poolIdleTimeoutMs;
  }
  get maxConnectionDurationMs(): number {
    return this.settings.maxConnectionDurationMs;
  }
  get bufferLimitBytes(): number {
    return this.settings.bufferLimitBytes;
  }
  get protocol(): ClusterSettings['protocol'] {
    return this.settings.protocol;
  }
  get http2(): ClusterSettings['http2'] {
    return this.settings.http2;
  }
  get tlsNames(): ClusterSettings['tlsNames'] {
    return this.settings.tlsNames;
  }
  get sourceAddress(): string | null {
    return this.settings.sourceAddress;
  }
  get keepalive(): ClusterSettings['keepalive'] {
    return this.settings.keepalive;
  }
  get origin(): string | null {
    return this.settings.origin;
  }
  get service(): ClusterSettings['service'] {
    return this.settings.service;
  }
  get isWarm(): boolean {
    return this.#isWarm;
  }
  get isInPanic(): boolean {
    return this.#hosts.isInPanic;
  }
  get assignmentVersion(): string {
    return this.#assignmentVersion;
  }

  get endpoints(): readonly Endpoint[] {
    return this.#destinations === null ? this.#endpoints : this.#destinations.all();
  }

  pick(context: PickContext): Endpoint | null {
    const nowMs = this.#environment.nowMs();
    if (this.#destinations !== null) return this.#destinations.pick(context, nowMs);
    return this.#hosts.pick(context, nowMs);
  }

  endpointFor(address: string, port: number): Endpoint | null {
    const nowMs = this.#environment.nowMs();
    if (this.#destinations !== null) return this.#destinations.find(address, port, nowMs);
    const label = endpointLabel(address, port);
    return this.#endpoints.find((endpoint) => endpoint.label === label) ?? null;
  }

  transportFor(endpoint: Endpoint): UpstreamTransport {
    return this.#transports.of(endpoint);
  }

  /** A secret has changed: pools whose connections were made with another one end gently. */
  renewConnections(secret: string, soon: (run: () => void) => void): void {
    if (!this.#transports.uses(secret)) return;
    for (const endpoint of this.endpoints) {
      if (endpoint.pool !== null) soon(() => endpoint.pool?.retireOutdated());
    }
  }

  setEndpoints(assignment: CompiledAssignment, version: string): void {
    const known = new Map(this.#endpoints.map((endpoint) => [endpoint.label, endpoint]));
    const next: EndpointState[] = [];
    const seen = new Set<string>();
    for (const spec of assignment.endpoints) {
      const label = endpointLabel(spec.address, spec.port);
      // A second mention of an address would make two endpoints of one: the first wins, as in Envoy.
      if (seen.has(label)) continue;
      seen.add(label);
      const kept = known.get(label);
      kept?.update(spec);
      known.delete(label);
      next.push(kept ?? new EndpointState(this.name, spec));
    }
    this.#endpoints = next;
    this.#localityWeights = assignment.localityWeights;
    this.#assignmentVersion = version;
    this.#isWarm = true;
    this.#hosts = this.#buildHosts();
    for (const gone of known.values()) gone.pool?.drain();
  }

  /** An updated cluster goes on with the endpoints, pools and counters of the one it replaces. */
  adopt(old: ClusterState): void {
    if (this.#destinations !== null && old.#destinations !== null)
      this.#destinations.adopt(old.#destinations);
    if (this.#destinations !== null || old.#destinations !== null || !old.#isWarm) return;
    this.#endpoints = old.#endpoints;
    this.#localityWeights = old.#localityWeights;
    this.#assignmentVersion = old.#assignmentVersion;
    this.#isWarm = true;
    this.#hosts = this.#buildHosts();
  }

  /** Forgets original destinations that were not used for a while. */
  sweep(nowMs: number): void {
    this.#destinations?.sweep(nowMs);
  }

  /** The cluster was removed: connections end with their last request. */
  drain(): void {
    for (const endpoint of this.endpoints) endpoint.pool?.drain();
  }

  #buildHosts(): HostSet {
    const { policy, panicThresholdPercent, isLocalityWeighted } = this.settings;
    return buildHostSet(
      this.#endpoints,
      {
        policy,
        panicThresholdPercent,
        failTrafficOnPanic: false,
        isLocalityWeighted,
        localityWeight: (endpoint) => this.#localityWeights.get(localityKey(endpoint)) ?? 0,
      },
      this.#environment.random,
    );
  }
}
