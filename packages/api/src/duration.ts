/**
 * Durations as Istio writes them (Go: `1h30m`, `1.5s`, `250ms`) and as the Gateway API does (GEP-2257: whole
 * numbers of h, m, s, ms, at most five digits each). Neither is ever negative here.
 */
import { parseGoDurationMs } from '@sluice/runtime';

const gatewayDuration = /^(?:[0-9]{1,5}(?:h|m|s|ms)){1,4}$/;
const maxDurationText = 64;

/** Milliseconds, fractions kept; undefined when the text is not a duration. */
export function parseDurationMs(text: string): number | undefined {
  if (text.length > maxDurationText || /^[+-]/.test(text)) return undefined;
  return parseGoDurationMs(text);
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
