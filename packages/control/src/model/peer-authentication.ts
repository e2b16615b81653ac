/**
 * Which connections a workload takes, by port: PeerAuthentications of the mesh (root namespace), the namespace and
 * the workload, in this order of inheritance. As in Istio, UNSET inherits, the oldest of several at one level wins,
 * a selector in the root namespace selects nothing, and PERMISSIVE is what holds where nothing is written.
 */
import type { PeerAuthenticationSpec, ResourceKey } from '@sluice/api';
import { selects } from './instance.ts';

export type TlsMode = 'DISABLE' | 'PERMISSIVE' | 'STRICT';

export interface PeerAuthenticationSource {
  readonly key: ResourceKey;
  readonly namespace: string;
  readonly spec: PeerAuthenticationSpec;
  readonly createdMs: number;
}

/** What holds for one workload, and by which resources. */
export interface MutualTlsPolicy {
  readonly mode: TlsMode;
  /** Ports of the workload with a mode of their own. */
  readonly ports: ReadonlyMap<number, TlsMode>;
  /** What `mode` comes from; null = the default. */
  readonly origin: ResourceKey | null;
  readonly portsOrigin: ResourceKey | null;
}

export interface WorkloadFacts {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

export const defaultPolicy: MutualTlsPolicy = {
  mode: 'PERMISSIVE',
  ports: new Map(),
  origin: null,
  portsOrigin: null,
};

/** A resource that has no effect because an older one of the same level has. */
export interface BeatenPolicy {
  readonly loser: PeerAuthenticationSource;
  readonly winner: PeerAuthenticationSource;
}

/** Immutable; made anew when any PeerAuthentication changes. Equal policies are the same objects. */
export class PeerAuthenticationIndex {
  readonly #rootNamespace: string;
  readonly #mesh: PeerAuthenticationSource | null = null;
  readonly #namespaces = new Map<string, PeerAuthenticationSource>();
  /** By namespace, the oldest first. */
  readonly #workloads = new Map<string, PeerAuthenticationSource[]>();
  readonly #policies = new Map<string, MutualTlsPolicy>();
  /** Those of the index before: what says the same stays the same object. */
  readonly #earlier: ReadonlyMap<string, MutualTlsPolicy>;
  readonly beaten: readonly BeatenPolicy[];

  constructor(
    sources: Iterable<PeerAuthenticationSource>,
    rootNamespace: string,
    before?: PeerAuthenticationIndex,
  ) {
    this.#rootNamespace = rootNamespace;
    this.#earlier = before === undefined ? new Map<string, MutualTlsPolicy>() : before.#policies;
    const beaten: BeatenPolicy[] = [];
    for (const source of [...sources].sort(compareAge)) {
      if (hasSelector(source.spec)) {
        const others = this.#workloads.get(source.namespace) ?? [];
        const winner = others.find((other) => sameSelector(other.spec, source.spec));
        if (winner) beaten.push({ loser: source, winner });
        this.#workloads.set(source.namespace, [...others, source]);
        continue;
      }
      const isMesh = source.namespace === rootNamespace;
      const winner = isMesh ? this.#mesh : this.#namespaces.get(source.namespace);
      if (winner) beaten.push({ loser: source, winner });
      else if (isMesh) this.#mesh = source;
      else this.#namespaces.set(source.namespace, source);
    }
    this.beaten = beaten;
  }

  of(workload: WorkloadFacts): MutualTlsPolicy {
    const levels = [
      this.#mesh,
      this.#namespaces.get(workload.namespace),
      workload.namespace === this.#rootNamespace ? null : this.#workloadSource(workload),
    ];
    let mode: TlsMode = 'PERMISSIVE';
    let origin: ResourceKey | null = null;
    for (const source of levels) {
      const written = source?.spec.mtls?.mode;
      if (!source || written === undefined || written === 'UNSET') continue;
      mode = written;
      origin = source.key;
    }
    const own = levels[2];
    const ports = new Map<number, TlsMode>();
    for (const [number, { mode: written }] of Object.entries(own?.spec.portLevelMtls ?? {}))
      if (written !== undefined && written !== 'UNSET') ports.set(Number(number), written);
    return this.#shared({ mode, ports, origin, portsOrigin: ports.size > 0 && own ? own.key : null });
  }

  #workloadSource({ namespace, labels }: WorkloadFacts): PeerAuthenticationSource | null {
    const own = this.#workloads.get(namespace) ?? [];
    return own.find((source) => selects(source.spec.selector?.matchLabels ?? {}, labels)) ?? null;
  }

  /** One object for equal policies: caches downstream compare by identity. */
  #shared(policy: MutualTlsPolicy): MutualTlsPolicy {
    if (policy.origin === null && policy.ports.size === 0) return defaultPolicy;
    const id = JSON.stringify([policy.mode, [...policy.ports], policy.origin, policy.portsOrigin]);
    const known = this.#policies.get(id);
    if (known) return known;
    const kept = this.#earlier.get(id) ?? policy;
    this.#policies.set(id, kept);
    return kept;
  }
}

export function modeOfPort(policy: MutualTlsPolicy, port: number): TlsMode {
  return policy.ports.get(port) ?? policy.mode;
}

/** The resource that decides about a port; null = the default. */
export function originOfPort(policy: MutualTlsPolicy, port: number): ResourceKey | null {
  return policy.ports.has(port) ? policy.portsOrigin : policy.origin;
}

export function hasSelector(spec: PeerAuthenticationSpec): boolean {
  return Object.keys(spec.selector?.matchLabels ?? {}).length > 0;
}

function sameSelector(a: PeerAuthenticationSpec, b: PeerAuthenticationSpec): boolean {
  return sortedLabels(a) === sortedLabels(b);
}

function sortedLabels(spec: PeerAuthenticationSpec): string {
  return JSON.stringify(Object.entries(spec.selector?.matchLabels ?? {}).sort());
}

function compareAge(a: PeerAuthenticationSource, b: PeerAuthenticationSource): number {
  return a.createdMs - b.createdMs || (a.key.name < b.key.name ? -1 : a.key.name > b.key.name ? 1 : 0);
}
