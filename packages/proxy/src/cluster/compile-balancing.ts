/** Load balancing policy of a cluster, in Envoy's old (`lb_policy`) and new (`load_balancing_policy`) notation. */
import {
  LeastRequestPolicyTable,
  RandomPolicyTable,
  RoundRobinPolicyTable,
  unpackAny,
  WrrLocalityPolicyTable,
} from '@sluice/xds';
import type {
  Any,
  Cluster as ClusterMessage,
  LoadBalancingPolicy,
  PolicyLocalityLbConfig,
  RuntimeDouble,
} from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import type { BalancerPolicy } from './balancer.ts';
import type { ClusterSettings } from './cluster-settings.ts';

type Balancing = Pick<ClusterSettings, 'policy' | 'panicThresholdPercent' | 'isLocalityWeighted'>;

/** Envoy's defaults. */
const defaultPanicPercent = 50;
const defaultChoices = 2;
const defaultBias = 1;

const roundRobin: BalancerPolicy = { kind: 'roundRobin' };

export function compileBalancing(message: ClusterMessage, scope: ProblemScope): Balancing {
  const common = message.commonLbConfig;
  scope.at('common_lb_config').unhonouredWhenSet(
    {
      zone_aware_lb_config: common?.zoneAwareLbConfig,
      ignore_new_hosts_until_first_hc: common?.ignoreNewHostsUntilFirstHc,
      close_connections_on_host_set_change: common?.closeConnectionsOnHostSetChange,
      consistent_hashing_lb_config: common?.consistentHashingLbConfig,
      override_host_status: common?.overrideHostStatus,
      update_merge_window: common?.updateMergeWindow,
    },
    'not supported by this proxy',
  );
  const balancing = {
    panicThresholdPercent: common?.healthyPanicThreshold?.value ?? defaultPanicPercent,
    isLocalityWeighted: common?.localityWeightedLbConfig !== undefined,
  };
  if (message.loadBalancingPolicy !== undefined) {
    const found = fromPolicy(message.loadBalancingPolicy, scope.at('load_balancing_policy'));
    return {
      ...balancing,
      policy: found.policy,
      isLocalityWeighted: balancing.isLocalityWeighted || found.isLocalityWeighted,
    };
  }
  return { ...balancing, policy: fromLbPolicy(message, scope) };
}

function fromLbPolicy(message: ClusterMessage, scope: ProblemScope): BalancerPolicy {
  switch (message.lbPolicy) {
    case 'ROUND_ROBIN':
      reportSlowStart(message.roundRobinLbConfig, scope.at('round_robin_lb_config'));
      return roundRobin;
    case 'RANDOM':
      return { kind: 'random' };
    case 'LEAST_REQUEST':
      reportSlowStart(message.leastRequestLbConfig, scope.at('least_request_lb_config'));
      return leastRequest(message.leastRequestLbConfig ?? {}, scope.at('least_request_lb_config'));
    case 'CLUSTER_PROVIDED':
      if (message.type !== 'ORIGINAL_DST')
        scope.at('lb_policy').error('CLUSTER_PROVIDED needs type ORIGINAL_DST');
      return roundRobin;
    case 'LOAD_BALANCING_POLICY_CONFIG':
      scope.at('load_balancing_policy').error('must be set with lb_policy LOAD_BALANCING_POLICY_CONFIG');
      return roundRobin;
    case 'RING_HASH':
    case 'MAGLEV':
      scope.unhonoured('lb_policy', `${message.lbPolicy} is not supported; round robin would be used`);
      return roundRobin;
  }
}

function fromPolicy(
  config: LoadBalancingPolicy,
  scope: ProblemScope,
): Pick<Balancing, 'policy' | 'isLocalityWeighted'> {
  // Envoy takes the first policy of the list that it knows.
  for (const [i, { typedExtensionConfig }] of config.policies.entries()) {
    const at = scope.at('policies', i).at('typed_extension_config').at('typed_config');
    const found = typedExtensionConfig?.typedConfig && knownPolicy(typedExtensionConfig.typedConfig, at);
    if (found) return found;
  }
  scope.unhonoured('policies', 'none of the policies is supported');
  return { policy: roundRobin, isLocalityWeighted: false };
}

function knownPolicy(any: Any, scope: ProblemScope): Pick<Balancing, 'policy' | 'isLocalityWeighted'> | null {
  const wrr = unpackAny(any, WrrLocalityPolicyTable);
  if (wrr?.endpointPickingPolicy !== undefined) {
    return {
      ...fromPolicy(wrr.endpointPickingPolicy, scope.at('endpoint_picking_policy')),
      isLocalityWeighted: true,
    };
  }
  const least = unpackAny(any, LeastRequestPolicyTable);
  if (least !== undefined) {
    reportSlowStart(least, scope);
    if (least.selectionMethod !== 'N_CHOICES')
      scope.unhonoured('selection_method', 'only N_CHOICES is supported');
    return {
      policy: leastRequest(least, scope),
      isLocalityWeighted: byLocality(least.localityLbConfig, scope),
    };
  }
  const robin = unpackAny(any, RoundRobinPolicyTable);
  if (robin !== undefined) {
    reportSlowStart(robin, scope);
    return { policy: roundRobin, isLocalityWeighted: byLocality(robin.localityLbConfig, scope) };
  }
  const random = unpackAny(any, RandomPolicyTable);
  if (random === undefined) return null;
  return { policy: { kind: 'random' }, isLocalityWeighted: byLocality(random.localityLbConfig, scope) };
}

function byLocality(config: PolicyLocalityLbConfig | undefined, scope: ProblemScope): boolean {
  if (config?.zoneAwareLbConfig !== undefined) {
    scope.at('locality_lb_config').unhonoured('zone_aware_lb_config', 'not supported by this proxy');
  }
  return config?.localityWeightedLbConfig !== undefined;
}

interface LeastRequestMessage {
  readonly choiceCount?: number;
  readonly activeRequestBias?: RuntimeDouble;
}

function leastRequest(config: LeastRequestMessage, scope: ProblemScope): BalancerPolicy {
  const choiceCount = config.choiceCount ?? defaultChoices;
  if (choiceCount < 2) scope.at('choice_count').error('must be at least 2');
  const activeRequestBias = config.activeRequestBias?.defaultValue ?? defaultBias;
  if (activeRequestBias < 0) scope.at('active_request_bias').error('must not be negative');
  return { kind: 'leastRequest', choiceCount, activeRequestBias };
}

function reportSlowStart(
  config: { readonly slowStartConfig?: object } | undefined,
  scope: ProblemScope,
): void {
  scope.unhonouredWhenSet({ slow_start_config: config?.slowStartConfig }, 'not supported by this proxy');
}
