/** Decimal text of small numbers without making a string each time: durations and counts of every response. */
const CACHED = 2048;
const texts: readonly string[] = Array.from({ length: CACHED }, (_, value) => String(value));

export function smallDecimal(value: number): string {
  return texts[value] ?? String(value);
}
