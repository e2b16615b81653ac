/** One service port as clients of a scope see it: its domains and its routes, ready to stand in route tables. */
import type { InterceptionMode, ResourceKey } from '@sluice/api';
import type { MeshModel } from '../model/mesh-model.ts';
import { isHttp } from '../model/protocol.ts';
import type { MeshService, MeshServicePort } from '../model/service.ts';
import { compileRules } from './compile-rules.ts';
import type { CompiledRules } from './compile-rules.ts';
import { connectionRoutesOf, tunnelClusters } from './connection-routes.ts';
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
  /** Routes of the service's own listener, where it does not. */
  readonly explicit: ReturnType<typeof serviceRoutesOf>;
  /** Where a tunnel to the port leads: clusters with their shares. */
  readonly tunnel: ReadonlyMap<string, number>;
  readonly origins: readonly ResourceKey[];
  /** Keys of the services that the routes lead to. */
  readonly destinations: readonly string[];
}

export function makeHostEntry(
  model: MeshModel,
  service: MeshService,
  port: MeshServicePort,
  facts: HostFacts,
  settings: MeshSettings,
): HostEntry {
  const compiled = compileRules(model, service, port, facts.namespace);
  const shared = {
    port: port.number,
    knowsMethodAwareRetry: facts.knowsMethodAwareRetry,
    defaultRetry: settings.defaultRetry,
  };
  const connections = connectionRoutesOf(model, service, port, facts);
  const authority = port.number === 80 ? service.hostname : `${service.hostname}:${port.number}`;
  return {
    service,
    port,
    isHttp: isHttp(port.protocol, facts.knowsHttp2),
    domains: domainsOf(service, facts.namespace, settings.clusterDomain),
    shared: serviceRoutesOf(service, port, compiled, facts, { ...shared, hostRewrite: null }),
    explicit:
      facts.mode === 'NONE' && !service.hostname.startsWith('*')
        ? serviceRoutesOf(service, port, compiled, facts, { ...shared, hostRewrite: authority })
        : [],
    tunnel: tunnelClusters(service, port, connections),
    origins: [service.source, ...compiled.origins, ...connections.origins],
    destinations: [...destinationsOf(compiled), ...connections.destinations],
  };
}

function destinationsOf(compiled: CompiledRules): string[] {
  return compiled.rules.flatMap(({ action }) =>
    action.kind === 'forward' ? action.destinations.flatMap((one) => one.service ?? []) : [],
  );
}
