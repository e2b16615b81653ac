/** The Gateway API's defaults, as its schemas state them. */
import type { GatewayObject, HttpRouteObject } from '../resource-types.ts';
import type { HttpRouteRule } from '../schema/gateway-api/http-route.ts';

const group = 'gateway.networking.k8s.io';

export function defaultHttpRoute({ spec }: HttpRouteObject): void {
  for (const parent of spec.parentRefs ?? []) {
    parent.group ??= group;
    parent.kind ??= 'Gateway';
  }
  spec.rules ??= [{}];
  for (const rule of spec.rules) defaultRule(rule);
}

function defaultRule(rule: HttpRouteRule): void {
  if (rule.matches === undefined || rule.matches.length === 0) rule.matches = [{}];
  for (const match of rule.matches) {
    match.path = { type: 'PathPrefix', value: '/', ...match.path };
    for (const condition of [...(match.headers ?? []), ...(match.queryParams ?? [])])
      condition.type ??= 'Exact';
  }
  for (const backend of rule.backendRefs ?? []) {
    backend.group ??= '';
    backend.kind ??= 'Service';
    backend.weight ??= 1;
  }
  for (const filter of rule.filters ?? []) {
    if (filter.requestRedirect !== undefined) filter.requestRedirect.statusCode ??= 302;
  }
}

export function defaultGateway({ spec }: GatewayObject): void {
  for (const listener of spec.listeners ?? []) {
    listener.allowedRoutes ??= {};
    listener.allowedRoutes.namespaces ??= {};
    listener.allowedRoutes.namespaces.from ??= 'Same';
    if (listener.tls !== undefined) listener.tls.mode ??= 'Terminate';
  }
  for (const address of spec.addresses ?? []) address.type ??= 'IPAddress';
}
