/**
 * Envoy's response flags as one bit set: why a request or connection did not simply succeed.
 *
 * A record keeps them in a number, so that setting one is an `|=` and comparing two records is `===`.
 * Names are Envoy's (docs `access_log/usage`), because dashboards and alerts are written against them.
 */

interface FlagNames {
  readonly short: string;
  readonly long: string;
}

/** Position in this table = bit; the order is the order in which several flags are printed. */
const FLAG_NAMES: readonly FlagNames[] = [
  { short: 'LH', long: 'FailedLocalHealthCheck' },
  { short: 'UH', long: 'NoHealthyUpstream' },
  { short: 'UT', long: 'UpstreamRequestTimeout' },
  { short: 'LR', long: 'LocalReset' },
  { short: 'UR', long: 'UpstreamRemoteReset' },
  { short: 'UF', long: 'UpstreamConnectionFailure' },
  { short: 'UC', long: 'UpstreamConnectionTermination' },
  { short: 'UO', long: 'UpstreamOverflow' },
  { short: 'NR', long: 'NoRouteFound' },
  { short: 'DI', long: 'DelayInjected' },
  { short: 'FI', long: 'FaultInjected' },
  { short: 'RL', long: 'RateLimited' },
  { short: 'UAEX', long: 'UnauthorizedExternalService' },
  { short: 'RLSE', long: 'RateLimitServiceError' },
  { short: 'DC', long: 'DownstreamConnectionTermination' },
  { short: 'URX', long: 'UpstreamRetryLimitExceeded' },
  { short: 'SI', long: 'StreamIdleTimeout' },
  { short: 'IH', long: 'InvalidEnvoyRequestHeaders' },
  { short: 'DPE', long: 'DownstreamProtocolError' },
  { short: 'UMSDR', long: 'UpstreamMaxStreamDurationReached' },
  { short: 'RFCF', long: 'ResponseFromCacheFilter' },
  { short: 'NFCF', long: 'NoFilterConfigFound' },
  { short: 'DT', long: 'DurationTimeout' },
  { short: 'UPE', long: 'UpstreamProtocolError' },
  { short: 'NC', long: 'NoClusterFound' },
  { short: 'OM', long: 'OverloadManagerTerminated' },
  { short: 'DF', long: 'DnsResolutionFailed' },
  { short: 'DO', long: 'DropOverload' },
  { short: 'DR', long: 'DownstreamRemoteReset' },
  { short: 'UDO', long: 'UnconditionalDropOverload' },
];

/** One bit each; combine with `|`. */
export const FLAG = {
  LH: 1 << 0,
  UH: 1 << 1,
  UT: 1 << 2,
  LR: 1 << 3,
  UR: 1 << 4,
  UF: 1 << 5,
  UC: 1 << 6,
  UO: 1 << 7,
  NR: 1 << 8,
  DI: 1 << 9,
  FI: 1 << 10,
  RL: 1 << 11,
  UAEX: 1 << 12,
  RLSE: 1 << 13,
  DC: 1 << 14,
  URX: 1 << 15,
  SI: 1 << 16,
  IH: 1 << 17,
  DPE: 1 << 18,
  UMSDR: 1 << 19,
  RFCF: 1 << 20,
  NFCF: 1 << 21,
  DT: 1 << 22,
  UPE: 1 << 23,
  NC: 1 << 24,
  OM: 1 << 25,
  DF: 1 << 26,
  DO: 1 << 27,
  DR: 1 << 28,
  UDO: 1 << 29,
} as const;

const bitByName: ReadonlyMap<string, number> = new Map(
  FLAG_NAMES.flatMap((names, bit) => [
    [names.short, 1 << bit],
    [names.long, 1 << bit],
  ]),
);

/** The bit of a short or long name, 0 for the empty string; undefined when Envoy has no such flag. */
export function responseFlagBit(name: string): number | undefined {
  return name === '' || name === '-' ? 0 : bitByName.get(name);
}

/** `UF,URX` as in `%RESPONSE_FLAGS%`; `-` when none is set. */
export function responseFlagsShort(flags: number): string {
  return flags === 0 ? '-' : cached(shortTexts, flags, 'short');
}

/** `UpstreamConnectionFailure,…` as in `%RESPONSE_FLAGS_LONG%`; `-` when none is set. */
export function responseFlagsLong(flags: number): string {
  return flags === 0 ? '-' : cached(longTexts, flags, 'long');
}

/** Combinations seen so far. Bounded, since a filter could in principle produce any combination. */
const MAX_CACHED_COMBINATIONS = 1024;
const shortTexts = new Map<number, string>();
const longTexts = new Map<number, string>();

function cached(texts: Map<number, string>, flags: number, form: 'short' | 'long'): string {
  const known = texts.get(flags);
  if (known !== undefined) return known;
  const text = FLAG_NAMES.filter((_, bit) => (flags & (1 << bit)) !== 0)
    .map((names) => names[form])
    .join(',');
  if (texts.size < MAX_CACHED_COMBINATIONS) texts.set(flags, text);
  return text;
}
