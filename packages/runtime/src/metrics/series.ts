/**
 * What metrics look like to readers: series descriptors that cross threads, and snapshots that are rendered.
 *
 * A series is one or more Float64 slots of a SharedArrayBuffer. Exactly one thread writes a series; any
 * thread that was told its descriptor may read. Reads and writes are plain 8-byte aligned accesses, which
 * the machines we run on do not tear; a reader may see a histogram's slots from two adjacent moments.
 */

export type MetricType = 'counter' | 'gauge' | 'histogram';
export type Labels = Readonly<Record<string, string>>;
/** Upper bounds in ascending order without +Inf, or buckets of constant relative width. */
export type Boundaries = readonly number[] | 'log-linear';

/** Plain data: may be posted to another thread, which then shares the block. */
export interface SeriesDescriptor {
  /** Unique within its registry, never reused. */
  readonly id: number;
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  readonly unit: string | undefined;
  readonly labels: Labels;
  readonly block: SharedArrayBuffer;
  /** Index of the first Float64 slot. A histogram's slots are: sum, then one count per bucket. */
  readonly offset: number;
  readonly slotCount: number;
  readonly boundaries: Boundaries | undefined;
}

export interface SeriesListener {
  added(series: SeriesDescriptor): void;
  /** The slots keep their last value for a while, so that a reader can take the final count. */
  removed?(id: number): void;
}

export interface SeriesSnapshot {
  readonly labels: Labels;
  /** One value, or a histogram's sum followed by the count of each bucket. */
  readonly values: ArrayLike<number>;
}

export interface FamilySnapshot {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  readonly unit: string | undefined;
  readonly boundaries: Boundaries | undefined;
  readonly series: readonly SeriesSnapshot[];
}

/** Anything that can be rendered: a registry, or the aggregate of several. */
export interface MetricsSource {
  collect(): readonly FamilySnapshot[];
}

/** Identity of a label set whatever its order; lengths keep values with separators apart. */
export function labelKey(labels: Labels): string {
  let key = '';
  for (const name of Object.keys(labels).sort()) {
    const value = labels[name]!;
    key += `${name}=${value.length}:${value},`;
  }
  return key;
}

/** A live view of a series' slots. */
export function slotsOf(series: SeriesDescriptor): Float64Array {
  return new Float64Array(series.block, series.offset * Float64Array.BYTES_PER_ELEMENT, series.slotCount);
}
