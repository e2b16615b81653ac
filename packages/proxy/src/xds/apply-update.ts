/**
 * One ADS response applied: each resource is decoded and judged by itself, so that a bad one does not hold
 * up its companions. Returns what was refused, with the reasons that become the NACK.
 */
import {
  ClusterLoadAssignmentTable,
  ClusterTable,
  decodeMessage,
  ListenerTable,
  RouteConfigurationTable,
  SecretTable,
  UnhonouredReport,
  VirtualHostTable,
  XdsDecodeError,
  xdsTypes,
  type AdsUpdate,
  type MessageTable,
  type ReceivedResource,
  type RejectedResource,
} from '@sluice/xds';
import type { ClusterActivation } from '../config/cluster-activation.ts';
import type { ListenerActivation } from '../config/listener-activation.ts';
import type { SecretActivation } from '../config/secret-activation.ts';

export interface Activations {
  readonly secrets: SecretActivation;
  readonly clusters: ClusterActivation;
  readonly listeners: ListenerActivation;
}

export function applyUpdate(
  update: AdsUpdate,
  { secrets, clusters, listeners }: Activations,
): readonly RejectedResource[] {
  switch (update.typeUrl) {
    case xdsTypes.cluster:
      for (const name of update.removed) clusters.remove(name);
      return each(update, ClusterTable, (message, { version }, report) =>
        clusters.put(message, version, report, false),
      );
    case xdsTypes.endpoint:
      for (const name of update.removed) clusters.removeEndpoints(name);
      return each(update, ClusterLoadAssignmentTable, (message, { version }, report) =>
        clusters.putEndpoints(message, version, report),
      );
    case xdsTypes.listener:
      // Removals first: a listener may take over the address of one that goes.
      for (const name of update.removed) listeners.remove(name);
      return each(update, ListenerTable, (message, { version }, report) =>
        listeners.put(message, version, report, false),
      );
    case xdsTypes.route:
      for (const name of update.removed) listeners.removeRoutes(name);
      return each(update, RouteConfigurationTable, (message, { version }, report) =>
        listeners.putRoutes(message, version, report),
      );
    case xdsTypes.virtualHost:
      for (const name of update.removed) listeners.removeVirtualHost(name);
      return each(update, VirtualHostTable, (message, { name, version }, report) =>
        listeners.putVirtualHost(name, message, version, report),
      );
    case xdsTypes.secret:
      for (const name of update.removed) secrets.remove(name);
      return each(update, SecretTable, (message, { version }, report) =>
        secrets.put(message, version, report, 'ads'),
      );
    default:
      return [{ name: '', problem: `resources of type ${update.typeUrl} were not asked for` }];
  }
}

/** False where a resource that takes the place of another one leaves subscriptions as they are. */
export function mayNameOthers({ typeUrl }: AdsUpdate): boolean {
  return typeUrl !== xdsTypes.endpoint && typeUrl !== xdsTypes.route && typeUrl !== xdsTypes.virtualHost;
}

function each<T extends object>(
  update: AdsUpdate,
  table: MessageTable<T>,
  put: (message: T, resource: ReceivedResource, report: UnhonouredReport) => string | null,
): RejectedResource[] {
  const rejected: RejectedResource[] = [];
  for (const resource of update.resources) {
    const problem = attempt(() => {
      const report = new UnhonouredReport();
      return put(decodeMessage(table, resource.bytes, report), resource, report);
    });
    if (problem !== null) rejected.push({ name: resource.name, problem });
  }
  return rejected;
}

function attempt(put: () => string | null): string | null {
  try {
    return put();
  } catch (error) {
    if (error instanceof XdsDecodeError) return error.message;
    throw error;
  }
}
