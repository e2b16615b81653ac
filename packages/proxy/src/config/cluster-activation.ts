/**
 * Clusters from arrival to service: checked, warmed (endpoints or DNS answers have come), then sent to the
 * data loops. A new version of a cluster warms beside the live one. What is refused changes nothing.
 */
import { canonicalJson, contentHash, TimerNode } from '@sluice/runtime';
import type { Cluster, ClusterLoadAssignment, UnhonouredReport } from '@sluice/xds';
import type { ClusterSettings } from '../cluster/cluster-settings.ts';
import type { DnsClusters } from '../cluster/dns-clusters.ts';
import type { LimitSlots } from '../cluster/shared-limits.ts';
import type { ClusterManagerFacts } from '../telemetry/metrics/manager-stats.ts';
import type { ClusterMembership } from '../telemetry/metrics/membership-stats.ts';
import type { ActivationBase } from './activation-base.ts';
import type { ConfigChecker } from './checker.ts';
import type { ResourceVersion } from './config-store.ts';
import { countMembers } from './count-members.ts';
import { endpointsOf } from './references.ts';
import type { SecretActivation } from './secret-activation.ts';
import { joined } from './verdict.ts';

export interface ActivationDeps extends ActivationBase {
  readonly checker: ConfigChecker;
  readonly secrets: Pick<SecretActivation, 'inline' | 'awaitedBy' | 'release'>;
}

export interface ClusterActivationDeps extends ActivationDeps {
  readonly slots: LimitSlots;
  readonly dns: DnsClusters;
}

interface Held {
  /** As given: `message` has its files read in. */
  readonly given: Cluster;
  readonly message: Cluster;
  /** What the loops know it by. */
  readonly version: string;
  readonly settings: ClusterSettings;
  readonly record: ResourceVersion;
}

interface Assignment {
  readonly message: ClusterLoadAssignment;
  readonly version: string;
}

export class ClusterActivation {
  readonly #deps: ClusterActivationDeps;
  readonly #live = new Map<string, Held>();
  readonly #warming = new Map<string, Held>();
  readonly #timers = new Map<string, TimerNode>();
  readonly #changes = { added: 0, modified: 0, removed: 0 };
  #revision = 0;
  /** By EDS name. */
  readonly #assignments = new Map<string, Assignment>();
  /** Cluster names whose current DNS set was answered. */
  readonly #resolved = new Map<string, Assignment>();
  /** Clusters that only the main thread speaks to (the control plane's). */
  readonly #controlPlane = new Set<string>();

  constructor(deps: ClusterActivationDeps) {
    this.#deps = deps;
  }

  get warmingNames(): readonly string[] {
    return [...this.#warming.keys()];
  }

  /** How many there are, those of the control plane among them, and what has become of them. */
  facts(): ClusterManagerFacts {
    const active = this.#live.size + this.#controlPlane.size;
    return { active, warming: this.#warming.size, ...this.#changes };
  }

  has(name: string): boolean {
    return this.#live.has(name);
  }

  /** What each live cluster has of endpoints. Original destinations are known to the loops alone. */
  memberships(): ClusterMembership[] {
    const found: ClusterMembership[] = [];
    for (const { message, settings } of this.#live.values()) {
      if (settings.type === 'ORIGINAL_DST') continue;
      const assignment =
        settings.type === 'STATIC' ? message.loadAssignment : this.#assignmentOf(message, settings)?.message;
      found.push({ statName: settings.statName, ...countMembers(assignment) });
    }
    return found;
  }

  /** Names of the endpoint lists that clusters want. */
  wantedEndpoints(): Set<string> {
    const names = new Set<string>();
    for (const held of [...this.#live.values(), ...this.#warming.values()]) {
      const source = endpointsOf(held.message);
      if (source !== null) names.add(source.name);
    }
    return names;
  }

  /** A cluster of the bootstrap that carries xDS: HTTP/2 is right for it, and data loops never see it. */
  putControlPlane(message: Cluster, version: string): void {
    if (!this.#controlPlane.has(message.name)) this.#changes.added++;
    this.#controlPlane.add(message.name);
    const record = { message, version, updatedMs: this.#deps.wallMs(), unhonoured: [] };
    this.#deps.store.change('cluster', message.name, { isStatic: true, live: record });
  }

  /** Returns why the resource is refused, or null. */
  put(message: Cluster, version: string, decoded: UnhonouredReport | null, isStatic: boolean): string | null {
    const { store, wallMs, slots } = this.#deps;
    const { name } = message;
    const inlined = this.#deps.secrets.inline('cluster', message, version, isStatic);
    const judged = this.#deps.checker.cluster(inlined.message, decoded);
    const known = store.get('cluster', name);
    let rejection = joined(inlined.rejection, judged.rejection);
    if (!isStatic && (this.#controlPlane.has(name) || known?.isStatic === true)) {
      rejection = 'a static cluster of the bootstrap has this name';
    }
    if (rejection === null && slots.slotOf(name) === null) rejection = 'too many clusters';
    if (rejection !== null) {
      store.change('cluster', name, { rejected: { version, reason: rejection, atMs: wallMs() } });
      return rejection;
    }
    if (judged.unhonoured.length > 0) this.#deps.warn('cluster', name, judged.unhonoured);
    const record = { message, version, updatedMs: wallMs(), unhonoured: judged.unhonoured };
    store.change('cluster', name, { isStatic, warming: record, rejected: null });
    this.#countChange((this.#warming.get(name) ?? this.#live.get(name))?.given, message);
    this.#revision++;
    this.#warming.set(name, { ...inlined, given: message, settings: judged.compiled, record });
    const { dns, type } = judged.compiled;
    if (dns !== null && message.loadAssignment !== undefined) {
      this.#resolved.delete(name);
      this.#deps.dns.put(name, message.loadAssignment, dns, type === 'LOGICAL_DNS');
    }
    this.#warm(name);
    this.#deps.changed();
    return null;
  }

  remove(name: string): void {
    if (this.#deps.store.get('cluster', name)?.isStatic === true) return;
    this.#disarm(name);
    this.#revision++;
    if (this.#live.has(name) || this.#warming.has(name)) this.#changes.removed++;
    this.#warming.delete(name);
    this.#resolved.delete(name);
    this.#deps.dns.remove(name);
    if (this.#live.delete(name)) this.#deps.send({ kind: 'removeCluster', name });
    this.#deps.secrets.release('cluster', name);
    this.#deps.slots.release(name);
    this.#deps.store.remove('cluster', name);
    this.#deps.changed();
  }

  putEndpoints(
    message: ClusterLoadAssignment,
    version: string,
    decoded: UnhonouredReport | null,
  ): string | null {
    const { store, wallMs } = this.#deps;
    const name = message.clusterName;
    const judged = this.#deps.checker.endpoints(message, decoded);
    if (judged.rejection !== null) {
      store.change('endpoints', name, { rejected: { version, reason: judged.rejection, atMs: wallMs() } });
      return judged.rejection;
    }
    if (judged.unhonoured.length > 0) this.#deps.warn('endpoints', name, judged.unhonoured);
    const record = { message, version, updatedMs: wallMs(), unhonoured: judged.unhonoured };
    store.change('endpoints', name, { live: record, rejected: null });
    const assignment = { message, version };
    this.#assignments.set(name, assignment);
    if (this.#usesEndpoints(name)) this.#sendEndpoints(assignment);
    for (const [cluster, held] of this.#warming) {
      if (endpointsOf(held.message)?.name === name) this.#warm(cluster);
    }
    this.#deps.changed();
    return null;
  }

  /** The list is gone, or nobody wants it any more. Live clusters keep the endpoints they have. */
  removeEndpoints(name: string): void {
    this.#assignments.delete(name);
    this.#deps.store.remove('endpoints', name);
  }

  /** Forgets endpoint lists that no cluster names any more; the subscription to them is gone as well. */
  forgetUnwanted(wanted: ReadonlySet<string>): void {
    for (const name of this.#assignments.keys()) if (!wanted.has(name)) this.removeEndpoints(name);
  }

  /** From `DnsClusters`. */
  putResolved(message: ClusterLoadAssignment): void {
    const name = message.clusterName;
    const assignment = { message, version: contentHash(canonicalJson(message)) };
    this.#resolved.set(name, assignment);
    if (this.#live.get(name)?.settings.dns != null) this.#sendEndpoints(assignment);
    if (this.#warming.has(name)) this.#warm(name);
    this.#deps.changed();
  }

  /** A secret has come. */
  rewarm(): void {
    for (const name of this.#warming.keys()) this.#warm(name);
  }

  /** A file that the cluster names was replaced. Returns why it cannot be taken, or null. */
  refresh(name: string): string | null {
    const held = this.#warming.get(name) ?? this.#live.get(name);
    if (held === undefined) return null;
    const isStatic = this.#deps.store.get('cluster', name)?.isStatic === true;
    return this.put(held.given, held.record.version, null, isStatic);
  }

  /** What a warming cluster waits for, in words. */
  waitingFor(name: string): string {
    const held = this.#warming.get(name);
    const [secret] = held === undefined ? [] : this.#deps.secrets.awaitedBy(held.given);
    return secret === undefined ? 'its endpoints' : `secret "${secret.name}"`;
  }

  /** What is live, with its files read in. */
  liveMessages(): Cluster[] {
    return [...this.#live.values()].map(({ message }) => message);
  }

  /** Rises when another set of resources is held: what was found in them is then looked for again. */
  get revision(): number {
    return this.#revision;
  }

  /** All that is held, as given. */
  messages(): Cluster[] {
    return [...this.#live.values(), ...this.#warming.values()].map(({ given }) => given);
  }

  /** What comes again as it is, or had a file of it replaced, is no other cluster. */
  #countChange(held: Cluster | undefined, message: Cluster): void {
    if (held === undefined) this.#changes.added++;
    else if (!Bun.deepEquals(held, message)) this.#changes.modified++;
  }

  /** Goes live when what it waits for is there. DNS answers have no limit of time here: the resolver has. */
  #warm(name: string): void {
    const held = this.#warming.get(name);
    if (held === undefined || (held.settings.dns !== null && !this.#resolved.has(name))) return;
    const { timeoutsMs } = this.#missing(held);
    if (timeoutsMs.length === 0) return this.#activate(name, held);
    if (timeoutsMs.every((timeoutMs) => timeoutMs > 0)) this.#arm(name, Math.max(...timeoutsMs));
  }

  #missing(held: Held): { readonly words: readonly string[]; readonly timeoutsMs: readonly number[] } {
    const secrets = this.#deps.secrets.awaitedBy(held.given);
    const source = held.settings.dns === null ? endpointsOf(held.message) : null;
    const lists = source === null || this.#assignments.has(source.name) ? [] : [source];
    return {
      words: [
        ...secrets.map((secret) => `secret "${secret.name}"`),
        ...lists.map((list) => `endpoint list "${list.name}"`),
      ],
      timeoutsMs: [...secrets, ...lists].map(({ fetchTimeoutMs }) => fetchTimeoutMs),
    };
  }

  #arm(name: string, timeoutMs: number): void {
    if (this.#timers.has(name)) return;
    const timer = new TimerNode(() => {
      const held = this.#warming.get(name);
      this.#timers.delete(name);
      // Envoy's initial_fetch_timeout: better live without endpoints than holding up everything after it.
      if (held !== undefined) {
        this.#deps.wentWithout('cluster', name, this.#missing(held).words);
        this.#activate(name, held);
      }
      this.#deps.changed();
    });
    this.#timers.set(name, timer);
    this.#deps.timers.arm(timer, timeoutMs);
  }

  #disarm(name: string): void {
    const timer = this.#timers.get(name);
    if (timer !== undefined) this.#deps.timers.disarm(timer);
    this.#timers.delete(name);
  }

  #activate(name: string, held: Held): void {
    this.#disarm(name);
    this.#warming.delete(name);
    if (held.settings.dns === null) this.#deps.dns.remove(name);
    this.#live.set(name, held);
    this.#revision++;
    this.#deps.store.change('cluster', name, { live: held.record, warming: null });
    const limitsSlot = this.#deps.slots.slotOf(name) ?? 0;
    this.#deps.send({ kind: 'putCluster', version: held.version, cluster: held.message, limitsSlot });
    const source = endpointsOf(held.message);
    const assignment = this.#assignmentOf(held.message, held.settings);
    if (assignment !== undefined) this.#sendEndpoints(assignment);
    else if (source !== null) this.#sendEndpoints(noEndpoints(source.name));
  }

  #assignmentOf(message: Cluster, settings: ClusterSettings): Assignment | undefined {
    if (settings.dns !== null) return this.#resolved.get(settings.name);
    return this.#assignments.get(endpointsOf(message)?.name ?? '');
  }

  #usesEndpoints(name: string): boolean {
    return [...this.#live.values()].some((held) => endpointsOf(held.message)?.name === name);
  }

  #sendEndpoints({ message, version }: Assignment): void {
    this.#deps.send({ kind: 'putEndpoints', version, part: 0, isLast: true, assignment: message });
  }
}

function noEndpoints(clusterName: string): Assignment {
  return { message: { clusterName, endpoints: [], namedEndpoints: {} }, version: '' };
}
