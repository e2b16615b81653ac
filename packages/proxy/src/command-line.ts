/**
 * Envoy's command line, as far as it means something here. Flags take `--flag value` or `--flag=value`.
 * Flags of Envoy's that have no effect are accepted with a notice, never in silence (`envoy-flags.ts`).
 */
import { parseLogLevel, type LogFormat, type LogLevel } from '@sluice/runtime';
import type { BindAddress } from './admin/server.ts';
import type { UnsupportedFields } from './config/verdict.ts';
import { inertSwitches, inertValued, isLogPattern, refusedValued } from './envoy-flags.ts';
import {
  identityFlags,
  identityUsage,
  readIdentityOptions,
  type IdentityOptions,
} from './identity/identity-options.ts';
import type { HotRestartOptions } from './restart/hot-restart.ts';
import {
  hotRestartFlags,
  hotRestartSwitches,
  hotRestartUsage,
  readHotRestartOptions,
} from './restart/hot-restart-options.ts';

export interface CommandLine {
  readonly configPath: string | null;
  readonly configYaml: string | null;
  readonly mode: 'serve' | 'validate';
  readonly serviceNode: string | null;
  readonly serviceCluster: string | null;
  readonly serviceZone: string | null;
  readonly concurrency: number;
  readonly adminAddressPath: string | null;
  /** Where Prometheus is answered; null = where the node's metadata says, if it does. */
  readonly prometheusAddress: BindAddress | null;
  readonly healthAddress: BindAddress | null;
  readonly drainTimeMs: number;
  readonly parentShutdownTimeMs: number;
  readonly logLevel: LogLevel;
  readonly componentLogLevels: Readonly<Record<string, LogLevel>>;
  readonly logFormat: LogFormat;
  readonly logPath: string | null;
  readonly unsupportedFields: UnsupportedFields;
  /** Files that access logs of remote configuration may be written to. */
  readonly allowedLogPaths: readonly string[];
  /** Files and folders that certificates of remote configuration may be read from. */
  readonly allowedSecretPaths: readonly string[];
  /** Null: no agent, the workload's certificate comes like any secret. */
  readonly identity: IdentityOptions | null;
  /** Null: not asked for. */
  readonly hotRestart: HotRestartOptions | null;
  /** What was accepted and has no effect. */
  readonly notices: readonly string[];
  /** As given, for /server_info. */
  readonly given: Readonly<Record<string, string>>;
}

export type ParsedCommandLine =
  | { readonly kind: 'run'; readonly options: CommandLine }
  | { readonly kind: 'help' }
  | { readonly kind: 'version' }
  | { readonly kind: 'hot-restart-version' }
  | { readonly kind: 'error'; readonly problems: readonly string[] };

const short: ReadonlyMap<string, string> = new Map([
  ['-c', '--config-path'],
  ['-l', '--log-level'],
  ['-h', '--help'],
]);

const valued: ReadonlySet<string> = new Set([
  'config-path',
  'config-yaml',
  'mode',
  'service-node',
  'service-cluster',
  'service-zone',
  'concurrency',
  'admin-address-path',
  'prometheus-address',
  'health-address',
  'drain-time-s',
  'parent-shutdown-time-s',
  'log-level',
  'component-log-level',
  'log-format',
  'log-path',
  'unsupported-fields',
  'allow-access-log-path',
  'allow-secret-path',
  ...identityFlags,
  ...hotRestartFlags,
  ...inertValued.keys(),
  ...refusedValued.keys(),
]);
const switches: ReadonlySet<string> = new Set([...hotRestartSwitches, ...inertSwitches.keys()]);

/** Envoy's defaults, seconds. */
const defaultDrainS = 600;
const defaultParentShutdownS = 900;

export const usage = `Usage: sluice proxy -c FILE [options]

  -c, --config-path FILE        bootstrap, YAML or JSON (Envoy's schema)
      --config-yaml TEXT        bootstrap text, laid over the file
      --mode serve|validate     validate: check everything and exit
      --service-node ID         node.id        --service-cluster NAME   node.cluster
      --service-zone ZONE       node.locality.zone
      --concurrency N           data loops (default 1)
      --admin-address-path FILE where to write the admin address
      --prometheus-address A:P  serves /stats/prometheus there (default: off, or on all addresses
                                at port ENVOY_PROMETHEUS_PORT of the node's metadata)
      --health-address A:P      serves /healthz/ready there (default: off, or ENVOY_STATUS_PORT likewise)
      --drain-time-s N          time that connections get to end (default ${defaultDrainS})
      --parent-shutdown-time-s N  end by then at the latest (default ${defaultParentShutdownS})
  -l, --log-level LEVEL         trace debug info warning error critical off
      --component-log-level C:L,…
      --log-format text|json    --log-path FILE
      --unsupported-fields reject|warn   configuration fields without effect (default reject)
      --allow-access-log-path FILE       repeatable: files that remote configuration may log to
      --allow-secret-path PATH  repeatable: files or folders that remote configuration may read secrets from
${identityUsage}${hotRestartUsage}      --hot-restart-version   --version   --help

Envoy's other flags are taken with a notice, or refused in words. What follows -- is not read.
`;

export function parseCommandLine(args: readonly string[]): ParsedCommandLine {
  const problems: string[] = [];
  const notices: string[] = [];
  const values = new Map<string, string>();
  const given = new Set<string>();
  const repeated = { 'allow-access-log-path': [] as string[], 'allow-secret-path': [] as string[] };
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? '';
    const equals = arg.startsWith('--') ? arg.indexOf('=') : -1;
    const flag = short.get(arg) ?? (equals < 0 ? arg : arg.slice(0, equals));
    const name = flag.startsWith('--') ? flag.slice(2) : '';
    if (name === 'help') return { kind: 'help' };
    if (name === 'version') return { kind: 'version' };
    if (name === 'hot-restart-version') return { kind: 'hot-restart-version' };
    if (arg === '--' || name === 'ignore_rest') break;
    const inert = inertSwitches.get(name) ?? inertValued.get(name);
    if (inert !== undefined) notices.push(`--${name} has no effect: ${inert}`);
    if (switches.has(name)) {
      given.add(name);
      continue;
    }
    if (!valued.has(name)) {
      problems.push(`unknown argument "${arg}"`);
      continue;
    }
    const value = equals < 0 ? args[++i] : arg.slice(equals + 1);
    const refusal = refusedValued.get(name);
    if (refusal !== undefined) problems.push(`--${name} is not supported: ${refusal}`);
    else if (value === undefined) problems.push(`--${name} needs a value`);
    else if (name === 'log-format' && isLogPattern(value))
      notices.push('--log-format has no effect as a pattern: lines are text, or json where it says so');
    else if (name === 'allow-access-log-path' || name === 'allow-secret-path') repeated[name].push(value);
    else values.set(name, value);
  }
  const options = readOptions(values, given, repeated, notices, problems);
  return problems.length > 0 ? { kind: 'error', problems } : { kind: 'run', options };
}

function readOptions(
  values: ReadonlyMap<string, string>,
  given: ReadonlySet<string>,
  repeated: Readonly<Record<'allow-access-log-path' | 'allow-secret-path', readonly string[]>>,
  notices: readonly string[],
  problems: string[],
): CommandLine {
  const choice = <T extends string>(name: string, choices: readonly T[], fallback: T): T => {
    const value = values.get(name);
    const found = choices.find((known) => known === value);
    if (value !== undefined && found === undefined)
      problems.push(`--${name} must be one of ${choices.join(', ')}, not "${value}"`);
    return found ?? fallback;
  };
  const count = (name: string, fallback: number, least: number): number => {
    const value = values.get(name);
    if (value === undefined) return fallback;
    const number = /^\d+$/.test(value) ? Number(value) : NaN;
    if (!(number >= least))
      problems.push(`--${name} must be a whole number of at least ${least}, not "${value}"`);
    return number;
  };
  if (!values.has('config-path') && !values.has('config-yaml'))
    problems.push('--config-path or --config-yaml must be given');
  return {
    configPath: values.get('config-path') ?? null,
    configYaml: values.get('config-yaml') ?? null,
    mode: choice('mode', ['serve', 'validate'], 'serve'),
    serviceNode: values.get('service-node') ?? null,
    serviceCluster: values.get('service-cluster') ?? null,
    serviceZone: values.get('service-zone') ?? null,
    // Envoy takes 0 for 1.
    concurrency: Math.max(1, count('concurrency', 1, 0)),
    adminAddressPath: values.get('admin-address-path') ?? null,
    prometheusAddress: readAddress('prometheus-address', values, problems),
    healthAddress: readAddress('health-address', values, problems),
    drainTimeMs: count('drain-time-s', defaultDrainS, 0) * 1_000,
    parentShutdownTimeMs: count('parent-shutdown-time-s', defaultParentShutdownS, 0) * 1_000,
    logLevel: readLevel(values.get('log-level') ?? 'info', '--log-level', problems),
    componentLogLevels: readLevels(values.get('component-log-level') ?? '', problems),
    logFormat: choice('log-format', ['text', 'json'], 'text'),
    logPath: values.get('log-path') ?? null,
    unsupportedFields: choice('unsupported-fields', ['reject', 'warn'], 'reject'),
    allowedLogPaths: repeated['allow-access-log-path'],
    allowedSecretPaths: repeated['allow-secret-path'],
    identity: readIdentityOptions(values, problems),
    hotRestart: readHotRestartOptions(values, given, problems),
    notices,
    given: Object.fromEntries([...values].map(([name, value]) => [name.replaceAll('-', '_'), value])),
  };
}

/** `127.0.0.1:15090`, `[::]:15090`; port 0 takes a free one, which the log tells. */
function readAddress(
  name: string,
  values: ReadonlyMap<string, string>,
  problems: string[],
): BindAddress | null {
  const text = values.get(name);
  if (text === undefined) return null;
  const [, address = '', digits = ''] = /^(\[[\da-fA-F:.]+\]|[^:\s]+):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (address !== '' && port < 65_536) return { kind: 'tcp', address, port };
  problems.push(`--${name} must be address:port, not "${text}"`);
  return null;
}

function readLevels(text: string, problems: string[]): Record<string, LogLevel> {
  const levels: Record<string, LogLevel> = {};
  for (const pair of text.split(',').filter((part) => part !== '')) {
    const [component = '', level = ''] = pair.split(':');
    if (component === '') problems.push(`--component-log-level: "${pair}" must be component:level`);
    else levels[component] = readLevel(level, `--component-log-level ${component}`, problems);
  }
  return levels;
}

function readLevel(text: string, flag: string, problems: string[]): LogLevel {
  const level = parseLogLevel(text);
  if (level === undefined) problems.push(`${flag}: "${text}" is not a log level`);
  return level ?? 'info';
}
