/** All problems of a bootstrap's static resources, without touching a socket: `--mode validate`, and before start. */
import type { Bootstrap } from '@sluice/xds';
import { isPlain } from '../cluster/unhonoured-cluster.ts';
import type { ConfigChecker } from './checker.ts';

export function checkStatic(bootstrap: Bootstrap, checker: ConfigChecker): string[] {
  const control = controlPlaneClusters(bootstrap);
  const problems: string[] = [];
  const report = (path: string, name: string, rejection: string | null): void => {
    for (const line of rejection?.split('\n') ?? []) problems.push(`${path} (${name}): ${line}`);
  };
  for (const [i, cluster] of (bootstrap.staticResources?.clusters ?? []).entries()) {
    if (control.has(cluster.name)) continue;
    report(`static_resources.clusters[${i}]`, cluster.name, checker.cluster(cluster, null).rejection);
  }
  for (const [i, listener] of (bootstrap.staticResources?.listeners ?? []).entries()) {
    report(`static_resources.listeners[${i}]`, listener.name, checker.listener(listener, null).rejection);
  }
  problems.push(...repeated('clusters', bootstrap.staticResources?.clusters ?? []));
  problems.push(...repeated('listeners', bootstrap.staticResources?.listeners ?? []));
  problems.push(...checkDynamic(bootstrap, control));
  return problems;
}

/** Clusters that carry xDS: the main thread speaks to them, in HTTP/2. */
export function controlPlaneClusters(bootstrap: Bootstrap): Set<string> {
  const names = new Set<string>();
  for (const service of bootstrap.dynamicResources?.adsConfig?.grpcServices ?? []) {
    if (service.envoyGrpc !== undefined) names.add(service.envoyGrpc.clusterName);
  }
  return names;
}

function checkDynamic(bootstrap: Bootstrap, control: ReadonlySet<string>): string[] {
  const dynamic = bootstrap.dynamicResources;
  if (dynamic === undefined) return [];
  const problems: string[] = [];
  for (const [field, source] of [
    ['lds_config', dynamic.ldsConfig],
    ['cds_config', dynamic.cdsConfig],
  ] as const) {
    if (source !== undefined && source.ads === undefined)
      problems.push(`dynamic_resources.${field}: must be ads`);
    if (source?.ads !== undefined && dynamic.adsConfig === undefined) {
      problems.push(`dynamic_resources.ads_config: must be set, ${field} refers to it`);
    }
  }
  const ads = dynamic.adsConfig;
  if (ads === undefined) return problems;
  if (ads.apiType !== 'GRPC' && ads.apiType !== 'DELTA_GRPC') {
    problems.push(
      `dynamic_resources.ads_config.api_type: ${ads.apiType} is not supported; use GRPC or DELTA_GRPC`,
    );
  }
  if (ads.transportApiVersion !== 'V3')
    problems.push('dynamic_resources.ads_config.transport_api_version: must be V3');
  if (control.size === 0)
    problems.push('dynamic_resources.ads_config.grpc_services: must name a cluster by envoy_grpc');
  const known = new Set((bootstrap.staticResources?.clusters ?? []).map((cluster) => cluster.name));
  for (const name of control) {
    const cluster = bootstrap.staticResources?.clusters.find((candidate) => candidate.name === name);
    if (cluster?.loadAssignment?.endpoints.some((group) => group.lbEndpoints.length > 0) === false) {
      problems.push(`static cluster "${name}": must have an endpoint, the control plane is reached by it`);
    }
    if (cluster?.transportSocket !== undefined && !isPlain(cluster.transportSocket)) {
      problems.push(
        `static cluster "${name}": transport_socket "${cluster.transportSocket.name}" is not supported`,
      );
    }
    if (!known.has(name))
      problems.push(`dynamic_resources.ads_config.grpc_services: there is no static cluster "${name}"`);
  }
  return problems;
}

function repeated(field: string, resources: readonly { readonly name: string }[]): string[] {
  const seen = new Set<string>();
  const problems: string[] = [];
  for (const [i, { name }] of resources.entries()) {
    if (seen.has(name)) problems.push(`static_resources.${field}[${i}].name: "${name}" occurs twice`);
    seen.add(name);
  }
  return problems;
}
