/** One service port as clients of a scope see it: its domains and its routes, ready to stand in route tables. */
import type { InterceptionMode, ResourceKey } from '@sluice/api';
import type { MeshModel } from '../model/mesh-model.ts';
import { isHttp } from '../model/protocol.ts';
import type { MeshService, MeshServicePort } from '../model/service.ts';
import { compileRules } from './compile-rules.ts';
import type { CompiledRules } from './compile-rules.ts';
import { connectTarget } from './connection-routes.ts';
import type { ConnectionRoutes, ConnectTarget } from './connection-routes.ts';
import type { MeshSettings } from './node.ts';
import { domainsOf, serviceRoutesOf } from './virtual-hosts.ts';
import type { ClientFacts } from './virtual-hosts.ts';

export interface HostFacts extends ClientFacts {
  readonly mode: InterceptionMode;
  readonly knowsMethodAwareRetry: boolean;
  readonly knowsHttp2: boolean;
}

export interface HostEntry {
  readonly service: MeshService;
  readonly port: MeshServicePort;
  /** Whether the client's sidecar reads the port's requests. */
  readonly isHttp: boolean;
  readonly domains: readonly string[];
  /** Routes where the authority names the service. */
  readonly shared: ReturnType<typeof serviceRoutesOf>;
  /** Of the service's own listener and of those of its aliases, where the authority does not. */
  readonly explicit: readonly ExplicitRoutes[];
  /** Where a CONNECT to the port leads. */
  readonly connect: ConnectTarget;
  readonly origins: readonly ResourceKey[];
  /** Keys of the services that the routes lead to. */
  readonly destinations: readonly string[];
}

/** Routes of a listener of its own, for one of the service's names. */
export interface ExplicitRoutes {
  readonly hostname: string;
  readonly routes: ReturnType<typeof serviceRoutesOf>;
}

/** A port of a service, the other services that stand for it, and where its connections go that pass unread. */
export interface HostTarget {
  readonly service: MeshService;
  readonly port: MeshServicePort;
  readonly aliases: readonly MeshService[];
  readonly connections: ConnectionRoutes;
}

export function makeHostEntry(
  model: MeshModel,
  { service, port, aliases, connections }: HostTarget,
  facts: HostFacts,
  settings: MeshSettings,
): HostEntry {
  const compiled = compileRules(model, service, port, facts.namespace);
  const shared = {
    port: port.number,
    knowsMethodAwareRetry: facts.knowsMethodAwareRetry,
    defaultRetry: settings.defaultRetry,
  };
  const names = [service, ...aliases];
  const { clusterDomain } = settings;
  return {
    service,
    port,
    isHttp: isHttp(port.protocol, facts.knowsHttp2),
    domains: [...new Set(names.flatMap((one) => domainsOf(one, facts.namespace, clusterDomain)))],
    shared: serviceRoutesOf({ service, port, clusterDomain, calledAs: null }, compiled, facts, shared),
    explicit:
      facts.mode === 'NONE' && !service.hostname.startsWith('*')
        ? names.map(({ hostname }) => ({
            hostname,
            routes: serviceRoutesOf(
              { service, port, clusterDomain, calledAs: hostname },
              compiled,
              facts,
              shared,
            ),
          }))
        : [],
    connect: connectTarget(service, port, connections),
    origins: [...names.map((one) => one.source), ...compiled.origins, ...connections.origins],
    destinations: [...destinationsOf(compiled), ...connections.destinations],
  };
}

function destinationsOf(compiled: CompiledRules): string[] {
  return compiled.rules.flatMap(({ action }) =>
    action.kind === 'forward' ? action.destinations.flatMap((one) => one.service ?? []) : [],
  );
}
