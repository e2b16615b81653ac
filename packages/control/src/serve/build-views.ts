/** The views of the API and the page, computed from the store, the registry and what the ADS side reports. */
import { formatOrigin, type Problem } from '@sluice/api';
import type { InstanceRegistry } from '../registry/instance-registry.ts';
import type { ResourceStore } from '../source/store.ts';
import type { ProxyState } from '../status/proxy-state.ts';
import { conditionsOf } from './conditions.ts';
import { troublesOf } from './resource-troubles.ts';
import type { MeshSummary, MeshViews, ResourceView, ServiceView } from './mesh-views.ts';

export interface ViewSources {
  readonly store: ResourceStore;
  readonly registry: InstanceRegistry;
  readonly proxies: () => Iterable<ProxyState>;
  readonly services: () => readonly ServiceView[];
  readonly edges: MeshViews['edges'];
  /** Of the file with the settings of the mesh. */
  readonly settingsProblems: () => readonly Problem[];
  readonly analyze: (text: string) => readonly Problem[];
  readonly about: () => Omit<MeshSummary, 'revision' | 'isEvictionFrozen' | 'fileProblems' | 'troubles'>;
}

export function buildViews({
  store,
  registry,
  proxies,
  services,
  edges,
  settingsProblems,
  analyze,
  about,
}: ViewSources): MeshViews {
  const resources = (): readonly ResourceView[] =>
    [...store.all()].map(({ key, object, serving, origin, generation, problems }) => ({
      key,
      origin: formatOrigin(origin),
      generation,
      isCurrent: serving?.metadata.generation === generation,
      isServing: serving !== null,
      problems,
      conditions: conditionsOf(object),
    }));
  return {
    summary: () => ({
      ...about(),
      revision: store.revision,
      isEvictionFrozen: registry.isFrozen,
      fileProblems: [...settingsProblems(), ...[...store.fileProblems.values()].flat()],
      troubles: troublesOf(resources()),
    }),
    proxies: () => [...proxies()],
    instances: () =>
      [...registry.instances.values()].map(
        ({ instance, registration, isHealthy, healthMessage, isRevoked, registeredWallMs }) => ({
          instance,
          registration,
          isHealthy,
          healthMessage,
          isRevoked,
          registeredAt: new Date(registeredWallMs).toISOString(),
          silentMs: Math.round(registry.silentMs(instance) ?? 0),
        }),
      ),
    services,
    edges,
    resources,
    analyze,
  };
}
