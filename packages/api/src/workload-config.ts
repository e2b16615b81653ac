/** A workload of sluice.yaml with every default filled in, as whoever runs it needs it. */
import { parseDurationMs } from './duration.ts';
import type { SluiceReadiness, SluiceWorkloadInput } from './schema/sluice-file.ts';

/** One way to run a workload; the first whose programs are all on PATH is taken. */
export interface WorkloadCommand {
  readonly argv: readonly string[];
  readonly requires: readonly string[];
  readonly cwd: string | undefined;
  readonly env: Readonly<Record<string, string>>;
}

export interface WorkloadPort {
  readonly name: string;
  /** Port of the service. */
  readonly port: number;
  /** Port of the application; undefined when it is allotted and given as PORT. */
  readonly targetPort: number | undefined;
  readonly protocol: string;
}

export type ReadinessCheck =
  | {
      readonly type: 'http';
      readonly path: string;
      readonly port: number | undefined;
      readonly headers: Readonly<Record<string, string>>;
    }
  | { readonly type: 'tcp'; readonly port: number | undefined }
  /** `grpc.health.v1.Health/Check`; an empty service is the whole server. */
  | { readonly type: 'grpc'; readonly port: number | undefined; readonly service: string }
  | { readonly type: 'exec'; readonly argv: readonly string[] };

export interface WorkloadReadiness {
  readonly check: ReadinessCheck;
  readonly initialDelayMs: number;
  readonly periodMs: number;
  readonly timeoutMs: number;
  readonly successThreshold: number;
  readonly failureThreshold: number;
}

export interface SluiceWorkload {
  readonly name: string;
  readonly namespace: string;
  /** In order of preference; the plain `command` is last. */
  readonly commands: readonly WorkloadCommand[];
  readonly ports: readonly WorkloadPort[];
  readonly replicas: number;
  readonly labels: Readonly<Record<string, string>>;
  /** Name of the service made for the workload; undefined for none. */
  readonly service: string | undefined;
  readonly serviceAccount: string;
  readonly version: string;
  readonly locality: string | undefined;
  readonly weight: number;
  readonly readiness: WorkloadReadiness;
  readonly restart: 'always' | 'on-failure' | 'never';
  readonly dependsOn: readonly string[];
  readonly hasSidecar: boolean;
  /** As written: what its sidecar may read certificates and keys from. */
  readonly secretPaths: readonly string[];
  /** May listen beyond loopback under STRICT. */
  readonly allowBypass: boolean;
  readonly stopTimeoutMs: number;
}

/** Fills in what a validated entry leaves out. */
export function settleWorkload(name: string, input: SluiceWorkloadInput): SluiceWorkload {
  const version = input.version ?? input.labels?.['version'] ?? 'v1';
  const service = input.service ?? input.labels?.['app'] ?? name;
  return {
    name,
    namespace: input.namespace ?? 'default',
    commands: commandsOf(input),
    ports: portsOf(input),
    replicas: input.replicas ?? 1,
    labels: { app: name, version, ...input.labels },
    service: service === false ? undefined : service,
    serviceAccount: input.serviceAccount ?? name,
    version,
    locality: input.locality,
    weight: input.weight ?? 1,
    readiness: readinessOf(input.readiness ?? {}),
    restart: input.restart ?? 'always',
    dependsOn: input.dependsOn ?? [],
    hasSidecar: input.sidecar ?? true,
    secretPaths: input.secretPaths ?? [],
    allowBypass: input.allowBypass ?? false,
    stopTimeoutMs: milliseconds(input.stopTimeout, 10_000),
  };
}

/** Splits a command line at blanks; single and double quotes keep blanks, a backslash keeps the next character. */
export function splitCommand(text: string): string[] {
  const words: string[] = [];
  const word = /(?:[^\s"'\\]|\\[\s\S]|"(?:[^"\\]|\\[\s\S])*"|'[^']*')+/g;
  for (const [found] of text.matchAll(word)) {
    words.push(
      found.replaceAll(/\\([\s\S])|"((?:[^"\\]|\\[\s\S])*)"|'([^']*)'/g, (_, escaped, double, single) => {
        if (escaped !== undefined) return String(escaped);
        return double === undefined ? String(single) : String(double).replaceAll(/\\(["\\$`])/g, '$1');
      }),
    );
  }
  return words;
}

type Environment = NonNullable<SluiceWorkloadInput['env']>;

function commandsOf(input: SluiceWorkloadInput): WorkloadCommand[] {
  const own = { requires: input.requires, command: input.command, cwd: input.cwd, env: {} };
  const ways = [...(input.alternatives ?? []), ...(own.command === undefined ? [] : [own])];
  return ways.map((way) => ({
    argv: argvOf(way.command ?? []),
    requires: asList(way.requires),
    cwd: way.cwd ?? input.cwd,
    env: { ...asText(input.env ?? {}), ...asText(way.env ?? {}) },
  }));
}

function argvOf(command: string | readonly string[]): readonly string[] {
  return typeof command === 'string' ? splitCommand(command) : command;
}

function asList(value: string | readonly string[] | undefined): readonly string[] {
  return value === undefined ? [] : typeof value === 'string' ? [value] : value;
}

function asText(env: Environment): Record<string, string> {
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [name, String(value)]));
}

function portsOf(input: SluiceWorkloadInput): WorkloadPort[] {
  const listed = input.ports ?? (input.port === undefined ? [] : [input.port]);
  return listed.map((entry, index) => {
    const given = typeof entry === 'number' ? { port: entry } : entry;
    const protocol = given.protocol ?? input.protocol ?? protocolOfName(given.name) ?? 'http';
    const name = given.name ?? (index === 0 ? protocol : `${protocol}-${given.port}`);
    return { name: name.toLowerCase(), port: given.port, targetPort: given.targetPort, protocol };
  });
}

/** What stands before the first dash of a port's name; gRPC-Web has one in its own. */
function protocolOfName(name: string | undefined): string | undefined {
  return name === undefined ? undefined : /^(grpc-web(?=-|$)|[^-]*)/.exec(name)?.[0];
}

/**
 * An application behind a shell that lives on dies unseen by whoever started the shell: its port refuses, and only
 * probes tell. Three of them in a row and the push to the clients fit into 3 s, as an expired lease does.
 */
const defaultProbePeriodMs = 750;
const defaultFailureThreshold = 3;

function readinessOf(input: SluiceReadiness): WorkloadReadiness {
  return {
    check: checkOf(input),
    initialDelayMs: milliseconds(input.initialDelay, 0),
    periodMs: milliseconds(input.period, defaultProbePeriodMs),
    timeoutMs: milliseconds(input.timeout, 1000),
    successThreshold: input.successThreshold ?? 1,
    failureThreshold: input.failureThreshold ?? defaultFailureThreshold,
  };
}

function checkOf({ http, tcp, grpc, exec }: SluiceReadiness): ReadinessCheck {
  if (exec !== undefined) return { type: 'exec', argv: argvOf(exec) };
  if (http !== undefined) {
    const given = typeof http === 'string' ? { path: http } : http;
    return { type: 'http', path: given.path ?? '/', port: given.port, headers: given.headers ?? {} };
  }
  if (grpc !== undefined && grpc !== false) {
    if (typeof grpc === 'number') return { type: 'grpc', port: grpc, service: '' };
    const given = typeof grpc === 'object' ? grpc : { service: grpc === true ? '' : grpc };
    return { type: 'grpc', port: given.port, service: given.service ?? '' };
  }
  if (typeof tcp === 'number') return { type: 'tcp', port: tcp };
  return { type: 'tcp', port: typeof tcp === 'object' ? tcp.port : undefined };
}

function milliseconds(text: string | undefined, otherwise: number): number {
  return text === undefined ? otherwise : (parseDurationMs(text) ?? otherwise);
}
