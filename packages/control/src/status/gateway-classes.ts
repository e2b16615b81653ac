/** Which Gateways are ours: by class, and by the class's controller. */
import type { GatewayClassSpec, GatewaySpec } from '@sluice/api';
import type { ResourceStore, StoredObject } from '../source/store.ts';

export const gatewayApiGroup = 'gateway.networking.k8s.io';
export const gatewayController = 'sluice.dev/gateway-controller';
/** Istio's controller, for whose classes we stand where there is no cluster. */
const istioController = 'istio.io/gateway-controller';
/** Classes that exist without an object: ours, and its alias outside Kubernetes. */
const builtInClasses: ReadonlySet<string> = new Set(['sluice', 'istio']);

export function isOurClass(spec: GatewayClassSpec): boolean {
  return spec.controllerName === gatewayController || spec.controllerName === istioController;
}

export function isOurGateway(store: ResourceStore, gateway: StoredObject): boolean {
  const { gatewayClassName } = (gateway.serving?.spec ?? gateway.object.spec ?? {}) as Partial<GatewaySpec>;
  if (gatewayClassName === undefined) return false;
  const named = store.get({
    group: gatewayApiGroup,
    kind: 'GatewayClass',
    namespace: '',
    name: gatewayClassName,
  });
  if (!named) return builtInClasses.has(gatewayClassName);
  return named.serving !== null && isOurClass(named.serving.spec as GatewayClassSpec);
}
