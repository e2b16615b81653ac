/**
 * Durations as users write them: Go's form ("1h30m", "1.5s", "100ms"), which Istio and the Gateway API use,
 * and protobuf's JSON form ("3s", "0.250s"). Parsing answers `undefined` for text that is no duration; what
 * range a field allows is the field's business.
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
/** protobuf's Duration is bounded to ±10,000 years. */
const maxProtoSeconds = 315_576_000_000;

const goTerm = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/y;
const protoForm = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/;

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

/** Go's own form of a duration: "1h30m0s", "1.5s", "100ms", "0s". Rounds to nanoseconds. */
export function formatGoDuration(ms: number): string {
  if (ms === 0) return '0s';
  const sign = ms < 0 ? '-' : '';
  const absMs = Math.abs(ms);
  if (absMs < 1e-3) return `${sign}${decimal(absMs * 1e6)}ns`;
  if (absMs < 1) return `${sign}${decimal(absMs * 1e3)}µs`;
  if (absMs < 1000) return `${sign}${decimal(absMs)}ms`;
  const hours = Math.floor(absMs / unitMs.h!);
  const minutes = Math.floor((absMs - hours * unitMs.h!) / unitMs.m!);
  const seconds = decimal((absMs - hours * unitMs.h! - minutes * unitMs.m!) / 1000);
  return `${sign}${hours > 0 ? `${hours}h` : ''}${hours > 0 || minutes > 0 ? `${minutes}m` : ''}${seconds}s`;
}

/** Milliseconds of a protobuf JSON duration; undefined if it is none. */
export function parseProtoDurationMs(text: string): number | undefined {
  const match = protoForm.exec(text);
  if (match === null) return undefined;
  const seconds = Number(match[2]);
  if (seconds > maxProtoSeconds) return undefined;
  const nanos = Number((match[3] ?? '').padEnd(9, '0'));
  const ms = seconds * 1000 + nanos / 1e6;
  return match[1] === '-' && ms !== 0 ? -ms : ms;
}

/** protobuf's JSON form: seconds with 0, 3, 6 or 9 digits of fraction. */
export function formatProtoDuration(ms: number): string {
  const absMs = Math.abs(ms);
  let seconds = Math.floor(absMs / 1000);
  let nanos = Math.round((absMs - seconds * 1000) * 1e6);
  if (nanos === 1e9) {
    seconds++;
    nanos = 0;
  }
  const digits = String(nanos)
    .padStart(9, '0')
    .replace(/(000)+$/, '');
  const sign = ms < 0 && (seconds > 0 || nanos > 0) ? '-' : '';
  return `${sign}${seconds}${digits === '' ? '' : `.${digits}`}s`;
}

/** Takes off what binary fractions added; a duration too long to count in nanoseconds stays as it is. */
function roundToNanoseconds(ms: number): number {
  const nanos = Math.round(ms * 1e6);
  return Number.isSafeInteger(nanos) ? nanos / 1e6 : ms;
}

function decimal(value: number): string {
  return String(Math.round(value * 1e9) / 1e9);
}
