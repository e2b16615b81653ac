/**
 * The rules that apply to one service for one client scope: route resources resolved against the model.
 * References that lead nowhere come out as destinations without a service, never as nothing.
 */
import { hostCandidates } from '@sluice/api';
import type { HttpBackendRef, ResourceKey } from '@sluice/api';
import type { MeshModel } from '../model/mesh-model.ts';
import { comparePrecedence, readHttpRoute } from '../model/read-http-route.ts';
import { readVirtualService } from '../model/read-virtual-service.ts';
import type { HttpRouteSource, VirtualServiceSource } from '../model/route-index.ts';
import type { RouteRule, RuleDestination } from '../model/route-rule.ts';
import type { MeshService, MeshServicePort } from '../model/service.ts';

type Resolved = Pick<RuleDestination, 'service' | 'hostname' | 'port' | 'problem'>;

export interface CompiledRules {
  /** `httproute` answers 404 where nothing matches; without route resources everything is forwarded. */
  readonly source: 'httproute' | 'virtualservice' | 'none';
  readonly rules: readonly RouteRule[];
  readonly origins: readonly ResourceKey[];
}

export function compileRules(
  model: MeshModel,
  service: MeshService,
  port: MeshServicePort,
  clientNamespace: string,
): CompiledRules {
  const applied = model.routes(service, clientNamespace);
  const routes = applied.httpRoutes.filter((route) => attachesTo(route, service, port));
  if (routes.length > 0) {
    const sourced = routes.flatMap((route) =>
      readHttpRoute(route.spec, route.key, route.createdMs, (ref) => resolveBackend(model, route, ref)),
    );
    return {
      source: 'httproute',
      rules: sourced.sort(comparePrecedence).map((entry) => entry.rule),
      origins: routes.map((route) => route.key),
    };
  }
  const source = applied.virtualService;
  if (!source) return { source: 'none', rules: [], origins: [] };
  return { source: 'virtualservice', rules: rulesOf(model, source), origins: [source.key] };
}

/** A VirtualService's rules with its destinations resolved in its own namespace. */
export function rulesOf(model: MeshModel, source: VirtualServiceSource): RouteRule[] {
  return readVirtualService(source.spec, source.key, (host, port) =>
    resolveDestination(model, source.namespace, host, port),
  );
}

export function resolveDestination(
  model: MeshModel,
  namespace: string,
  host: string,
  port: number | undefined,
): Resolved {
  const candidates = hostCandidates(host, namespace, model.options.clusterDomain);
  for (const hostname of candidates) {
    const service = model.resolve(hostname, namespace);
    if (service) return withPort(service, port);
  }
  const hostname = candidates[0] ?? host;
  return {
    service: null,
    hostname,
    port: port ?? 0,
    problem: `no service ${hostname} is visible from namespace ${namespace}`,
  };
}

/** Gateway API backends: kind Service, own namespace or granted, and a port that exists. */
export function resolveBackend(model: MeshModel, route: HttpRouteSource, ref: HttpBackendRef): Resolved {
  const namespace = ref.namespace ?? route.namespace;
  const hostname = `${ref.name}.${namespace}.svc.${model.options.clusterDomain}`;
  const refused = (problem: string): Resolved => ({ service: null, hostname, port: ref.port ?? 0, problem });
  if ((ref.group ?? '') !== '' || (ref.kind ?? 'Service') !== 'Service') {
    return refused(`backends of kind ${ref.group ?? ''}/${ref.kind ?? ''} are not supported`);
  }
  const from = { group: route.key.group, kind: route.key.kind, namespace: route.namespace };
  const to = { group: '', kind: 'Service', namespace, name: ref.name };
  if (namespace !== route.namespace && !model.isGranted(from, to)) {
    return refused(
      `no ReferenceGrant in ${namespace} lets HTTPRoutes of ${route.namespace} refer to Service ${ref.name}`,
    );
  }
  const service = model.services.get(`${namespace}/${hostname}`);
  if (!service) return refused(`Service ${namespace}/${ref.name} does not exist`);
  if (ref.port === undefined) return refused(`a port is required for Service ${namespace}/${ref.name}`);
  return withPort(service, ref.port);
}

function withPort(service: MeshService, port: number | undefined): Resolved {
  const { hostname } = service;
  if (port !== undefined) {
    const exists = service.ports.some((one) => one.number === port);
    return exists
      ? { service: service.key, hostname, port, problem: '' }
      : { service: null, hostname, port, problem: `service ${hostname} has no port ${port}` };
  }
  const [only, ...others] = service.ports;
  if (only && others.length === 0) return { service: service.key, hostname, port: only.number, problem: '' };
  return {
    service: null,
    hostname,
    port: 0,
    problem: only
      ? `service ${hostname} has several ports: write destination.port.number`
      : `service ${hostname} has no ports`,
  };
}

function attachesTo(route: HttpRouteSource, service: MeshService, port: MeshServicePort): boolean {
  return route.parents.some(
    (parent) =>
      parent.service === `${service.namespace}/${service.name}` &&
      (parent.port === null || parent.port === port.number) &&
      (parent.sectionName === null || parent.sectionName === port.name),
  );
}
