/**
 * Which bucket a value falls in, for both kinds of histogram, and quantiles from bucket counts.
 *
 * Log-linear: every power of two is cut into 8 equal parts, so that a quantile read from the counts is off
 * by at most 1/16 of its value, without anybody choosing boundaries. The index is read off the float's own
 * bits (exponent and top 3 bits of the mantissa), no logarithm is taken. Buckets are (lower, upper] as
 * Prometheus' `le` demands. Range 2^-10 to 2^40: a microsecond in ms, a terabyte in bytes.
 */
import type { Boundaries } from './series.ts';

const subBucketBits = 3;
const minExponent = -10;
const maxExponent = 40;
const firstKey = (minExponent + 1023) << subBucketBits;
const lastKey = (maxExponent + 1023) << subBucketBits;
const highWordShift = 20 - subBucketBits;
const highWordRest = (1 << highWordShift) - 1;
/** Bucket 0 holds what is ≤ 2^-10, zero and negative included; the last what is above 2^40. */
export const logLinearBucketCount = lastKey - firstKey + 2;

/** Reading a float's two words. Invariant: written and read within one call. */
const float = new Float64Array(1);
const words = new Uint32Array(float.buffer);
const isLittleEndian = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;
const highWord = isLittleEndian ? 1 : 0;
const lowWord = 1 - highWord;

export function logLinearBucket(value: number): number {
  if (!(value > 0)) return 0;
  float[0] = value;
  const high = words[highWord]!;
  const onLowerEdge = (words[lowWord]! | (high & highWordRest)) === 0;
  const bucket = (high >>> highWordShift) - firstKey + (onLowerEdge ? 0 : 1);
  if (bucket <= 0) return 0;
  return bucket < logLinearBucketCount ? bucket : logLinearBucketCount - 1;
}

/** Inclusive upper bound of a log-linear bucket. */
export function logLinearUpperBound(bucket: number): number {
  if (bucket >= logLinearBucketCount - 1) return Infinity;
  float[0] = 0;
  words[highWord] = (firstKey + bucket) << highWordShift;
  return float[0];
}

/** Index of the first boundary that is ≥ value; `boundaries.length` for the +Inf bucket. */
export function explicitBucket(boundaries: readonly number[], value: number): number {
  let low = 0;
  let high = boundaries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (value <= boundaries[middle]!) high = middle;
    else low = middle + 1;
  }
  return low;
}

export function bucketCount(boundaries: Boundaries): number {
  return boundaries === 'log-linear' ? logLinearBucketCount : boundaries.length + 1;
}

export function upperBound(boundaries: Boundaries, bucket: number): number {
  return boundaries === 'log-linear' ? logLinearUpperBound(bucket) : (boundaries[bucket] ?? Infinity);
}

/**
 * Boundaries that a histogram shows to Prometheus. A log-linear one shows every second power of two
 * (always the same ones, so that rates over buckets work); its full resolution serves `quantile`.
 */
export function exposedBoundaries(boundaries: Boundaries): readonly number[] {
  return boundaries === 'log-linear' ? powersOfFour : boundaries;
}

const powersOfFour: readonly number[] = Array.from(
  { length: (maxExponent - minExponent) / 2 + 1 },
  (_, i) => 2 ** (minExponent + 2 * i),
);

/**
 * The value below which the share `q` (0 to 1) of observations lies, interpolated inside its bucket;
 * NaN when nothing was observed. `values` are a histogram's slots: sum, then counts.
 */
export function quantile(boundaries: Boundaries, values: ArrayLike<number>, q: number): number {
  const buckets = values.length - 1;
  let total = 0;
  for (let i = 1; i <= buckets; i++) total += values[i]!;
  if (total === 0) return NaN;
  const rank = Math.min(1, Math.max(0, q)) * total;
  let below = 0;
  for (let bucket = 0; bucket < buckets; bucket++) {
    const count = values[bucket + 1]!;
    if (count > 0 && below + count >= rank) {
      const upper = upperBound(boundaries, bucket);
      const lower = bucket === 0 ? Math.min(0, upper) : upperBound(boundaries, bucket - 1);
      if (upper === Infinity) return lower;
      return lower + (upper - lower) * Math.max(0, (rank - below) / count);
    }
    below += count;
  }
  return upperBound(boundaries, buckets - 2);
}
