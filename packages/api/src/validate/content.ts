/**
 * The checks of each kind's content, by kind. Each check is given an object whose schema may have found wrong
 * types, and looks only at parts that are not broken (`Findings.check`, `Findings.each`).
 */
import type { KubeObject } from '../object.ts';
import { isKind } from '../resource-types.ts';
import { checkEndpoints, checkEndpointSlice, checkPod, checkService } from './core.ts';
import type { Findings } from './findings.ts';
import { checkGateway, checkGatewayClass } from './gateway-api.ts';
import { checkHttpRoute } from './http-route.ts';
import { checkDestinationRule } from './istio-destinations.ts';
import { checkVirtualService } from './istio-routes.ts';
import { checkIstioGateway, checkSidecar } from './istio-visibility.ts';
import { checkPeerAuthentication } from './peer-authentication.ts';
import { checkSecret } from './secret.ts';
import { checkServiceEntry, checkWorkloadEntry, checkWorkloadGroup } from './istio-workloads.ts';

export function checkContent(object: KubeObject, findings: Findings): void {
  if (isKind(object, '/Endpoints')) checkEndpoints(object, findings);
  else if (isKind(object, '/Secret')) checkSecret(object, findings);
  else if (isKind(object, 'security.istio.io/PeerAuthentication')) checkPeerAuthentication(object, findings);
  else if (isKind(object, 'discovery.k8s.io/EndpointSlice')) checkEndpointSlice(object, findings);
  else if (typeof object.spec === 'object' && object.spec !== null && !Array.isArray(object.spec))
    checkSpec(object, findings);
}

function checkSpec(object: KubeObject, findings: Findings): void {
  if (isKind(object, 'networking.istio.io/VirtualService')) checkVirtualService(object, findings);
  else if (isKind(object, 'networking.istio.io/DestinationRule')) checkDestinationRule(object, findings);
  else if (isKind(object, 'networking.istio.io/ServiceEntry')) checkServiceEntry(object, findings);
  else if (isKind(object, 'networking.istio.io/WorkloadEntry')) checkWorkloadEntry(object, findings);
  else if (isKind(object, 'networking.istio.io/WorkloadGroup')) checkWorkloadGroup(object, findings);
  else if (isKind(object, 'networking.istio.io/Sidecar')) checkSidecar(object, findings);
  else if (isKind(object, 'networking.istio.io/Gateway')) checkIstioGateway(object, findings);
  else if (isKind(object, 'gateway.networking.k8s.io/HTTPRoute')) checkHttpRoute(object, findings);
  else if (isKind(object, 'gateway.networking.k8s.io/Gateway')) checkGateway(object, findings);
  else if (isKind(object, 'gateway.networking.k8s.io/GatewayClass')) checkGatewayClass(object, findings);
  else if (isKind(object, '/Service')) checkService(object, findings);
  else if (isKind(object, '/Pod')) checkPod(object, findings);
}
