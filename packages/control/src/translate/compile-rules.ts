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
import type { ReferenceProblem, RouteRule, RuleDestination } from '../model/route-rule.ts';
import type { MeshService, MeshServicePort } from '../model/service.ts';

type Resolved = Pick<RuleDestination, 'service' | 'hostname' | 'port' | 'problem'>;

export interface CompiledRules {
  /** Without route resources (`none`) everything is forwarded; with them, what matches nothing is 404. */
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
  const applied = model.routes(service, port, clientNamespace);
  const routes = applied.httpRoutes;
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
  // One with routes of connections only says nothing of requests.
  if (!source || (source.spec.http === undefined && hasConnectionRoutes(source)))
    return { source: 'none', rules: [], origins: [] };
  return { source: 'virtualservice', rules: rulesOf(model, source), origins: [source.key] };
}

function hasConnectionRoutes({ spec }: VirtualServiceSource): boolean {
  return spec.tls !== undefined || spec.tcp !== undefined;
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
    problem: notFound(`no service ${hostname} is visible from namespace ${namespace}`),
  };
}

/** Gateway API backends: kind Service, own namespace or granted, and a port that exists. */
export function resolveBackend(model: MeshModel, route: HttpRouteSource, ref: HttpBackendRef): Resolved {
  const namespace = ref.namespace ?? route.namespace;
  const hostname = `${ref.name}.${namespace}.svc.${model.options.clusterDomain}`;
  const refused = (problem: ReferenceProblem): Resolved => ({
    service: null,
    hostname,
    port: ref.port ?? 0,
    problem,
  });
  if ((ref.group ?? '') !== '' || (ref.kind ?? 'Service') !== 'Service') {
    const kind = ref.group ? `${ref.group}/${ref.kind ?? 'Service'}` : (ref.kind ?? 'Service');
    return refused({ reason: 'InvalidKind', message: `backends of kind ${kind} are not supported` });
  }
  const forbidden = grantProblem(model, route, namespace, ref.name);
  if (forbidden !== null) return refused(forbidden);
  const service = model.services.get(`${namespace}/${hostname}`);
  if (service?.source.kind !== 'Service')
    return refused(notFound(`Service ${namespace}/${ref.name} does not exist`));
  if (ref.port === undefined)
    return refused(notFound(`a port is required for Service ${namespace}/${ref.name}`));
  const target = model.concrete(service, route.namespace);
  // Whoever may write an ExternalName must not reach by it what a reference would need a grant for.
  const hidden =
    target.source.kind === 'Service' ? grantProblem(model, route, target.namespace, target.name) : null;
  return hidden === null ? withPort(target, ref.port) : refused(hidden);
}

function grantProblem(
  model: MeshModel,
  route: HttpRouteSource,
  namespace: string,
  name: string,
): ReferenceProblem | null {
  const from = { group: route.key.group, kind: route.key.kind, namespace: route.namespace };
  const to = { group: '', kind: 'Service', namespace, name };
  if (namespace === route.namespace || model.isGranted(from, to)) return null;
  return {
    reason: 'RefNotPermitted',
    message: `no ReferenceGrant in ${namespace} lets HTTPRoutes of ${route.namespace} refer to Service ${name}`,
  };
}

function notFound(message: string): ReferenceProblem {
  return { reason: 'BackendNotFound', message };
}

function withPort(service: MeshService, port: number | undefined): Resolved {
  const { hostname } = service;
  if (port !== undefined) {
    const found = service.ports.find((one) => one.number === port);
    if (!found) {
      const problem = notFound(`service ${hostname} has no port ${port}`);
      return { service: null, hostname, port, problem };
    }
    if (found.protocol === 'udp') {
      const problem = {
        reason: 'UnsupportedProtocol',
        message: `port ${port} of ${hostname} is UDP`,
      } as const;
      return { service: null, hostname, port, problem };
    }
    return { service: service.key, hostname, port, problem: null };
  }
  const [only, ...others] = service.ports;
  if (only && others.length === 0)
    return { service: service.key, hostname, port: only.number, problem: null };
  return {
    service: null,
    hostname,
    port: 0,
    problem: notFound(
      only
        ? `service ${hostname} has several ports: write destination.port.number`
        : `service ${hostname} has no ports`,
    ),
  };
}
