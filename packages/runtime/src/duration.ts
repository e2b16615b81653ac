/**
 * Durations as users write them: Go's form ("1h30m", "1.5s", "100ms"), which Istio and the Gateway API use.
 * Parsing answers `undefined` for text that is no duration; what range a field allows is the field's business.
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

/** Go keeps durations in int64 nanoseconds; more than this is an error there too. */
const maxGoDurationMs = 2 ** 63 / 1e6;

const goTerm = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/y;

/** Milliseconds of a Go duration, a sign and the bare "0" included; undefined if it is none. */
export function parseGoDurationMs(text: string): number | undefined {
  const sign = text.startsWith('-') ? -1 : 1;
  const start = text.startsWith('-') || text.startsWith('+') ? 1 : 0;
  if (text.slice(start) === '0') return 0;
  let totalMs = 0;
  let position = start;
  while (position < text.length) {
    goTerm.lastIndex = position;
    const term = goTerm.exec(text);
    if (term === null) return undefined;
    totalMs += Number(term[1]) * unitMs[term[2]!]!;
    position = goTerm.lastIndex;
  }
  if (position === start || totalMs > maxGoDurationMs) return undefined;
  return sign * roundToNanoseconds(totalMs);
}

/** Takes off what binary fractions added; a duration too long to count in nanoseconds stays as it is. */
function roundToNanoseconds(ms: number): number {
  const nanos = Math.round(ms * 1e6);
  return Number.isSafeInteger(nanos) ? nanos / 1e6 : ms;
}
