/** Services and traffic policies → Cluster messages. Pure. */
import { parseGoDurationMs } from '@sluice/runtime';
import type { ConnectionPoolSettings, ResourceKey } from '@sluice/api';
import type { Cluster, Init } from '@sluice/xds';
import type { MergedRule, TrafficPolicy } from '../model/destination-rule.ts';
import type { EndpointTls } from '../model/endpoint-tls.ts';
import type { Instance } from '../model/instance.ts';
import type { MeshService, MeshServicePort } from '../model/service.ts';
import { isDns, namedEndpoint } from '../model/read-service.ts';
import { adsSource } from './config-source.ts';
import { loadAssignment } from './endpoints.ts';
import {
  blackHoleCluster,
  configPath,
  inboundCluster,
  inboundPassthroughCluster,
  outboundCluster,
  passthroughCluster,
} from './names.ts';
import type { MeshSettings } from './node.ts';
import { withProxyHeader } from './proxy-header.ts';
import { httpOptions, protocolOptions } from './upstream-protocol.ts';
import type { UpstreamVersion } from './upstream-protocol.ts';
import { accountNames } from './tls-context.ts';
import { requestedNames, upstreamTls } from './upstream-tls.ts';
import type { UpstreamTlsFacts } from './upstream-tls.ts';

/** Istio's "no limit" for circuit breakers. */
const unlimited = 4294967295;
/** Pass-through connections are kept this long without a request (istiod's value). */
const passthroughIdleMs = 300_000;

export interface ClusterDefaults {
  readonly connectTimeoutMs: number;
  readonly dnsRefreshMs: number;
}

/** What a cluster is for: a service's port, or a subset of it. `instances` are the endpoints of DNS clusters. */
export interface ClusterTarget {
  readonly service: MeshService;
  readonly port: MeshServicePort;
  readonly rule: MergedRule | null;
  readonly subset: string;
  readonly instances: readonly Instance[];
  /** What the instances take, and the accounts they run as. */
  readonly tls: EndpointTls;
}

export interface ClusterFacts extends UpstreamTlsFacts {
  /** False with interception mode NONE: clients dial the sidecar's own listener, so that it would call itself. */
  readonly hasOriginalDestination: boolean;
}

export function outboundClusterMessage(
  target: ClusterTarget,
  facts: ClusterFacts,
  mesh: MeshSettings,
): Init<Cluster> {
  const { port, rule, subset, instances } = target;
  const service = facts.hasOriginalDestination ? target.service : withNamedDestination(target.service);
  const name = outboundCluster(port.number, subset, service.hostname);
  const policy = effectivePolicy(rule, subset, port.number);
  const type = clusterType(service, policy, facts);
  const pool = policy.connectionPool;
  const origin =
    subset === ''
      ? rule?.sources[0]?.key
      : (rule?.subsets.find((one) => one.spec.name === subset)?.origin ?? null);
  return {
    name,
    altStatName: `${name};`,
    type,
    ...(type === 'EDS' ? { edsClusterConfig: { edsConfig: adsSource, serviceName: name } } : {}),
    ...(type === 'STRICT_DNS' || type === 'LOGICAL_DNS'
      ? {
          dnsRefreshRate: mesh.dnsRefreshMs,
          respectDnsTtl: true,
          dnsLookupFamily: 'V4_ONLY',
          loadAssignment: loadAssignment({
            clusterName: name,
            service,
            port,
            labels: subsetLabels(rule, subset),
            instances,
            policies: target.tls.policies,
            resolution: type === 'LOGICAL_DNS' ? 'first-name' : 'names',
          }),
        }
      : {}),
    connectTimeout: ms(pool?.tcp?.connectTimeout) ?? mesh.connectTimeoutMs,
    lbPolicy: lbPolicy(type, policy),
    circuitBreakers: circuitBreakers(pool, policy),
    ...keepalive(pool),
    ...protocolOptions(
      port,
      pool,
      facts.knowsHttp2,
      facts.knowsTls ? requestedNames(service, port, policy) : null,
    ),
    ...withProxyHeader(
      upstreamTls(
        { service: target.service, port, subset, policy, accounts: accountNames(target.tls.accounts, mesh) },
        facts,
        mesh,
      ),
      policy.proxyProtocol,
    ),
    commonLbConfig: { healthyPanicThreshold: { value: 0 } },
    metadata: { filterMetadata: { istio: istioMetadata(service, subset, origin ?? null) } },
  };
}

/** The application behind a sidecar, on one of its ports. */
export interface InboundTarget {
  readonly appPort: number;
  readonly services: readonly MeshService[];
  /** What the application is spoken to in; `downstream` = what the client speaks. */
  readonly version: UpstreamVersion;
}

/** Connections to the application behind this sidecar, where it listens. */
export function inboundClusterMessage(
  { appPort, services, version }: InboundTarget,
  appAddress: string,
  defaults: ClusterDefaults,
): Init<Cluster> {
  const name = inboundCluster(appPort);
  return {
    name,
    altStatName: `${name};`,
    type: 'STATIC',
    connectTimeout: defaults.connectTimeoutMs,
    lbPolicy: 'ROUND_ROBIN',
    circuitBreakers: { thresholds: [unlimitedThresholds()] },
    ...(version === 'http1' ? {} : { typedExtensionProtocolOptions: httpOptions({}, version) }),
    loadAssignment: {
      clusterName: name,
      endpoints: [
        {
          lbEndpoints: [
            { endpoint: { address: { socketAddress: { address: appAddress, portValue: appPort } } } },
          ],
        },
      ],
    },
    metadata: {
      filterMetadata: {
        istio: {
          services: services.map((one) => ({ host: one.hostname, name: one.name, namespace: one.namespace })),
        },
      },
    },
  };
}

/** Inbound with redirection: the application is where the client dialled, reached from 127.0.0.6. */
export function inboundOriginalClusterMessage(
  target: InboundTarget,
  defaults: ClusterDefaults,
): Init<Cluster> {
  const { loadAssignment: _static, ...rest } = inboundClusterMessage(target, '', defaults);
  return {
    ...rest,
    type: 'ORIGINAL_DST',
    lbPolicy: 'CLUSTER_PROVIDED',
    upstreamBindConfig: { sourceAddress: { address: '127.0.0.6', portValue: 0 } },
  };
}

export function blackHoleMessage(defaults: ClusterDefaults): Init<Cluster> {
  return {
    name: blackHoleCluster,
    altStatName: `${blackHoleCluster};`,
    type: 'STATIC',
    connectTimeout: defaults.connectTimeoutMs,
  };
}

export function passthroughMessage(
  name: typeof passthroughCluster | typeof inboundPassthroughCluster,
  knowsHttp2: boolean,
  defaults: ClusterDefaults,
): Init<Cluster> {
  return {
    name,
    altStatName: `${name};`,
    type: 'ORIGINAL_DST',
    connectTimeout: defaults.connectTimeoutMs,
    lbPolicy: 'CLUSTER_PROVIDED',
    circuitBreakers: { thresholds: [unlimitedThresholds()] },
    typedExtensionProtocolOptions: httpOptions(
      { idleTimeout: passthroughIdleMs },
      knowsHttp2 ? 'downstream' : 'http1',
    ),
    ...(name === inboundPassthroughCluster
      ? { upstreamBindConfig: { sourceAddress: { address: '127.0.0.6', portValue: 0 } } }
      : {}),
  };
}

/** Subset over destination. */
export function effectivePolicy(rule: MergedRule | null, subset: string, port: number): TrafficPolicy {
  const own = rule?.subsets.find((one) => one.spec.name === subset)?.spec.trafficPolicy;
  return withPolicy(withPolicy({}, rule?.policy ?? undefined, port), own, port);
}

export function subsetLabels(rule: MergedRule | null, subset: string): Readonly<Record<string, string>> {
  return rule?.subsets.find((one) => one.spec.name === subset)?.spec.labels ?? {};
}

/** A port's own settings replace the four kinds that ports can have, left out ones too (Istio's rule); the rest stays. */
function withPolicy(base: TrafficPolicy, policy: TrafficPolicy | undefined, port: number): TrafficPolicy {
  if (!policy) return base;
  const { portLevelSettings, ...own } = policy;
  const merged = { ...base, ...own };
  const level = portLevelSettings?.find((one) => one.port?.number === port);
  if (!level) return merged;
  const {
    connectionPool: _pool,
    outlierDetection: _ejection,
    loadBalancer: _balancer,
    tls: _tls,
    ...kept
  } = merged;
  const { port: _selector, ...settings } = level;
  return { ...kept, ...settings };
}

/** Whether its endpoints are a resource of their own. */
export function hasEndpointResource(
  target: Omit<ClusterTarget, 'instances' | 'tls'>,
  facts: ClusterFacts,
): boolean {
  const policy = effectivePolicy(target.rule, target.subset, target.port.number);
  return clusterType(target.service, policy, facts) === 'EDS';
}

/** Without original destinations, one that the client chose itself becomes the address or name as written. */
function withNamedDestination(service: MeshService): MeshService {
  if (service.resolution !== 'none') return service;
  const addresses = service.addresses.filter((address) => !address.includes('/'));
  const names = addresses.length > 0 ? addresses : [service.hostname];
  return { ...service, resolution: 'dns', inlineEndpoints: names.map(namedEndpoint) };
}

function clusterType(
  service: MeshService,
  policy: TrafficPolicy,
  facts: ClusterFacts,
): NonNullable<Init<Cluster>['type']> {
  if (service.resolution === 'none') return facts.hasOriginalDestination ? 'ORIGINAL_DST' : 'STRICT_DNS';
  if (facts.hasOriginalDestination && policy.loadBalancer?.simple === 'PASSTHROUGH') return 'ORIGINAL_DST';
  if (service.resolution === 'dns-round-robin') return 'LOGICAL_DNS';
  return isDns(service.resolution) ? 'STRICT_DNS' : 'EDS';
}

function lbPolicy(type: string, policy: TrafficPolicy): NonNullable<Init<Cluster>['lbPolicy']> {
  if (type === 'ORIGINAL_DST') return 'CLUSTER_PROVIDED';
  switch (policy.loadBalancer?.simple) {
    case 'ROUND_ROBIN':
      return 'ROUND_ROBIN';
    case 'RANDOM':
      return 'RANDOM';
    default:
      return 'LEAST_REQUEST';
  }
}

function circuitBreakers(
  pool: ConnectionPoolSettings | undefined,
  policy: TrafficPolicy,
): Init<Cluster>['circuitBreakers'] {
  const budget = policy.retryBudget;
  return {
    thresholds: [
      {
        ...unlimitedThresholds(),
        ...defined('maxConnections', pool?.tcp?.maxConnections),
        ...defined('maxPendingRequests', pool?.http?.http1MaxPendingRequests),
        ...defined('maxRequests', pool?.http?.http2MaxRequests),
        ...defined('maxRetries', pool?.http?.maxRetries),
        // Retries without any bound are how overload becomes an outage: where nothing is written the
        // budget of pains row 6 applies, Envoy's own default values.
        ...(pool?.http?.maxRetries === undefined || budget !== undefined
          ? {
              retryBudget: {
                budgetPercent: { value: budget?.percent ?? 20 },
                minRetryConcurrency: budget?.minRetryConcurrency ?? 3,
              },
            }
          : {}),
      },
    ],
  };
}

function keepalive(
  pool: ConnectionPoolSettings | undefined,
): Pick<Init<Cluster>, 'upstreamConnectionOptions'> {
  const settings = pool?.tcp?.tcpKeepalive;
  if (!settings) return {};
  return {
    upstreamConnectionOptions: {
      tcpKeepalive: {
        ...defined('keepaliveProbes', settings.probes),
        ...defined('keepaliveTime', seconds(settings.time)),
        ...defined('keepaliveInterval', seconds(settings.interval)),
      },
    },
  };
}

function istioMetadata(
  service: MeshService,
  subset: string,
  origin: ResourceKey | null,
): Record<string, import('@sluice/xds').JsonValue> {
  return {
    ...(origin ? { config: configPath(origin) } : {}),
    ...(service.isExternal ? { external: true } : {}),
    services: [{ host: service.hostname, name: service.name, namespace: service.namespace }],
    ...(subset === '' ? {} : { subset }),
  };
}

function unlimitedThresholds(): {
  maxConnections: number;
  maxPendingRequests: number;
  maxRequests: number;
  maxRetries: number;
} {
  return {
    maxConnections: unlimited,
    maxPendingRequests: unlimited,
    maxRequests: unlimited,
    maxRetries: unlimited,
  };
}

function defined<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };
}

function ms(text: string | undefined): number | undefined {
  return text === undefined ? undefined : parseGoDurationMs(text);
}

function seconds(text: string | undefined): number | undefined {
  const value = ms(text);
  return value === undefined ? undefined : Math.max(1, Math.round(value / 1000));
}
