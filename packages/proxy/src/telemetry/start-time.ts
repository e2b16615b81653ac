/**
 * `%START_TIME%`: wall-clock time by a strftime pattern, rendered into bytes or text.
 *
 * A log prints the same second thousands of times, so everything but the fractions is rendered once
 * per second and kept. Time is UTC; `%START_TIME_LOCAL%` uses the process's zone.
 */

/** Envoy's default: ISO 8601 with milliseconds. */
export const DEFAULT_START_TIME = '%Y-%m-%dT%H:%M:%S.%3fZ';
/** Default of `%START_TIME_LOCAL%`: the same with the zone's offset. */
export const DEFAULT_START_TIME_LOCAL = '%Y-%m-%dT%H:%M:%S.%3f%z';

export type TimeZone = 'utc' | 'local';

export interface TimeFormat {
  /** Milliseconds since the epoch, fractions allowed; digits finer than the clock are zeros. */
  format(wallMs: number): string;
}

type Part =
  | { readonly kind: 'literal'; readonly text: string }
  | { readonly kind: 'fraction'; readonly digits: number }
  | { readonly kind: 'field'; readonly render: (fields: Fields) => string };

/** Broken-down time. */
interface Fields {
  readonly wallSeconds: number;
  readonly year: number;
  readonly month: number;
  readonly day: number;
  readonly weekday: number;
  readonly hour: number;
  readonly minute: number;
  readonly second: number;
  readonly offsetMinutes: number;
}

const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];

const two = (value: number): string => (value < 10 ? `0${value}` : `${value}`);

const FIELDS: ReadonlyMap<string, (f: Fields) => string> = new Map<string, (f: Fields) => string>([
  ['Y', (f) => `${f.year}`],
  ['y', (f) => two(f.year % 100)],
  ['m', (f) => two(f.month)],
  ['d', (f) => two(f.day)],
  ['e', (f) => `${f.day}`.padStart(2, ' ')],
  ['H', (f) => two(f.hour)],
  ['I', (f) => two(f.hour % 12 === 0 ? 12 : f.hour % 12)],
  ['M', (f) => two(f.minute)],
  ['S', (f) => two(f.second)],
  ['p', (f) => (f.hour < 12 ? 'AM' : 'PM')],
  ['s', (f) => `${f.wallSeconds}`],
  ['F', (f) => `${f.year}-${two(f.month)}-${two(f.day)}`],
  ['T', (f) => `${two(f.hour)}:${two(f.minute)}:${two(f.second)}`],
  ['R', (f) => `${two(f.hour)}:${two(f.minute)}`],
  ['D', (f) => `${two(f.month)}/${two(f.day)}/${two(f.year % 100)}`],
  ['a', (f) => (DAYS[f.weekday] ?? '').slice(0, 3)],
  ['A', (f) => DAYS[f.weekday] ?? ''],
  ['b', (f) => (MONTHS[f.month - 1] ?? '').slice(0, 3)],
  ['B', (f) => MONTHS[f.month - 1] ?? ''],
  ['z', (f) => zoneOffset(f.offsetMinutes)],
  ['Z', (f) => (f.offsetMinutes === 0 ? 'UTC' : zoneOffset(f.offsetMinutes))],
]);

/** Compiles a pattern; an unknown conversion gives a message in `problems` and null. */
export function compileTimeFormat(pattern: string, zone: TimeZone, problems: string[]): TimeFormat | null {
  const parts = parsePattern(pattern, problems);
  if (parts === null) return null;
  return new CachedTimeFormat(parts, zone);
}

class CachedTimeFormat implements TimeFormat {
  readonly #parts: readonly Part[];
  readonly #zone: TimeZone;
  /** The last second's text between fractions: `#texts[i]` precedes the i-th fraction. */
  #texts: string[] = [''];
  readonly #digits: number[] = [];
  #second = Number.NaN;

  constructor(parts: readonly Part[], zone: TimeZone) {
    this.#parts = parts;
    this.#zone = zone;
    for (const part of parts) if (part.kind === 'fraction') this.#digits.push(part.digits);
  }

  format(wallMs: number): string {
    const second = Math.floor(wallMs / 1000);
    if (second !== this.#second) this.#renderSecond(second);
    const texts = this.#texts;
    let text = texts[0] ?? '';
    if (this.#digits.length === 0) return text;
    const nanos = Math.floor((wallMs - second * 1000) * 1e6);
    for (let i = 0; i < this.#digits.length; i += 1) {
      text += fraction(nanos, this.#digits[i] ?? 3) + (texts[i + 1] ?? '');
    }
    return text;
  }

  #renderSecond(second: number): void {
    const fields = breakDown(second, this.#zone);
    const texts = [''];
    for (const part of this.#parts) {
      if (part.kind === 'fraction') texts.push('');
      else texts[texts.length - 1] += part.kind === 'literal' ? part.text : part.render(fields);
    }
    this.#texts = texts;
    this.#second = second;
  }
}

function parsePattern(pattern: string, problems: string[]): Part[] | null {
  const parts: Part[] = [];
  let isValid = true;
  for (let i = 0; i < pattern.length; i += 1) {
    const char = pattern[i] ?? '';
    if (char !== '%') {
      parts.push({ kind: 'literal', text: char });
      continue;
    }
    i += 1;
    let conversion = pattern[i] ?? '';
    // %E4Y and the like come from absl; only the fraction forms %3f and %f are Envoy's.
    if (conversion >= '1' && conversion <= '9' && pattern[i + 1] === 'f') {
      parts.push({ kind: 'fraction', digits: Number(conversion) });
      i += 1;
      continue;
    }
    if (conversion === 'f') {
      parts.push({ kind: 'fraction', digits: 9 });
      continue;
    }
    const render = FIELDS.get(conversion);
    if (render !== undefined) parts.push({ kind: 'field', render });
    else if (conversion === '%') parts.push({ kind: 'literal', text: '%' });
    else {
      if (conversion === '') conversion = '(end of pattern)';
      problems.push(`unknown time conversion %${conversion} in "${pattern}"`);
      isValid = false;
    }
  }
  return isValid ? parts : null;
}

function breakDown(second: number, zone: TimeZone): Fields {
  const utc = new Date(second * 1000);
  const offsetMinutes = zone === 'utc' ? 0 : -utc.getTimezoneOffset();
  const date = offsetMinutes === 0 ? utc : new Date(second * 1000 + offsetMinutes * 60_000);
  return {
    wallSeconds: second,
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    day: date.getUTCDate(),
    weekday: date.getUTCDay(),
    hour: date.getUTCHours(),
    minute: date.getUTCMinutes(),
    second: date.getUTCSeconds(),
    offsetMinutes,
  };
}

function zoneOffset(minutes: number): string {
  const size = Math.abs(minutes);
  return `${minutes < 0 ? '-' : '+'}${two(Math.floor(size / 60))}${two(size % 60)}`;
}

/** Milliseconds are what nearly every format prints. */
const MILLISECONDS: readonly string[] = Array.from({ length: 1000 }, (_, ms) => `${ms}`.padStart(3, '0'));

function fraction(nanos: number, digits: number): string {
  if (digits === 3) return MILLISECONDS[Math.floor(nanos / 1e6)] ?? '000';
  return `${Math.floor(nanos / 10 ** (9 - digits))}`.padStart(digits, '0');
}
