/**
 * All series of one metric name: their children by label values, a cap on their number, and their ages.
 *
 * Cardinality: past `maxSeries`, new label sets share one child whose label values are all "overflow", so
 * that a peer who invents label values cannot fill memory. A series whose value did not change for `ttlMs`
 * is evicted (a gauge only while it is 0: a steady gauge is in use); see child.ts for what holders see.
 */
import type { Child, ChildHome } from './child.ts';
import type { Boundaries, FamilySnapshot, Labels, MetricType, SeriesDescriptor } from './series.ts';
import { slotsOfRun } from './slot-store.ts';
import type { SlotRun, SlotStore } from './slot-store.ts';

export interface FamilyOptions {
  /** Base unit, the last word of the name ("milliseconds", "bytes"); OpenMetrics shows it. */
  readonly unit?: string;
  /** Label sets beyond this share the overflow child. Default: the registry's. */
  readonly maxSeries?: number;
  /** Milliseconds without a change after which a series is evicted; Infinity = never, the default. */
  readonly ttlMs?: number;
}

/** What identifies a family; a second declaration must agree with the first. */
export interface FamilyShape {
  readonly name: string;
  readonly type: MetricType;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly unit: string | undefined;
  readonly boundaries: Boundaries | undefined;
  readonly slotCount: number;
}

/** @internal What a family asks of its registry. */
export interface FamilyHome {
  readonly store: SlotStore;
  announce(series: SeriesDescriptor): void;
  retract(id: number): void;
  nextSeriesId(): number;
  overflowed(family: string): void;
}

type MakeChild<C extends Child> = (family: ChildHome, slots: Float64Array) => C;

interface Series<C extends Child> {
  readonly key: string;
  /** Who writes it: the child it was made for, and evicted ones that came back to find it made anew. */
  readonly children: C[];
  readonly run: SlotRun;
  readonly descriptor: SeriesDescriptor;
  /** Sum of the slots at the last sweep, and when it last differed. */
  lastTotal: number;
  lastUsedMs: number;
}

export class Family<C extends Child = Child> implements ChildHome {
  readonly shape: FamilyShape;
  readonly #maxSeries: number;
  readonly #ttlMs: number;
  readonly #home: FamilyHome;
  readonly #make: MakeChild<C>;
  readonly #byKey = new Map<string, Series<C>>();
  readonly #byChild = new Map<Child, Series<C>>();
  /** Label values of evicted children, which their next write brings back. */
  readonly #dormant = new WeakMap<Child, readonly string[]>();
  #overflow: Series<C> | undefined;

  /** @internal Families come from `registry.family`. */
  constructor(
    shape: FamilyShape,
    options: Required<Pick<FamilyOptions, 'maxSeries' | 'ttlMs'>>,
    home: FamilyHome,
    make: MakeChild<C>,
  ) {
    this.shape = shape;
    this.#maxSeries = options.maxSeries;
    this.#ttlMs = options.ttlMs;
    this.#home = home;
    this.#make = make;
  }

  /** The child of these label values, in the order of `labelNames`; made on first use. */
  labels(values: readonly string[]): C {
    if (values.length !== this.shape.labelNames.length) {
      throw new RangeError(
        `${this.shape.name} has ${this.shape.labelNames.length} labels, not ${values.length}`,
      );
    }
    const key = keyOf(values);
    const existing = this.#byKey.get(key);
    if (existing !== undefined) return existing.children[0]!;
    if (this.#isFull) return this.#overflowSeries().children[0]!;
    return this.#add(key, values, undefined).children[0]!;
  }

  get size(): number {
    return this.#byKey.size;
  }

  get isEmpty(): boolean {
    return this.#byKey.size === 0 && this.#overflow === undefined;
  }

  /** Ends a series for good; false if it is not this family's, or already gone. */
  remove(child: Child): boolean {
    if (this.#dormant.delete(child)) {
      child.release('detached');
      return true;
    }
    const series = this.#byChild.get(child);
    if (series === undefined || series === this.#overflow) return false;
    this.#drop(series, 'detached');
    return true;
  }

  /** Evicts what did not change since `ttlMs` before `nowMs`; returns how many. */
  sweep(nowMs: number): number {
    if (this.#ttlMs === Infinity) return 0;
    let evicted = 0;
    for (const series of this.#byKey.values()) {
      const total = totalOf(slotsOfRun(series.run));
      const isSteadyGauge = this.shape.type === 'gauge' && total !== 0;
      if (total !== series.lastTotal || isSteadyGauge || series.lastUsedMs < 0) {
        series.lastTotal = total;
        series.lastUsedMs = nowMs;
      } else if (nowMs - series.lastUsedMs >= this.#ttlMs) {
        const values = valuesOf(series.descriptor.labels, this.shape.labelNames);
        for (const child of series.children) this.#dormant.set(child, values);
        this.#drop(series, 'dormant');
        evicted++;
      }
    }
    return evicted;
  }

  descriptors(): SeriesDescriptor[] {
    return this.#series().map((series) => series.descriptor);
  }

  snapshot(): FamilySnapshot {
    const { name, type, help, unit, boundaries } = this.shape;
    const series = this.#series().map(({ descriptor, run }) => ({
      labels: descriptor.labels,
      values: slotsOfRun(run),
    }));
    return { name, type, help, unit, boundaries, series };
  }

  /** @internal A dormant child is being written: give it its series back, or the overflow's slots. */
  revive(revived: Child): Float64Array {
    const child = revived as C; // Only children that this family made carry it as their home.
    const values = this.#dormant.get(child);
    if (values === undefined) throw new Error(`${this.shape.name}: only an evicted child can be revived`);
    const key = keyOf(values);
    this.#dormant.delete(child);
    const successor = this.#byKey.get(key) ?? (this.#isFull ? this.#overflowSeries() : undefined);
    if (successor === undefined) return slotsOfRun(this.#add(key, values, child).run);
    successor.children.push(child);
    this.#byChild.set(child, successor);
    return slotsOfRun(successor.run);
  }

  #series(): Series<C>[] {
    const all = [...this.#byKey.values()];
    if (this.#overflow !== undefined) all.push(this.#overflow);
    return all;
  }

  get #isFull(): boolean {
    return this.#byKey.size >= this.#maxSeries;
  }

  #add(key: string, values: readonly string[], revived: C | undefined): Series<C> {
    const series = this.#newSeries(key, values, revived);
    this.#byKey.set(key, series);
    return series;
  }

  #newSeries(key: string, values: readonly string[], revived: C | undefined): Series<C> {
    const { name, type, help, unit, boundaries, slotCount, labelNames } = this.shape;
    const run = this.#home.store.allocate(slotCount);
    const labels = Object.fromEntries(labelNames.map((label, i) => [label, values[i]!]));
    const descriptor: SeriesDescriptor = {
      id: this.#home.nextSeriesId(),
      name,
      type,
      help,
      unit,
      labels,
      block: run.block,
      offset: run.offset,
      slotCount,
      boundaries,
    };
    const child = revived ?? this.#make(this, slotsOfRun(run));
    const series: Series<C> = { key, children: [child], run, descriptor, lastTotal: 0, lastUsedMs: -1 };
    this.#byChild.set(child, series);
    this.#home.announce(descriptor);
    return series;
  }

  #overflowSeries(): Series<C> {
    if (this.#overflow === undefined) {
      const values = this.shape.labelNames.map(() => 'overflow');
      this.#overflow = this.#newSeries('', values, undefined);
      this.#home.overflowed(this.shape.name);
    }
    return this.#overflow;
  }

  #drop(series: Series<C>, state: 'dormant' | 'detached'): void {
    this.#byKey.delete(series.key);
    for (const child of series.children) {
      this.#byChild.delete(child);
      child.release(state);
    }
    this.#home.store.free(series.run);
    this.#home.retract(series.descriptor.id);
  }
}

function keyOf(values: readonly string[]): string {
  let key = '';
  for (const value of values) key += `${value.length}:${value}`;
  return key;
}

function valuesOf(labels: Labels, names: readonly string[]): string[] {
  return names.map((name) => labels[name]!);
}

function totalOf(slots: Float64Array): number {
  let total = 0;
  for (const value of slots) total += value;
  return total;
}
