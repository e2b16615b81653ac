/**
 * What one client sees: its namespace's services by exportTo, narrowed by the Sidecar resource that
 * selects it. Clients with an equal scope share clusters, endpoints and routes byte for byte.
 */
import type { ResourceKey, SidecarSpec } from '@sluice/api';
import { hasLabels } from './instance.ts';
import { isVisibleTo } from './service.ts';
import type { MeshService } from './service.ts';

export interface SidecarSource {
  readonly key: ResourceKey;
  readonly namespace: string;
  readonly spec: SidecarSpec;
  readonly createdMs: number;
}

/** `ns/host` of an egress listener: either part may be `*`; `./host` is the own namespace. */
export interface EgressHost {
  readonly namespace: string;
  readonly host: string;
  readonly isExcluded: boolean;
}

/**
 * The Sidecar that applies to a workload: one with a matching selector, else the namespace's without
 * one, else the root namespace's without one. The oldest wins among equals.
 */
export function selectSidecar(
  sidecars: Iterable<SidecarSource>,
  client: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
  rootNamespace: string,
): SidecarSource | null {
  let best: SidecarSource | null = null;
  let bestRank = 0;
  for (const sidecar of sidecars) {
    const rank = rankOf(sidecar, client, rootNamespace);
    const isOlder = best !== null && rank === bestRank && sidecar.createdMs < best.createdMs;
    if (rank > bestRank || (rank > 0 && isOlder)) {
      best = sidecar;
      bestRank = rank;
    }
  }
  return best;
}

/** True when a client in `namespace` with this Sidecar may see the service. */
export function canSee(
  service: MeshService,
  namespace: string,
  egress: readonly EgressHost[] | null,
): boolean {
  if (!isVisibleTo(service.exportTo, namespace)) return false;
  if (egress === null) return true;
  if (egress.some((host) => host.isExcluded && matchesEgress(host, service))) return false;
  return egress.some((host) => !host.isExcluded && matchesEgress(host, service));
}

/** Null: no restriction (no Sidecar, or one without egress). */
export function readEgress(sidecar: SidecarSource | null): EgressHost[] | null {
  const egress = sidecar?.spec.egress;
  if (!sidecar || !egress || egress.length === 0) return null;
  return egress
    .flatMap((listener) => listener.hosts)
    .map((text) => {
      const slash = text.indexOf('/');
      const written = slash < 0 ? '*' : text.slice(0, slash);
      const host = text.slice(slash + 1);
      if (written === '~') return { namespace: '~', host, isExcluded: false };
      const isExcluded = written.startsWith('~');
      const namespace = isExcluded ? written.slice(1) : written;
      return { namespace: namespace === '.' ? sidecar.namespace : namespace, host, isExcluded };
    });
}

function matchesEgress(egress: EgressHost, service: MeshService): boolean {
  if (egress.namespace !== '*' && egress.namespace !== service.namespace) return false;
  if (egress.host === '*') return true;
  if (egress.host.startsWith('*.')) return service.hostname.endsWith(egress.host.slice(1));
  return egress.host === service.hostname;
}

function rankOf(
  sidecar: SidecarSource,
  client: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
  rootNamespace: string,
): number {
  const selector = sidecar.spec.workloadSelector?.labels;
  const isOwn = sidecar.namespace === client.namespace;
  if (selector && Object.keys(selector).length > 0) {
    return isOwn && hasLabels(selector, client.labels) ? 3 : 0;
  }
  if (isOwn) return 2;
  return sidecar.namespace === rootNamespace ? 1 : 0;
}
