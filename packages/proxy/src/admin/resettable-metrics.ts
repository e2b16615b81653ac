/**
 * `/reset_counters` without touching the loops' memory: counters are shown from a remembered start.
 */
import type { FamilySnapshot, MetricsSource, SeriesSnapshot } from '@sluice/runtime';
import { statTextName } from '../telemetry/metrics/stat-names.ts';

export class ResettableMetrics implements MetricsSource {
  readonly #source: MetricsSource;
  /** Value of each counter at the last reset, by dotted name. */
  #starts = new Map<string, number>();

  constructor(source: MetricsSource) {
    this.#source = source;
  }

  reset(): void {
    const starts = new Map<string, number>();
    for (const { name, type, series } of this.#source.collect()) {
      if (type !== 'counter') continue;
      for (const { labels, values } of series) starts.set(statTextName(name, labels), values[0] ?? 0);
    }
    this.#starts = starts;
  }

  collect(): readonly FamilySnapshot[] {
    const families = this.#source.collect();
    if (this.#starts.size === 0) return families;
    return families.map((family) => (family.type === 'counter' ? this.#familySinceReset(family) : family));
  }

  #familySinceReset(family: FamilySnapshot): FamilySnapshot {
    return { ...family, series: family.series.map((series) => this.#sinceReset(family.name, series)) };
  }

  #sinceReset(name: string, { labels, values }: SeriesSnapshot): SeriesSnapshot {
    const key = statTextName(name, labels);
    const value = values[0] ?? 0;
    const start = this.#starts.get(key) ?? 0;
    if (value >= start) return { labels, values: [value - start] };
    // Smaller than at the reset: the series was evicted and began anew.
    this.#starts.delete(key);
    return { labels, values: [value] };
  }
}
