/** Arguments of `sluice control`: what each means, its default, and what is wrong with those given. */
import { nearestName, parseLogLevel, type LogFormat, type LogLevel } from '@sluice/runtime';
import { identityFlags, identityUsage, readIdentityArgs, repeatableIdentityFlags } from './identity-args.ts';
import type { ControlOptions } from './stack.ts';

export interface ControlArgs extends ControlOptions {
  readonly logLevel: LogLevel;
  readonly logFormat: LogFormat;
}

export type ParsedControlArgs =
  { readonly ok: true; readonly args: ControlArgs } | { readonly ok: false; readonly message: string };

export const controlUsage = `Usage: sluice control [flags]

  --state-dir DIR         where the state is kept (default .sluice)
  --resources DIR         folder or file of resources, watched; may be repeated
  --optional-resources DIR  likewise, but may be missing: taken over when it appears
  --mesh-config FILE      sluice.yaml with meshConfig (default: a mesh with defaults)
  --xds-address ADDR      xDS for proxies (default 127.0.0.1:15010)
  --api-address ADDR      API and page (default 127.0.0.1:15080)
  --metrics-address ADDR  Prometheus metrics (default 127.0.0.1:15014)
${identityUsage}  --log-level LEVEL       trace, debug, info, warning, error, critical or off (default info)
  --log-format FORMAT     text or json (default text)
`;

const flags = [
  '--state-dir',
  '--resources',
  '--optional-resources',
  '--mesh-config',
  '--xds-address',
  '--api-address',
  '--metrics-address',
  '--log-level',
  '--log-format',
  ...identityFlags,
] as const;
const repeatable: ReadonlySet<string> = new Set([
  '--resources',
  '--optional-resources',
  ...repeatableIdentityFlags,
]);
type Flag = (typeof flags)[number];

/** Takes `--flag value` and `--flag=value`; a flag that is repeated is an error, but for the few that may be. */
export function parseControlArgs(argv: readonly string[]): ParsedControlArgs {
  const given = new Map<Flag, string[]>();
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? '';
    const equals = word.indexOf('=');
    const name = equals < 0 ? word : word.slice(0, equals);
    const flag = flags.find((one) => one === name);
    if (flag === undefined) return refuse(describeUnknown(name));
    const value = equals < 0 ? argv[++index] : word.slice(equals + 1);
    if (value === undefined || value === '') return refuse(`${flag} needs a value`);
    const values = given.get(flag) ?? [];
    if (values.length > 0 && !repeatable.has(flag)) return refuse(`${flag} is given twice`);
    given.set(flag, [...values, value]);
  }
  const one = (flag: Flag, otherwise: string): string => given.get(flag)?.[0] ?? otherwise;
  const logLevel = parseLogLevel(one('--log-level', 'info'));
  if (logLevel === undefined)
    return refuse(
      `--log-level ${one('--log-level', '')} is not a level: use trace, debug, info, warning, error, critical or off`,
    );
  const logFormat = one('--log-format', 'text');
  if (logFormat !== 'text' && logFormat !== 'json')
    return refuse(`--log-format ${logFormat} is not a format: use text or json`);
  const identity = readIdentityArgs(given, one('--xds-address', ''));
  if (!identity.ok) return identity;
  return {
    ok: true,
    args: {
      stateDir: one('--state-dir', '.sluice'),
      resources: given.get('--resources') ?? [],
      optionalResources: given.get('--optional-resources') ?? [],
      meshConfig: given.get('--mesh-config')?.[0],
      xdsAddress: one('--xds-address', '127.0.0.1:15010'),
      apiAddress: one('--api-address', '127.0.0.1:15080'),
      metricsAddress: one('--metrics-address', '127.0.0.1:15014'),
      identity: identity.options,
      logLevel,
      logFormat,
    },
  };
}

function describeUnknown(name: string): string {
  const nearest = nearestName(name, flags);
  const what = name.startsWith('-') ? `${name} is not a flag` : `unexpected argument ${name}`;
  return nearest === undefined ? what : `${what}; did you mean ${nearest}?`;
}

function refuse(message: string): ParsedControlArgs {
  return { ok: false, message };
}
