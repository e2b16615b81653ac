/**
 * STRICT_DNS and LOGICAL_DNS: names are resolved on the main thread, once for all data loops, which get
 * the answers as endpoint lists. A name is asked again after its TTL or the cluster's refresh rate, with
 * jitter; a failed answer leaves the last good one in place and is retried with growing pauses.
 */
import { isIP } from 'node:net';
import { TimerNode, type Logger, type TimerWheel } from '@sluice/runtime';
import type { ClusterLoadAssignment, LbEndpoint } from '@sluice/xds';
import type { DnsSettings } from './cluster-settings.ts';

export interface DnsAnswer {
  readonly addresses: readonly string[];
  /** Smallest TTL of the records; null where the resolver does not tell. */
  readonly ttlMs: number | null;
}

export interface DnsResolver {
  /** Rejects with an Error whose message is for the log. `withTtl`: TTLs are wanted. */
  resolve(name: string, family: DnsSettings['family'], withTtl: boolean): Promise<DnsAnswer>;
}

export interface DnsClustersDeps {
  readonly resolver: DnsResolver;
  readonly timers: TimerWheel;
  readonly random: () => number;
  readonly logger: Logger;
  /** A changed answer, or the first one. `clusterName` is the cluster's own name. */
  onEndpoints(assignment: ClusterLoadAssignment): void;
}

/** Share of the interval by which refreshes are spread, so that many proxies do not ask at once. */
const jitterShare = 0.1;
/** A TTL of 0 must not become a busy loop. */
const minRefreshMs = 1_000;

export class DnsClusters {
  readonly #deps: DnsClustersDeps;
  readonly #clusters = new Map<string, DnsCluster>();

  constructor(deps: DnsClustersDeps) {
    this.#deps = deps;
  }

  /** Answers that the cluster had under its name stay until new ones come. */
  put(name: string, assignment: ClusterLoadAssignment, settings: DnsSettings, isLogical: boolean): void {
    const old = this.#clusters.get(name);
    old?.stop();
    const cluster = new DnsCluster(
      name,
      assignment,
      settings,
      isLogical,
      old?.answers ?? new Map(),
      this.#deps,
    );
    this.#clusters.set(name, cluster);
    cluster.start();
  }

  remove(name: string): void {
    this.#clusters.get(name)?.stop();
    this.#clusters.delete(name);
  }

  stop(): void {
    for (const cluster of this.#clusters.values()) cluster.stop();
    this.#clusters.clear();
  }
}

class DnsCluster {
  readonly answers: Map<string, readonly string[]>;
  readonly #name: string;
  readonly #assignment: ClusterLoadAssignment;
  readonly #settings: DnsSettings;
  readonly #isLogical: boolean;
  readonly #deps: DnsClustersDeps;
  readonly #timers = new Map<string, TimerNode>();
  readonly #failures = new Map<string, number>();
  #published = '';
  #isStopped = false;

  constructor(
    name: string,
    assignment: ClusterLoadAssignment,
    settings: DnsSettings,
    isLogical: boolean,
    answers: Map<string, readonly string[]>,
    deps: DnsClustersDeps,
  ) {
    this.#name = name;
    this.#assignment = assignment;
    this.#settings = settings;
    this.#isLogical = isLogical;
    this.answers = new Map(answers);
    this.#deps = deps;
  }

  start(): void {
    const names = new Set(
      this.#members()
        .map(hostOf)
        .filter((host) => isIP(host) === 0),
    );
    for (const name of names) void this.#resolve(name);
    this.#publish();
  }

  stop(): void {
    this.#isStopped = true;
    for (const timer of this.#timers.values()) this.#deps.timers.disarm(timer);
  }

  async #resolve(name: string): Promise<void> {
    const { family, respectTtl, refreshMs } = this.#settings;
    try {
      const answer = await this.#deps.resolver.resolve(name, family, respectTtl);
      if (this.#isStopped) return;
      if (answer.addresses.length === 0) throw new Error('the name has no addresses');
      this.#failures.delete(name);
      this.answers.set(name, [...answer.addresses].sort());
      this.#publish();
      this.#arm(name, Math.max(respectTtl ? (answer.ttlMs ?? refreshMs) : refreshMs, minRefreshMs));
    } catch (error) {
      if (!this.#isStopped) this.#failed(name, error);
    }
  }

  #failed(name: string, error: unknown): void {
    const failures = this.#failures.get(name) ?? 0;
    this.#failures.set(name, failures + 1);
    const { failureBaseMs, failureMaxMs } = this.#settings;
    const pauseMs = Math.max(Math.min(failureBaseMs * 2 ** failures, failureMaxMs), minRefreshMs);
    const reason = error instanceof Error ? error.message : String(error);
    this.#deps.logger.warning('a name could not be resolved', {
      cluster: this.#name,
      name,
      reason,
      retryInMs: pauseMs,
    });
    // An empty answer is an answer: a new cluster goes live without endpoints rather than wait for ever.
    if (!this.answers.has(name)) this.answers.set(name, []);
    this.#publish();
    this.#arm(name, pauseMs);
  }

  #arm(name: string, delayMs: number): void {
    const timer = this.#timers.get(name) ?? new TimerNode(() => void this.#resolve(name));
    this.#timers.set(name, timer);
    this.#deps.timers.arm(timer, delayMs * (1 + jitterShare * this.#deps.random()));
  }

  /** Only once every name has had its first answer, and only when something changed. */
  #publish(): void {
    const hosts = this.#members().map(hostOf);
    if (hosts.some((host) => isIP(host) === 0 && !this.answers.has(host))) return;
    const key = JSON.stringify(hosts.map((host) => this.answers.get(host) ?? host));
    if (key === this.#published) return;
    this.#published = key;
    const endpoints = this.#assignment.endpoints.map((group) => ({
      ...group,
      lbEndpoints: group.lbEndpoints.flatMap((member) => this.#resolved(member)),
    }));
    this.#deps.onEndpoints({ ...this.#assignment, clusterName: this.#name, endpoints });
  }

  #resolved(member: LbEndpoint): LbEndpoint[] {
    const host = hostOf(member);
    const socket = member.endpoint?.address?.socketAddress;
    if (isIP(host) !== 0 || socket === undefined || member.endpoint === undefined) return [member];
    const { endpoint } = member;
    const all = this.answers.get(host) ?? [];
    // LOGICAL_DNS is one host that happens to have many addresses: one of them at a time.
    const addresses = this.#isLogical ? all.slice(0, 1) : all;
    return addresses.map((address) => ({
      ...member,
      endpoint: {
        ...endpoint,
        hostname: endpoint.hostname === '' ? host : endpoint.hostname,
        address: { socketAddress: { ...socket, address } },
      },
    }));
  }

  #members(): LbEndpoint[] {
    return this.#assignment.endpoints.flatMap((group) => group.lbEndpoints);
  }
}

function hostOf(member: LbEndpoint): string {
  return member.endpoint?.address?.socketAddress?.address ?? '';
}
