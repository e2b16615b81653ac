/**
 * One thread's metrics. Declaring is checked and slow, writing is an addition; each thread has its own
 * registry and tells others of its series by `onSeries`, after which they read the shared slots directly.
 */
import { runtimeErrors } from '../errors.ts';
import type { RuntimeErrorCode } from '../errors.ts';
import { bucketCount } from './buckets.ts';
import { Counter, Gauge, Histogram } from './child.ts';
import type { Child } from './child.ts';
import { Family } from './family.ts';
import type { FamilyHome, FamilyOptions, FamilyShape } from './family.ts';
import type {
  Boundaries,
  FamilySnapshot,
  Labels,
  MetricType,
  MetricsSource,
  SeriesListener,
} from './series.ts';
import { SlotStore } from './slot-store.ts';

export interface RegistryOptions {
  /** Label sets per family before the overflow child takes the rest. Default 10,000. */
  readonly maxSeriesPerFamily?: number;
  /** Eviction age for families that do not state their own. Default: never. */
  readonly defaultTtlMs?: number;
  /** Told once per family when its cap is reached. */
  readonly onOverflow?: (family: string) => void;
}

export interface HistogramFamilyOptions extends FamilyOptions {
  readonly boundaries: Boundaries;
}

type AnyFamily = Family<Counter> | Family<Gauge> | Family<Histogram>;

const defaultMaxSeries = 10_000;
const namePattern = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const labelPattern = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

export class MetricsRegistry implements MetricsSource {
  readonly #families = new Map<string, AnyFamily>();
  readonly #listeners = new Set<SeriesListener>();
  readonly #maxSeries: number;
  readonly #ttlMs: number;
  readonly #home: FamilyHome;
  readonly #store = new SlotStore();
  #lastSeriesId = 0;

  constructor(options: RegistryOptions = {}) {
    this.#maxSeries = options.maxSeriesPerFamily ?? defaultMaxSeries;
    this.#ttlMs = options.defaultTtlMs ?? Infinity;
    this.#home = {
      store: this.#store,
      announce: (series) => {
        for (const listener of this.#listeners) listener.added(series);
      },
      retract: (id) => {
        for (const listener of this.#listeners) listener.removed?.(id);
      },
      nextSeriesId: () => ++this.#lastSeriesId,
      overflowed: (family) => options.onOverflow?.(family),
    };
  }

  /** The counter of these labels; the same object for the same name and labels. */
  counter(name: string, help: string, labels: Labels = {}, options: FamilyOptions = {}): Counter {
    const names = Object.keys(labels);
    return this.family('counter', name, help, names, options).labels(Object.values(labels));
  }

  gauge(name: string, help: string, labels: Labels = {}, options: FamilyOptions = {}): Gauge {
    const names = Object.keys(labels);
    return this.family('gauge', name, help, names, options).labels(Object.values(labels));
  }

  histogram(
    name: string,
    help: string,
    boundaries: Boundaries,
    labels: Labels = {},
    options: FamilyOptions = {},
  ): Histogram {
    const names = Object.keys(labels);
    return this.family('histogram', name, help, names, { ...options, boundaries }).labels(
      Object.values(labels),
    );
  }

  /** Declares a family, or finds the one declared with the same shape; throws MeshError otherwise. */
  family(
    type: 'counter',
    name: string,
    help: string,
    labelNames: readonly string[],
    options?: FamilyOptions,
  ): Family<Counter>;
  family(
    type: 'gauge',
    name: string,
    help: string,
    labelNames: readonly string[],
    options?: FamilyOptions,
  ): Family<Gauge>;
  family(
    type: 'histogram',
    name: string,
    help: string,
    labelNames: readonly string[],
    options: HistogramFamilyOptions,
  ): Family<Histogram>;
  family(
    type: MetricType,
    name: string,
    help: string,
    labelNames: readonly string[],
    options: FamilyOptions | HistogramFamilyOptions = {},
  ): AnyFamily {
    const boundaries = 'boundaries' in options ? options.boundaries : undefined;
    const existing = this.#families.get(name);
    if (existing !== undefined) {
      checkSameShape(existing.shape, type, labelNames, options.unit, boundaries);
      return existing;
    }
    const slotCount = boundaries === undefined ? 1 : bucketCount(boundaries) + 1;
    const shape: FamilyShape = { name, type, help, labelNames, unit: options.unit, boundaries, slotCount };
    checkShape(shape);
    const limits = {
      maxSeries: options.maxSeries ?? this.#maxSeries,
      ttlMs: options.ttlMs ?? this.#ttlMs,
    };
    const family = newFamily(shape, limits, this.#home);
    this.#families.set(name, family);
    return family;
  }

  /** Ends a series for good: it vanishes from the output and what still writes to it writes nowhere. */
  remove(child: Child): boolean {
    for (const family of this.#families.values()) if (family.remove(child)) return true;
    return false;
  }

  /**
   * Evicts series unused for their family's TTL and lets freed slots be used again two sweeps later. Call
   * it regularly (a minute apart) if series are ever removed or have a TTL. Returns how many were evicted.
   */
  sweep(nowMs: number): number {
    this.#store.release();
    let evicted = 0;
    for (const family of this.#families.values()) evicted += family.sweep(nowMs);
    return evicted;
  }

  /** Announces every series there is and each that comes or goes later; returns how to unsubscribe. */
  onSeries(listener: SeriesListener | SeriesListener['added']): () => void {
    const subscription: SeriesListener =
      typeof listener === 'function' ? { added: listener } : { ...bindListener(listener) };
    for (const family of this.#families.values()) {
      for (const descriptor of family.descriptors()) subscription.added(descriptor);
    }
    this.#listeners.add(subscription);
    return () => this.#listeners.delete(subscription);
  }

  collect(): readonly FamilySnapshot[] {
    return [...this.#families.values()]
      .filter((family) => !family.isEmpty)
      .map((family) => family.snapshot());
  }
}

function bindListener(listener: SeriesListener): SeriesListener {
  return {
    added: (series) => listener.added(series),
    removed: (id) => listener.removed?.(id),
  };
}

type Limits = Required<Pick<FamilyOptions, 'maxSeries' | 'ttlMs'>>;

function newFamily(shape: FamilyShape, limits: Limits, home: FamilyHome): AnyFamily {
  const { type, boundaries } = shape;
  if (type === 'counter')
    return new Family(shape, limits, home, (family, slots) => new Counter(family, slots));
  if (type === 'gauge') return new Family(shape, limits, home, (family, slots) => new Gauge(family, slots));
  return new Family(shape, limits, home, (family, slots) => new Histogram(family, slots, boundaries!));
}

function checkShape(shape: FamilyShape): void {
  const { name, unit, labelNames, boundaries, type } = shape;
  if (!namePattern.test(name)) throw invalid(`"${name}" is no metric name`);
  const reserved = type === 'histogram' ? 'le' : '';
  for (const label of labelNames) {
    if (!labelPattern.test(label) || label.startsWith('__') || label === reserved) {
      throw invalid(`"${label}" is no label name for ${name}`);
    }
  }
  if (new Set(labelNames).size !== labelNames.length) throw invalid(`${name} repeats a label`);
  if (unit !== undefined && !name.replace(/_total$/, '').endsWith(`_${unit}`)) {
    throw invalid(`${name} does not end in its unit "${unit}"`);
  }
  if ((type === 'histogram') !== (boundaries !== undefined))
    throw invalid(`${name}: boundaries are for histograms`);
  if (Array.isArray(boundaries)) {
    const isAscending = boundaries.every(
      (bound, i) => Number.isFinite(bound) && (i === 0 || bound > boundaries[i - 1]),
    );
    if (!isAscending || boundaries.length === 0)
      throw invalid(`${name}: boundaries must be finite and ascending`);
  }
}

function checkSameShape(
  shape: FamilyShape,
  type: MetricType,
  labelNames: readonly string[],
  unit: string | undefined,
  boundaries: Boundaries | undefined,
): void {
  const { name } = shape;
  if (shape.type !== type) throw conflict(`${name} is a ${shape.type}, not a ${type}`);
  if (String(shape.labelNames) !== String(labelNames)) {
    throw conflict(`${name} has the labels [${shape.labelNames}], not [${labelNames}]`);
  }
  if (shape.unit !== unit) throw conflict(`${name} has the unit ${shape.unit}, not ${unit}`);
  if (String(shape.boundaries) !== String(boundaries)) throw conflict(`${name} has other boundaries`);
}

function invalid(message: string): Error {
  return declarationError('metric-invalid', message);
}

function conflict(message: string): Error {
  return declarationError('metric-conflict', message);
}

function declarationError(code: RuntimeErrorCode, message: string): Error {
  return runtimeErrors.error(code, { source: 'local', message });
}
