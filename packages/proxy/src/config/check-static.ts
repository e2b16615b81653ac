/** All problems of a bootstrap's static resources, without touching a socket: `--mode validate`, and before start. */
import type { Bootstrap, Secret } from '@sluice/xds';
import { checkControlPlaneTls } from '../xds/control-plane-tls.ts';
import type { ConfigChecker } from './checker.ts';
import { sourceReader, type SourceReader } from './data-sources.ts';
import { inlineContexts, inlineSecret } from './inline-secret.ts';
import { formatProblem, newProblems, type ProblemScope } from './problems.ts';
import { judgeSecret } from './secret-judgement.ts';
import { endpointsOf, routeTablesOf } from './references.ts';
import { judgeReference, secretsOf } from './secret-references.ts';
import { checkStaticRoutes } from './static-routes.ts';
import { joined, type Verdict } from './verdict.ts';

export interface StaticFacts {
  /** Names that the identity agent serves; empty without one. */
  readonly agentSecrets: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly nowWallMs: number;
}

export interface StaticVerdict {
  /** Why the proxy cannot start; empty = it can. */
  readonly problems: readonly string[];
  /** What is set and has no effect (`--unsupported-fields warn`). */
  readonly unhonoured: readonly string[];
}

export function checkStatic(bootstrap: Bootstrap, checker: ConfigChecker, facts: StaticFacts): StaticVerdict {
  const { clusters = [], listeners = [], secrets = [] } = bootstrap.staticResources ?? {};
  const control = controlPlaneClusters(bootstrap);
  const hasAds = bootstrap.dynamicResources?.adsConfig !== undefined;
  const reader = sourceReader({ allowedPaths: [], environment: facts.environment }, true);
  const served = new Set([...facts.agentSecrets, ...secrets.map(({ name }) => name)]);
  const hasCds = bootstrap.dynamicResources?.cdsConfig !== undefined;
  const clusterNames = new Set(clusters.map(({ name }) => name));
  const problems: string[] = [];
  const unhonoured: string[] = [];
  const report = (path: string, name: string, rejection: string | null): void => {
    for (const line of rejection?.split('\n') ?? []) problems.push(`${path} (${name}): ${line}`);
  };
  const judged = (path: string, name: string, verdict: Verdict): string | null => {
    unhonoured.push(...verdict.unhonoured.map((line) => `${path} (${name}): ${line}`));
    return verdict.rejection;
  };
  for (const [i, secret] of secrets.entries())
    report(`static_resources.secrets[${i}]`, secret.name, checkSecret(secret, reader, facts.nowWallMs));
  for (const [i, cluster] of clusters.entries()) {
    const path = `static_resources.clusters[${i}]`;
    const scope = newProblems();
    const inlined = inlineContexts(cluster, reader, scope);
    for (const one of secretsOf(cluster)) judgeReference(one, served.has(one.name), hasAds, scope);
    const list = endpointsOf(cluster);
    if (list !== null && !hasAds)
      scope.at('eds_cluster_config').error(`nobody can be asked for "${list.name}": ${noAds}`);
    const own = control.has(cluster.name)
      ? checkControlPlaneTls(inlined, facts.agentSecrets).join('\n') || null
      : judged(path, cluster.name, checker.cluster(inlined, null));
    report(path, cluster.name, joined(textOf(scope), own));
  }
  for (const [i, listener] of listeners.entries()) {
    const path = `static_resources.listeners[${i}]`;
    const scope = newProblems();
    for (const one of secretsOf(listener)) judgeReference(one, served.has(one.name), hasAds, scope);
    for (const { name } of hasAds ? [] : routeTablesOf(listener))
      scope.error(`nobody can be asked for route table "${name}": ${noAds}`);
    if (!hasCds) checkStaticRoutes(listener, clusterNames, scope);
    const inlined = inlineContexts(listener, reader, scope);
    const own = judged(path, listener.name, checker.listener(inlined, null));
    report(path, listener.name, joined(textOf(scope), own));
  }
  problems.push(...repeated('secrets', secrets));
  problems.push(...repeated('clusters', clusters));
  problems.push(...repeated('listeners', listeners));
  problems.push(...checkDynamic(bootstrap, control));
  return { problems, unhonoured };
}

const noAds = 'the bootstrap has no dynamic_resources.ads_config';

function checkSecret(secret: Secret, reader: SourceReader, nowWallMs: number): string | null {
  const scope = newProblems();
  const inlined = inlineSecret(secret, reader, scope);
  if (scope.problems.length === 0) judgeSecret(inlined, nowWallMs, scope);
  return textOf(scope);
}

function textOf(scope: ProblemScope): string | null {
  return scope.problems.map(formatProblem).join('\n') || null;
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
