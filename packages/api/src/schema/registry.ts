/** The schema of each kind that is honoured, as whole objects. */
import { z } from 'zod';
import type { ResourceTypes } from '../resource-types.ts';
import { endpointsFields, endpointSliceFields } from './core/endpoints.ts';
import { podSpec, podStatus } from './core/pod.ts';
import { secretFields } from './core/secret.ts';
import { namespaceSpec, serviceAccountFields, serviceSpec } from './core/service.ts';
import { optional, required } from './field.ts';
import { gatewayClassSpec, gatewaySpec } from './gateway-api/gateway.ts';
import { httpRouteSpec } from './gateway-api/http-route.ts';
import { referenceGrantSpec } from './gateway-api/reference-grant.ts';
import { destinationRuleSpec } from './istio/destination-rule.ts';
import { istioGatewaySpec } from './istio/gateway.ts';
import { peerAuthenticationSpec } from './istio/peer-authentication.ts';
import { sidecarSpec } from './istio/sidecar.ts';
import { virtualServiceSpec } from './istio/virtual-service.ts';
import { serviceEntrySpec, workloadEntrySpec, workloadGroupSpec } from './istio/workload.ts';
import { metadataSchema } from './metadata.ts';
import { opaque, text } from './primitives.ts';

export type HonouredKind = keyof ResourceTypes;

function object(fields: z.core.$ZodLooseShape, status: z.ZodType = opaque): z.ZodObject {
  return z.strictObject({
    apiVersion: required(text, 'API group and version'),
    kind: required(text, 'Kind'),
    metadata: required(metadataSchema, 'Name, namespace, labels'),
    ...fields,
    status: optional(status, 'Written by the control plane'),
  });
}

const content = 'What is asked for';
const withSpec = (spec: z.ZodType) => object({ spec: required(spec, content) });
const withOptionalSpec = (spec: z.ZodType) => object({ spec: optional(spec, content) });

export const objectSchemas: Readonly<Record<HonouredKind, z.ZodObject>> = {
  '/Service': withSpec(serviceSpec),
  '/Namespace': withOptionalSpec(namespaceSpec),
  '/ServiceAccount': object(serviceAccountFields),
  '/Pod': object({ spec: required(podSpec, content) }, podStatus),
  '/Endpoints': object(endpointsFields),
  '/Secret': object(secretFields),
  'discovery.k8s.io/EndpointSlice': object(endpointSliceFields),
  'networking.istio.io/VirtualService': withSpec(virtualServiceSpec),
  'networking.istio.io/DestinationRule': withSpec(destinationRuleSpec),
  'networking.istio.io/ServiceEntry': withSpec(serviceEntrySpec),
  'networking.istio.io/WorkloadEntry': withSpec(workloadEntrySpec),
  'networking.istio.io/WorkloadGroup': withSpec(workloadGroupSpec),
  'networking.istio.io/Sidecar': withSpec(sidecarSpec),
  'networking.istio.io/Gateway': withSpec(istioGatewaySpec),
  'security.istio.io/PeerAuthentication': withOptionalSpec(peerAuthenticationSpec),
  'gateway.networking.k8s.io/HTTPRoute': withSpec(httpRouteSpec),
  'gateway.networking.k8s.io/Gateway': withSpec(gatewaySpec),
  'gateway.networking.k8s.io/GatewayClass': withSpec(gatewayClassSpec),
  'gateway.networking.k8s.io/ReferenceGrant': withSpec(referenceGrantSpec),
};

/** The schema of a kind, or undefined for kinds that are not honoured. */
export function objectSchema(group: string, kind: string): z.ZodObject | undefined {
  const name = `${group}/${kind}`;
  return Object.hasOwn(objectSchemas, name) ? objectSchemas[name as HonouredKind] : undefined;
}
