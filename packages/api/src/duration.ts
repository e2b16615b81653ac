/**
 * Durations as Istio writes them (Go: `1h30m`, `1.5s`, `250ms`) and as the Gateway API does (GEP-2257: whole
 * numbers of h, m, s, ms, at most five digits each). Neither is ever negative here.
 */

const unitMs: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  μs: 1e-3,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

const goDuration = /^(?:0|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/;
const goPart = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g;
const gatewayDuration = /^(?:[0-9]{1,5}(?:h|m|s|ms)){1,4}$/;
const maxDurationText = 64;

/** Milliseconds, fractions kept; undefined when the text is not a duration. */
export function parseDurationMs(text: string): number | undefined {
  if (text.length > maxDurationText || !goDuration.test(text)) return undefined;
  let totalMs = 0;
  for (const [, amount, unit] of text.matchAll(goPart)) totalMs += Number(amount) * (unitMs[unit ?? ''] ?? 0);
  return Number.isFinite(totalMs) ? totalMs : undefined;
}

export function isGatewayDuration(text: string): boolean {
  return gatewayDuration.test(text);
}

/** The shortest exact way to write whole milliseconds: `90s`, `1500ms`, `2h`. */
export function formatDurationMs(durationMs: number): string {
  for (const [unit, size] of [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ] as const) {
    if (durationMs > 0 && durationMs % size === 0) return `${durationMs / size}${unit}`;
  }
  return durationMs === 0 ? '0s' : `${durationMs}ms`;
}
