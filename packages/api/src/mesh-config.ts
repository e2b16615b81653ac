/**
 * sluice.yaml, read and settled: every default filled in, durations in milliseconds, workloads as a list. What a
 * file gets wrong is reported with its place, all of it at once, as for any resource.
 */
import { parseDurationMs } from './duration.ts';
import { formatPath } from './position.ts';
import { hasErrors, type Problem } from './problem.ts';
import type { MeshConfig } from './schema/mesh-config.ts';
import {
  sluiceFile,
  type SluiceFile,
  type SluiceReadiness,
  type SluiceWorkloadInput,
} from './schema/sluice-file.ts';
import { checkRetryOn } from './validate/istio-retries.ts';
import { Findings } from './validate/findings.ts';
import { checkLabels } from './validate/metadata.ts';
import { hostnameProblem, labelNameProblem } from './validate/names.ts';
import { checkTlsParameters } from './validate/tls-parameters.ts';
import { checkSchema } from './validate/schema-problems.ts';
import { checkSupport } from './validate/support.ts';
import { parseYaml } from './yaml/parse.ts';
import { settleWorkload, type SluiceWorkload } from './workload-config.ts';

/** Settings of the whole mesh with their defaults. */
export interface MeshSettings {
  readonly clusterDomain: string;
  readonly trustDomain: string;
  readonly rootNamespace: string;
  readonly connectTimeoutMs: number;
  /** Empty for no access log. */
  readonly accessLogFile: string;
  readonly accessLogEncoding: 'TEXT' | 'JSON';
  /** Undefined for Istio's own format. */
  readonly accessLogFormat: string | undefined;
  /** Undefined for the safe default. */
  readonly defaultHttpRetryPolicy: MeshConfig['defaultHttpRetryPolicy'];
  readonly outboundTrafficPolicy: 'ALLOW_ANY' | 'REGISTRY_ONLY';
  readonly pathNormalization: 'NONE' | 'BASE' | 'MERGE_SLASHES' | 'DECODE_AND_MERGE_SLASHES';
  /** Clients use mutual TLS wherever the endpoint's sidecar can. */
  readonly autoMtls: boolean;
  readonly trustDomainAliases: readonly string[];
  /** TLS between sidecars, and with everybody else. */
  readonly meshTls: TlsLimits;
  readonly tlsDefaults: TlsLimits;
  /** How long an undeclared port waits for the first bytes; 0 = for ever. */
  readonly protocolDetectionTimeoutMs: number;
  readonly drainDurationMs: number;
  readonly terminationDrainDurationMs: number;
  /** 0 means one worker loop per core. */
  readonly concurrency: number;
}

export interface TlsLimits {
  readonly minVersion: 'TLSv1_2' | 'TLSv1_3';
  /** Of TLS 1.2, by preference; empty for Istio's own. */
  readonly cipherSuites: readonly string[];
  /** Empty for those of the engine. */
  readonly ecdhCurves: readonly string[];
}

export interface ControlPorts {
  readonly xds: number;
  /** Configuration and certificates over TLS. */
  readonly secure: number;
  readonly metrics: number;
  readonly api: number;
  readonly sidecars: { readonly from: number; readonly to: number } | undefined;
}

export interface SluiceConfig {
  readonly name: string | undefined;
  readonly mesh: MeshSettings;
  /** Folders and files, as written. */
  readonly resources: readonly string[];
  readonly workloads: readonly SluiceWorkload[];
  readonly ports: ControlPorts;
}

export interface ReadConfig {
  /** Undefined when there are errors. */
  readonly config: SluiceConfig | undefined;
  readonly problems: readonly Problem[];
}

export const defaultControlPorts: ControlPorts = {
  xds: 15010,
  secure: 15012,
  metrics: 15014,
  api: 15080,
  sidecars: undefined,
};

/** Pains of the field: clients of server-first protocols hang while a proxy waits for them to speak. */
const detectionTimeoutMs = 50;

/** Settings where no file, or no `meshConfig:`, says otherwise. */
export function meshSettings(config: MeshConfig = {}): MeshSettings {
  const proxy = config.defaultConfig ?? {};
  const normalization = config.pathNormalization?.normalization ?? 'DEFAULT';
  return {
    clusterDomain: config.clusterDomain ?? 'cluster.local',
    trustDomain: config.trustDomain ?? 'cluster.local',
    rootNamespace: config.rootNamespace ?? 'istio-system',
    connectTimeoutMs: milliseconds(config.connectTimeout, 10_000),
    accessLogFile: config.accessLogFile ?? '/dev/stdout',
    accessLogEncoding: config.accessLogEncoding ?? 'TEXT',
    accessLogFormat: config.accessLogFormat === '' ? undefined : config.accessLogFormat,
    defaultHttpRetryPolicy: config.defaultHttpRetryPolicy,
    outboundTrafficPolicy: config.outboundTrafficPolicy?.mode ?? 'ALLOW_ANY',
    pathNormalization: normalization === 'DEFAULT' ? 'BASE' : normalization,
    autoMtls: config.enableAutoMtls ?? true,
    trustDomainAliases: config.trustDomainAliases ?? [],
    meshTls: tlsLimits(config.meshMTLS),
    tlsDefaults: tlsLimits(config.tlsDefaults),
    protocolDetectionTimeoutMs: milliseconds(config.protocolDetectionTimeout, detectionTimeoutMs),
    drainDurationMs: milliseconds(proxy.drainDuration, 45_000),
    terminationDrainDurationMs: milliseconds(proxy.terminationDrainDuration, 5000),
    concurrency: proxy.concurrency ?? 1,
  };
}

function tlsLimits(config: MeshConfig['meshMTLS'] = {}): TlsLimits {
  return {
    minVersion: config.minProtocolVersion === 'TLSV1_3' ? 'TLSv1_3' : 'TLSv1_2',
    cipherSuites: config.cipherSuites ?? [],
    ecdhCurves: config.ecdhCurves ?? [],
  };
}

/** Reads sluice.yaml. An empty file is a mesh with defaults and no workloads. */
export function readSluiceFile(text: string, file: string): ReadConfig {
  const { documents, problems } = parseYaml(text, file);
  const [document, second] = documents;
  if (problems.length > 0) return { config: undefined, problems };
  const findings = new Findings({ locate: document?.locate, file });
  if (second !== undefined) {
    const { line, column } = second;
    const message = 'the file may hold only one document';
    return {
      config: undefined,
      problems: [{ code: 'too-many-documents', severity: 'error', message, path: '', file, line, column }],
    };
  }
  const value = document?.value ?? {};
  checkSchema(sluiceFile, value, findings);
  checkSupport('sluice.yaml', sluiceFile, value, findings);
  const config = findings.withoutBroken(value) as SluiceFile;
  checkMesh(config.meshConfig, findings);
  const workloads = checkWorkloads(config, findings);
  checkPorts(config, findings);
  if (hasErrors(findings.problems)) return { config: undefined, problems: findings.problems };
  return { config: settle(config, workloads), problems: findings.problems };
}

function settle(file: SluiceFile, workloads: readonly SluiceWorkload[]): SluiceConfig {
  const resources = file.resources ?? 'mesh';
  return {
    name: file.name,
    mesh: meshSettings(file.meshConfig),
    resources: typeof resources === 'string' ? [resources] : resources,
    workloads,
    ports: { ...defaultControlPorts, ...file.ports },
  };
}

function checkMesh(mesh: MeshConfig | undefined, findings: Findings): void {
  const path = ['meshConfig'];
  for (const field of ['clusterDomain', 'trustDomain'] as const) {
    findings.check(mesh?.[field], [...path, field], (domain, at) => {
      const problem = hostnameProblem(domain);
      if (problem !== undefined) findings.add('invalid-host', at, problem);
    });
  }
  findings.each(mesh?.trustDomainAliases, [...path, 'trustDomainAliases'], (domain, at) => {
    const problem = hostnameProblem(domain);
    if (problem !== undefined) findings.add('invalid-host', at, problem);
  });
  for (const field of ['meshMTLS', 'tlsDefaults'] as const)
    checkTlsParameters(mesh?.[field], [...path, field], findings);
  findings.check(mesh?.rootNamespace, [...path, 'rootNamespace'], (namespace, at) => {
    const problem = labelNameProblem(namespace);
    if (problem !== undefined) findings.add('invalid-name', at, problem);
  });
  const retryOn = [...path, 'defaultHttpRetryPolicy', 'retryOn'];
  findings.check(mesh?.defaultHttpRetryPolicy?.retryOn, retryOn, (text, at) =>
    checkRetryOn(text, at, findings),
  );
}

function checkWorkloads(file: SluiceFile, findings: Findings): SluiceWorkload[] {
  const settled: SluiceWorkload[] = [];
  const seen = new Map<string, string>();
  for (const { name, input, path } of namedWorkloads(file)) {
    if (findings.isBroken(path)) continue;
    const workload = settleWorkload(name, input);
    const problem = labelNameProblem(name);
    if (problem !== undefined)
      findings.add('invalid-name', Array.isArray(file.workloads) ? [...path, 'name'] : path, problem);
    const first = seen.get(`${workload.namespace}/${name}`);
    if (first !== undefined) findings.add('duplicate-name', path, `${name} stands at ${first} already`);
    else seen.set(`${workload.namespace}/${name}`, formatPath(path));
    checkWorkload(input, path, findings);
    settled.push(workload);
  }
  checkDependencies(settled, findings);
  return settled;
}

interface NamedWorkload {
  readonly name: string;
  readonly input: SluiceWorkloadInput;
  readonly path: readonly (string | number)[];
}

function namedWorkloads(file: SluiceFile): NamedWorkload[] {
  const workloads = file.workloads ?? [];
  if (Array.isArray(workloads)) {
    return workloads.map((input, index) => ({ name: input?.name ?? '', input, path: ['workloads', index] }));
  }
  return Object.entries(workloads).map(([key, input]) => ({
    name: input?.name ?? key,
    input,
    path: ['workloads', key],
  }));
}

function checkWorkload(
  input: SluiceWorkloadInput,
  path: readonly (string | number)[],
  findings: Findings,
): void {
  if (input.command === undefined && (input.alternatives ?? []).length === 0) {
    findings.add('required', [...path, 'command'], 'is required', { part: 'key' });
  }
  if (input.port !== undefined && input.ports !== undefined) {
    findings.add('conflicting-fields', path, 'may have only one of port and ports', { part: 'key' });
  }
  if (input.namespace !== undefined) {
    const problem = labelNameProblem(input.namespace);
    if (problem !== undefined) findings.add('invalid-name', [...path, 'namespace'], problem);
  }
  checkLabels(input.labels, [...path, 'labels'], findings);
  for (const name of Object.keys(input.env ?? {})) {
    if (!/^[A-Za-z_][\w.-]*$/.test(name))
      findings.add('invalid-name', [...path, 'env', name], 'is not the name of a variable', { part: 'key' });
  }
  checkReadiness(input.readiness, [...path, 'readiness'], findings);
}

function checkReadiness(
  readiness: SluiceReadiness | undefined,
  path: readonly (string | number)[],
  findings: Findings,
): void {
  if (readiness === undefined) return;
  const ways = (['http', 'tcp', 'grpc', 'exec'] as const).filter((way) => readiness[way] !== undefined);
  if (ways.length > 1)
    findings.add('conflicting-fields', path, `may have only one of ${ways.join(' and ')}`, { part: 'key' });
}

/** A workload that waits for itself, directly or through others, would never start. */
function checkDependencies(workloads: readonly SluiceWorkload[], findings: Findings): void {
  const byName = new Map(workloads.map((workload) => [workload.name, workload]));
  for (const workload of workloads) {
    for (const name of workload.dependsOn) {
      if (!byName.has(name))
        findings.add(
          'unknown-workload',
          ['workloads'],
          `${workload.name} depends on ${name}, which there is not`,
        );
    }
    const reached = new Set<string>();
    const pending = [...workload.dependsOn];
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      if (reached.has(name)) continue;
      reached.add(name);
      pending.push(...(byName.get(name)?.dependsOn ?? []));
    }
    if (reached.has(workload.name))
      findings.add('cyclic-dependency', ['workloads'], `${workload.name} depends on itself`);
  }
}

function checkPorts(file: SluiceFile, findings: Findings): void {
  const { sidecars } = file.ports ?? {};
  findings.check(sidecars, ['ports', 'sidecars'], (range, at) => {
    if (range.from > range.to) findings.add('invalid-value', at, 'must not begin after its end');
  });
  const seen = new Map<number, string>();
  for (const name of ['xds', 'secure', 'metrics', 'api'] as const) {
    const number = file.ports?.[name] ?? defaultControlPorts[name];
    const first = seen.get(number);
    if (first !== undefined)
      findings.add('duplicate-port', ['ports', name], `${number} is the port of ${first} already`);
    seen.set(number, name);
  }
}

function milliseconds(text: string | undefined, otherwise: number): number {
  return text === undefined ? otherwise : (parseDurationMs(text) ?? otherwise);
}
