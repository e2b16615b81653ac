/** Resources by kind, with their content typed, and the tests that tell them apart. */
import type { KubeObject, ResourceOf } from './object.ts';
import { groupOf } from './object.ts';
import type { EndpointsContent, EndpointSliceContent } from './schema/core/endpoints.ts';
import type { PodSpec, PodStatus } from './schema/core/pod.ts';
import type { SecretContent } from './schema/core/secret.ts';
import type { ServiceSpec } from './schema/core/service.ts';
import type { GatewayClassSpec, GatewaySpec } from './schema/gateway-api/gateway.ts';
import type { HttpRouteSpec } from './schema/gateway-api/http-route.ts';
import type { ReferenceGrantSpec } from './schema/gateway-api/reference-grant.ts';
import type { DestinationRuleSpec } from './schema/istio/destination-rule.ts';
import type { IstioGatewaySpec } from './schema/istio/gateway.ts';
import type { PeerAuthenticationSpec } from './schema/istio/peer-authentication.ts';
import type { SidecarSpec } from './schema/istio/sidecar.ts';
import type { VirtualServiceSpec } from './schema/istio/virtual-service.ts';
import type { ServiceEntrySpec, WorkloadEntrySpec, WorkloadGroupSpec } from './schema/istio/workload.ts';

export const istioNetworkingGroup = 'networking.istio.io';
export const istioSecurityGroup = 'security.istio.io';
export const gatewayApiGroup = 'gateway.networking.k8s.io';

export type Service = ResourceOf<ServiceSpec>;
export interface Pod extends ResourceOf<PodSpec> {
  status?: PodStatus;
}
export type Secret = KubeObject & SecretContent;
export interface PeerAuthentication extends KubeObject {
  spec?: PeerAuthenticationSpec;
}
export type Endpoints = KubeObject & EndpointsContent;
export type EndpointSlice = KubeObject & EndpointSliceContent;
export type VirtualService = ResourceOf<VirtualServiceSpec>;
export type DestinationRule = ResourceOf<DestinationRuleSpec>;
export type ServiceEntry = ResourceOf<ServiceEntrySpec>;
export type WorkloadEntry = ResourceOf<WorkloadEntrySpec>;
export type WorkloadGroup = ResourceOf<WorkloadGroupSpec>;
export type Sidecar = ResourceOf<SidecarSpec>;
export type IstioGateway = ResourceOf<IstioGatewaySpec>;
export type HttpRouteObject = ResourceOf<HttpRouteSpec>;
export type GatewayObject = ResourceOf<GatewaySpec>;
export type GatewayClass = ResourceOf<GatewayClassSpec>;
export type ReferenceGrant = ResourceOf<ReferenceGrantSpec>;

/** Content type by `group/Kind`, for `isKind`. */
export interface ResourceTypes {
  '/Service': Service;
  '/Namespace': KubeObject;
  '/ServiceAccount': KubeObject;
  '/Pod': Pod;
  '/Endpoints': Endpoints;
  '/Secret': Secret;
  'discovery.k8s.io/EndpointSlice': EndpointSlice;
  'networking.istio.io/VirtualService': VirtualService;
  'networking.istio.io/DestinationRule': DestinationRule;
  'networking.istio.io/ServiceEntry': ServiceEntry;
  'networking.istio.io/WorkloadEntry': WorkloadEntry;
  'networking.istio.io/WorkloadGroup': WorkloadGroup;
  'networking.istio.io/Sidecar': Sidecar;
  'networking.istio.io/Gateway': IstioGateway;
  'security.istio.io/PeerAuthentication': PeerAuthentication;
  'gateway.networking.k8s.io/HTTPRoute': HttpRouteObject;
  'gateway.networking.k8s.io/Gateway': GatewayObject;
  'gateway.networking.k8s.io/GatewayClass': GatewayClass;
  'gateway.networking.k8s.io/ReferenceGrant': ReferenceGrant;
}

/**
 * Narrows a validated object to its kind: `if (isKind(object, 'networking.istio.io/VirtualService'))`. It
 * compares names only; that the content fits was decided when the object was validated.
 */
export function isKind<K extends keyof ResourceTypes>(
  object: KubeObject,
  kind: K,
): object is ResourceTypes[K] {
  return `${groupOf(object.apiVersion)}/${object.kind}` === kind;
}
