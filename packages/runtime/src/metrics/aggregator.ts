/**
 * Adds up the series of several registries, usually one per worker thread, into one set of families.
 *
 * Counters and histograms must never fall: when a worker ends or evicts a series, its last values stay in a
 * residue that is added to what the others count. Gauges describe what exists, so they leave with their
 * worker. A merged series disappears once nobody has it any more: a removed one at once, one that lost its
 * worker when it has been without any for the `sweep` age, since the worker's successor will want it.
 */
import type { MetricsRegistry } from './registry.ts';
import { labelKey, slotsOf } from './series.ts';
import type { FamilySnapshot, Labels, MetricsSource, SeriesDescriptor } from './series.ts';

interface Merged {
  readonly labels: Labels;
  /** Slots of the living series, by source and id. */
  readonly parts: Map<string, Float64Array>;
  /** Sum of what ended; undefined for gauges. */
  readonly residue: Float64Array | undefined;
  /** When the last part left with its worker; -1: not yet seen by a sweep; undefined: it has parts. */
  orphanedAtMs: number | undefined;
}

interface MergedFamily {
  readonly first: SeriesDescriptor;
  readonly byLabels: Map<string, Merged>;
}

interface Part {
  readonly family: MergedFamily;
  readonly key: string;
  readonly merged: Merged;
}

export class MetricsAggregator implements MetricsSource {
  readonly #families = new Map<string, MergedFamily>();
  /** source → series id → where it went. */
  readonly #sources = new Map<string, Map<number, Part>>();
  #rejected = 0;

  /** Series refused because their family has another type or other boundaries under the same name. */
  get rejectedSeries(): number {
    return this.#rejected;
  }

  /** Follows a registry of this thread; returns how to stop, which keeps its counters. */
  attach(source: string, registry: MetricsRegistry): () => void {
    const unsubscribe = registry.onSeries({
      added: (series) => this.add(source, series),
      removed: (id) => this.remove(source, id),
    });
    return () => {
      unsubscribe();
      this.removeSource(source);
    };
  }

  /** Adds a series that `source` announced. */
  add(source: string, series: SeriesDescriptor): void {
    const family = this.#familyFor(series);
    if (family === undefined) {
      this.#rejected++;
      return;
    }
    const key = labelKey(series.labels);
    let merged = family.byLabels.get(key);
    if (merged === undefined) {
      const residue = series.type === 'gauge' ? undefined : new Float64Array(series.slotCount);
      merged = { labels: series.labels, parts: new Map(), residue, orphanedAtMs: undefined };
      family.byLabels.set(key, merged);
    }
    merged.parts.set(partKey(source, series.id), slotsOf(series));
    merged.orphanedAtMs = undefined;
    this.#partsOf(source).set(series.id, { family, key, merged });
  }

  /** A series that its registry evicted or removed. */
  remove(source: string, id: number): void {
    const parts = this.#sources.get(source);
    const part = parts?.get(id);
    if (part === undefined) return;
    parts?.delete(id);
    this.#detach(source, id, part);
    if (part.merged.parts.size === 0) this.#forget(part.family, part.key);
  }

  /** A worker that ended: its gauges go, what it counted stays. */
  removeSource(source: string): void {
    const parts = this.#sources.get(source);
    if (parts === undefined) return;
    this.#sources.delete(source);
    for (const [id, part] of parts) {
      this.#detach(source, id, part);
      if (part.merged.parts.size > 0) continue;
      if (part.merged.residue === undefined) this.#forget(part.family, part.key);
      else part.merged.orphanedAtMs = -1;
    }
  }

  /** Drops counters that no living source has had for `ttlMs`. */
  sweep(nowMs: number, ttlMs: number): void {
    for (const family of this.#families.values()) {
      for (const [key, merged] of family.byLabels) {
        if (merged.orphanedAtMs === undefined) continue;
        if (merged.orphanedAtMs < 0) merged.orphanedAtMs = nowMs;
        else if (nowMs - merged.orphanedAtMs >= ttlMs) this.#forget(family, key);
      }
    }
  }

  collect(): readonly FamilySnapshot[] {
    return [...this.#families.values()].map(({ first, byLabels }) => ({
      name: first.name,
      type: first.type,
      help: first.help,
      unit: first.unit,
      boundaries: first.boundaries,
      series: [...byLabels.values()].map((merged) => ({
        labels: merged.labels,
        values: addUp(merged, first.slotCount),
      })),
    }));
  }

  #familyFor(series: SeriesDescriptor): MergedFamily | undefined {
    const family = this.#families.get(series.name);
    if (family === undefined) {
      const created = { first: series, byLabels: new Map<string, Merged>() };
      this.#families.set(series.name, created);
      return created;
    }
    const { first } = family;
    const agrees = first.type === series.type && String(first.boundaries) === String(series.boundaries);
    return agrees ? family : undefined;
  }

  #partsOf(source: string): Map<number, Part> {
    let parts = this.#sources.get(source);
    if (parts === undefined) {
      parts = new Map();
      this.#sources.set(source, parts);
    }
    return parts;
  }

  #detach(source: string, id: number, { merged }: Part): void {
    const key = partKey(source, id);
    const slots = merged.parts.get(key);
    merged.parts.delete(key);
    if (slots !== undefined && merged.residue !== undefined) addTo(merged.residue, slots);
  }

  #forget(family: MergedFamily, key: string): void {
    family.byLabels.delete(key);
    if (family.byLabels.size === 0) this.#families.delete(family.first.name);
  }
}

function addUp(merged: Merged, slotCount: number): Float64Array {
  const total = new Float64Array(slotCount);
  if (merged.residue !== undefined) addTo(total, merged.residue);
  for (const slots of merged.parts.values()) addTo(total, slots);
  return total;
}

function addTo(target: Float64Array, slots: Float64Array): void {
  for (let i = 0; i < target.length; i++) target[i] = target[i]! + slots[i]!;
}

function partKey(source: string, id: number): string {
  return `${id}@${source}`;
}
