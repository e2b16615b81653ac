/**
 * All clusters of a data loop. A cluster whose first endpoints have not arrived waits beside the live
 * one of its name and takes its place when they have (make before break).
 */
import type { ClusterLoadAssignment, Cluster as ClusterMessage } from '@sluice/xds';
import { newProblems, formatProblem } from '../config/problems.ts';
import type { Cluster } from './cluster.ts';
import { ClusterState, type ClusterEnvironment } from './cluster-state.ts';
import { compileCluster } from './compile-cluster.ts';
import { compileAssignment, type CompiledAssignment } from './compile-endpoints.ts';

export class ClusterSet {
  readonly #environment: ClusterEnvironment;
  readonly #live = new Map<string, ClusterState>();
  readonly #warming = new Map<string, ClusterState>();
  /** Parts of an endpoint list that has not wholly arrived, by EDS name. */
  readonly #parts = new Map<string, ClusterLoadAssignment['endpoints'][number][]>();

  constructor(environment: ClusterEnvironment) {
    this.#environment = environment;
  }

  /** For the router: what a route's cluster name means now. */
  find(name: string): Cluster | null {
    return this.#live.get(name) ?? this.#warming.get(name) ?? null;
  }

  all(): Iterable<ClusterState> {
    return this.#live.values();
  }

  /** The main thread has validated the message; an error here is a broken invariant and throws. */
  put(message: ClusterMessage, version: string, limitsSlot: number): void {
    const scope = newProblems();
    const settings = compileCluster(message, scope);
    refuseErrors(message.name, scope.problems);
    const cluster = new ClusterState(settings, version, limitsSlot, this.#environment);
    const old = this.#live.get(settings.name);
    this.#warming.delete(settings.name);
    if (
      old !== undefined &&
      old.settings.type === settings.type &&
      old.settings.edsName === settings.edsName
    ) {
      cluster.adopt(old);
    }
    if (settings.type === 'STATIC') cluster.setEndpoints(staticEndpoints(message), version);
    if (cluster.isWarm) this.#activate(cluster);
    else this.#warming.set(settings.name, cluster);
  }

  remove(name: string): void {
    this.#live.get(name)?.drain();
    this.#live.delete(name);
    this.#warming.delete(name);
  }

  /** `assignment.clusterName` is the EDS name, or the cluster's own for DNS results. */
  putEndpoints(assignment: ClusterLoadAssignment, version: string, part: number, isLast: boolean): void {
    const name = assignment.clusterName;
    const parts = part === 0 ? [] : (this.#parts.get(name) ?? []);
    parts.push(...assignment.endpoints);
    if (!isLast) {
      this.#parts.set(name, parts);
      return;
    }
    this.#parts.delete(name);
    const compiled = compileAssignment({ ...assignment, endpoints: parts }, false, newProblems());
    this.#assign(this.#live, name, compiled, version);
    for (const cluster of this.#assign(this.#warming, name, compiled, version)) this.#activate(cluster);
  }

  /** Connections made with another version of this secret end, spread over time by `soon`. */
  renewConnections(secret: string, soon: (run: () => void) => void): void {
    for (const cluster of this.#live.values()) cluster.renewConnections(secret, soon);
  }

  sweep(nowMs: number): void {
    for (const cluster of this.#live.values()) cluster.sweep(nowMs);
  }

  #assign(
    clusters: ReadonlyMap<string, ClusterState>,
    name: string,
    compiled: CompiledAssignment,
    version: string,
  ): ClusterState[] {
    const found = [...clusters.values()].filter(({ settings }) =>
      settings.type === 'EDS' ? settings.edsName === name : settings.dns !== null && settings.name === name,
    );
    for (const cluster of found) cluster.setEndpoints(compiled, version);
    return found;
  }

  #activate(cluster: ClusterState): void {
    const old = this.#live.get(cluster.name);
    this.#warming.delete(cluster.name);
    this.#live.set(cluster.name, cluster);
    if (old === undefined || old === cluster) return;
    const kept = new Set(cluster.endpoints);
    for (const endpoint of old.endpoints) if (!kept.has(endpoint)) endpoint.pool?.drain();
  }
}

function staticEndpoints({ loadAssignment }: ClusterMessage): CompiledAssignment {
  if (loadAssignment === undefined) return { endpoints: [], localityWeights: new Map() };
  return compileAssignment(loadAssignment, false, newProblems());
}

function refuseErrors(name: string, problems: ReturnType<typeof newProblems>['problems']): void {
  const errors = problems.filter((problem) => problem.severity === 'error');
  if (errors.length > 0) throw new Error(`${name}: ${errors.map(formatProblem).join('; ')}`);
}
