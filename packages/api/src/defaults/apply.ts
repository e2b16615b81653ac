/**
 * Fills in what Kubernetes, Istio and the Gateway API take for granted, on a copy. Only defaults that are values of
 * the API are written; what depends on the mesh (timeouts of routes, retry conditions) is decided in translation,
 * so that a stored object keeps saying what its author said.
 */
import type { KubeObject, ObjectMeta } from '../object.ts';
import { kindOf } from '../kind-lookup.ts';
import { isKind } from '../resource-types.ts';
import { defaultHttpRoute, defaultGateway } from './gateway-api.ts';
import { defaultDestinationRule, defaultServiceEntry, defaultVirtualService } from './istio.ts';
import { defaultPod, defaultSecret, defaultService } from './core.ts';

export interface DefaultsOptions {
  readonly namespace?: string;
}

/** A validated object with its defaults; the argument stays as it is. */
export function withDefaults<T extends KubeObject>(object: T, options: DefaultsOptions = {}): T {
  const copy = structuredClone(object);
  const kind = kindOf(copy);
  if (kind?.namespaced !== false && !copy.metadata.namespace) {
    // Key order is kept: name, then namespace, as people read it.
    const { name, ...rest } = copy.metadata;
    copy.metadata = { name, namespace: options.namespace ?? 'default', ...rest } as ObjectMeta;
  }
  fill(copy);
  return copy;
}

function fill(object: KubeObject): void {
  if (isKind(object, '/Service')) defaultService(object);
  else if (isKind(object, '/Pod')) defaultPod(object);
  else if (isKind(object, '/Secret')) defaultSecret(object);
  else if (isKind(object, 'discovery.k8s.io/EndpointSlice')) {
    for (const port of object.ports ?? []) port.protocol ??= 'TCP';
    for (const endpoint of object.endpoints) endpoint.conditions = { ready: true, ...endpoint.conditions };
  } else if (isKind(object, '/Endpoints')) {
    for (const port of (object.subsets ?? []).flatMap((subset) => subset.ports ?? []))
      port.protocol ??= 'TCP';
  } else if (isKind(object, 'networking.istio.io/VirtualService')) defaultVirtualService(object);
  else if (isKind(object, 'networking.istio.io/DestinationRule')) defaultDestinationRule(object);
  else if (isKind(object, 'networking.istio.io/ServiceEntry')) defaultServiceEntry(object);
  else if (isKind(object, 'gateway.networking.k8s.io/HTTPRoute')) defaultHttpRoute(object);
  else if (isKind(object, 'gateway.networking.k8s.io/Gateway')) defaultGateway(object);
}
