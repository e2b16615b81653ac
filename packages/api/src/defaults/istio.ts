/** Istio's defaults that are values of its API. */
import type { DestinationRule, ServiceEntry, VirtualService } from '../resource-types.ts';

export function defaultVirtualService({ spec }: VirtualService): void {
  spec.gateways = spec.gateways?.length ? spec.gateways : ['mesh'];
  spec.exportTo = spec.exportTo?.length ? spec.exportTo : ['*'];
  for (const route of spec.http ?? []) {
    if (route.redirect !== undefined) route.redirect.redirectCode ||= 301;
    for (const destination of route.route ?? []) {
      // One destination takes everything whatever its weight says; of several, one without weight takes nothing.
      destination.weight =
        route.route?.length === 1 ? (destination.weight ?? 100) : (destination.weight ?? 0);
    }
    if (route.retries !== undefined) {
      route.retries.retryIgnorePreviousHosts ??= true;
      route.retries.retryRemoteLocalities ??= false;
    }
  }
}

export function defaultDestinationRule({ spec }: DestinationRule): void {
  spec.exportTo = spec.exportTo?.length ? spec.exportTo : ['*'];
  for (const policy of [spec.trafficPolicy, ...(spec.subsets ?? []).map((subset) => subset.trafficPolicy)]) {
    for (const settings of policy === undefined ? [] : [policy, ...(policy.portLevelSettings ?? [])]) {
      if (settings.loadBalancer?.simple === 'LEAST_CONN') settings.loadBalancer.simple = 'LEAST_REQUEST';
    }
    if (policy?.retryBudget !== undefined) {
      policy.retryBudget = { percent: 20, minRetryConcurrency: 3, ...policy.retryBudget };
    }
  }
}

export function defaultServiceEntry({ spec }: ServiceEntry): void {
  spec.location ??= 'MESH_EXTERNAL';
  spec.resolution ??= 'NONE';
  spec.exportTo = spec.exportTo?.length ? spec.exportTo : ['*'];
  for (const port of spec.ports ?? []) port.targetPort ??= port.number;
}
