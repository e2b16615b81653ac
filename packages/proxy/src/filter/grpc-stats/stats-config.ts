/** What of gRPC calls is counted by method, and what together. */
import type { GrpcStats as GrpcStatsMessage } from '@sluice/xds';
import type { ConfigProblem } from '../filter.ts';

export interface GrpcMethodName {
  readonly service: string;
  readonly method: string;
}

export interface GrpcStatsConfig {
  /** The record is told the numbers of messages (Envoy: as filter state). */
  readonly fillsRecord: boolean;
  readonly measuresUpstream: boolean;
  /** By path; a path that is not in here is counted with all others. Null: each method by itself. */
  readonly methods: ReadonlyMap<string, GrpcMethodName> | null;
  readonly replacesDots: boolean;
}

/** Not told apart by method. */
const TOGETHER: GrpcMethodName = { service: '', method: '' };

export function compileGrpcStats(message: GrpcStatsMessage, problems: ConfigProblem[]): GrpcStatsConfig {
  return {
    fillsRecord: message.emitFilterState,
    measuresUpstream: message.enableUpstreamStats,
    methods: message.statsForAllMethods === true ? null : compileAllowlist(message, problems),
    replacesDots: message.replaceDotsInGrpcServiceName,
  };
}

/** Null: the path is none of a gRPC method, so nothing is counted. */
export function methodOf(config: GrpcStatsConfig, path: string): GrpcMethodName | null {
  if (config.methods !== null) return config.methods.get(path) ?? TOGETHER;
  const [, service, method] = /^\/([^/]+)\/([^/]+)$/.exec(path) ?? [];
  if (service === undefined || method === undefined) return null;
  return { service: nameOfService(service, config.replacesDots), method };
}

function compileAllowlist(
  { individualMethodStatsAllowlist: list, replaceDotsInGrpcServiceName }: GrpcStatsMessage,
  problems: ConfigProblem[],
): ReadonlyMap<string, GrpcMethodName> {
  const methods = new Map<string, GrpcMethodName>();
  for (const [i, { name, methodNames }] of (list?.services ?? []).entries()) {
    const path = `individual_method_stats_allowlist.services[${i}]`;
    if (name === '') problems.push({ path: `${path}.name`, message: 'must not be empty' });
    if (methodNames.length === 0)
      problems.push({ path: `${path}.method_names`, message: 'must name at least one method' });
    const service = nameOfService(name, replaceDotsInGrpcServiceName);
    for (const method of methodNames) methods.set(`/${name}/${method}`, { service, method });
  }
  return methods;
}

function nameOfService(service: string, replacesDots: boolean): string {
  return replacesDots ? service.replaceAll('.', '_') : service;
}
