/** A service's port → virtual hosts and route tables. Pure. */
import { hostAliases } from '@sluice/api';
import type { DirectResponseAction, Init, Route, RouteConfiguration, VirtualHost } from '@sluice/xds';
import { hasLabels } from '../model/instance.ts';
import type { RouteRule, RuleMatch, TextMatch } from '../model/route-rule.ts';
import type { MeshService, MeshServicePort } from '../model/service.ts';
import type { CompiledRules } from './compile-rules.ts';
import { inboundCluster, inboundPassthroughCluster, passthroughCluster, virtualHostName } from './names.ts';
import { inboundRetryMessage } from './retry-message.ts';
import { defaultRoute, routeMessages } from './route-message.ts';
import type { RouteContext } from './route-message.ts';

/** Clients for whom the routes are made: rules may hold for some of them only. */
export interface ClientFacts {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Largest body of a direct response (istiod's value, bytes). */
const maxDirectBodyBytes = 1_048_576;
/** Status of traffic that outboundTrafficPolicy refuses (Istio's BlackHoleCluster answers 502). */
export const refusal: Init<DirectResponseAction> = {
  status: 502,
  body: {
    inlineString:
      'No service of the mesh has this host, and outboundTrafficPolicy (of the mesh, or of a Sidecar) is REGISTRY_ONLY: a ServiceEntry would let it pass.\n',
  },
};

/** `calledAs`: the name that a listener of its own stands for; null where the authority tells. */
export interface CalledService {
  readonly service: MeshService;
  readonly port: MeshServicePort;
  readonly calledAs: string | null;
  readonly clusterDomain: string;
}

export function serviceRoutesOf(
  { service, port, calledAs, clusterDomain }: CalledService,
  compiled: CompiledRules,
  client: ClientFacts,
  facts: Omit<RouteContext, 'hostRewrite'>,
): Init<Route>[] {
  const context = { ...facts, hostRewrite: calledAs === null ? null : authorityOf(calledAs, port.number) };
  if (compiled.source === 'none') return [defaultRoute(service.hostname, port.number, context)];
  // A VirtualService without a catch-all, and HTTPRoutes: what matches nothing is 404, as both APIs say.
  return compiled.rules.flatMap((rule) => {
    const matches = applicableMatches(
      rule,
      port.number,
      client,
      calledAs === null ? null : authorityNames(calledAs, port, client.namespace, clusterDomain),
    );
    return matches === null ? [] : routeMessages(rule, matches, context);
  });
}

export function virtualHost(
  service: MeshService,
  port: MeshServicePort,
  domains: readonly string[],
  routes: readonly Init<Route>[],
): Init<VirtualHost> {
  return {
    name: virtualHostName(service.hostname, port.number),
    domains,
    routes,
    includeRequestAttemptCount: true,
  };
}

/** FQDN, FQDN with a final dot, short forms for the client's namespace, virtual addresses. */
export function domainsOf(service: MeshService, clientNamespace: string, clusterDomain: string): string[] {
  const aliases = hostAliases(service.hostname, clientNamespace, clusterDomain);
  const addresses = service.addresses.filter((address) => !address.includes('/'));
  const dotted = service.hostname.startsWith('*') ? [] : [`${service.hostname}.`];
  return [...new Set([service.hostname, ...dotted, ...aliases, ...addresses.map(bracketed)])];
}

/** What happens to hosts that no service has. */
export function unmatchedHost(policy: 'ALLOW_ANY' | 'REGISTRY_ONLY'): Init<VirtualHost> {
  return policy === 'ALLOW_ANY'
    ? {
        name: 'allow_any',
        domains: ['*'],
        routes: [
          {
            name: 'allow_any',
            match: { prefix: '/' },
            route: { cluster: passthroughCluster, timeout: 0, maxGrpcTimeout: 0 },
          },
        ],
        includeRequestAttemptCount: true,
      }
    : {
        name: 'block_all',
        domains: ['*'],
        routes: [{ name: 'block_all', match: { prefix: '/' }, directResponse: refusal }],
        includeRequestAttemptCount: true,
      };
}

export function routeTable(
  name: string,
  virtualHosts: readonly Init<VirtualHost>[],
  ignorePortInHostMatching: boolean,
): Init<RouteConfiguration> {
  return {
    name,
    virtualHosts,
    validateClusters: false,
    maxDirectResponseBodySizeBytes: maxDirectBodyBytes,
    ignorePortInHostMatching,
  };
}

/** Everything that reaches the application's port goes to the application. */
export function inboundRouteTable(appPort: number): Init<RouteConfiguration> {
  return inboundTable(inboundCluster(appPort), appPort);
}

/** Requests to ports that nobody registered go where they were sent. */
export function inboundPassthroughTable(): Init<RouteConfiguration> {
  return inboundTable(inboundPassthroughCluster, 0);
}

function inboundTable(cluster: string, port: number): Init<RouteConfiguration> {
  return routeTable(
    cluster,
    [
      {
        name: `inbound|http|${port}`,
        domains: ['*'],
        routes: [
          {
            name: 'default',
            match: { prefix: '/' },
            route: {
              cluster,
              timeout: 0,
              maxGrpcTimeout: 0,
              retryPolicy: inboundRetryMessage(),
            },
          },
        ],
      },
    ],
    false,
  );
}

/**
 * The matches of a rule that hold for this port and client, or null when the rule does not apply at all.
 * On explicit listeners the authority is the service by definition, so it is decided here.
 */
function applicableMatches(
  rule: RouteRule,
  port: number,
  client: ClientFacts,
  authorities: readonly string[] | null,
): (RuleMatch | null)[] | null {
  if (rule.matches.length === 0) return [null];
  const applicable = rule.matches.flatMap((match) => {
    if (match.port !== null && match.port !== port) return [];
    if (match.sourceNamespace !== null && match.sourceNamespace !== client.namespace) return [];
    if (match.sourceLabels !== null && !hasLabels(match.sourceLabels, client.labels)) return [];
    if (authorities === null || match.authority === null) return [match];
    const { authority } = match;
    return authorities.some((name) => matchesText(authority, name)) ? [{ ...match, authority: null }] : [];
  });
  return applicable.length > 0 ? applicable : null;
}

/** The name of a port in requests: HTTP's own port goes without saying. */
function authorityOf(hostname: string, port: number): string {
  return port === 80 ? hostname : `${hostname}:${port}`;
}

function authorityNames(
  hostname: string,
  port: MeshServicePort,
  clientNamespace: string,
  clusterDomain: string,
): string[] {
  const names = hostAliases(hostname, clientNamespace, clusterDomain);
  return names.flatMap((name) => [name, `${name}:${port.number}`]);
}

function matchesText(match: TextMatch, text: string): boolean {
  switch (match.kind) {
    case 'exact':
      return text === match.value;
    case 'prefix':
      return text.startsWith(match.value);
    case 'present':
      return true;
    case 'regex':
      // The names are ours and short, so a user's regex cannot run away on them.
      return text.length < 512 && new RegExp(`^(?:${match.value})$`).test(text);
  }
}

function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}
