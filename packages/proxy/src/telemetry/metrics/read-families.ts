/**
 * Statistics that are read from plain state of the main thread when somebody asks: they need no shared memory, and
 * nothing keeps them up to date in between.
 */
import type { FamilySnapshot, Labels, MetricType, MetricsSource } from '@sluice/runtime';

/** The families of a source and others beside them. */
export function withFamilies(
  source: MetricsSource,
  families: () => readonly FamilySnapshot[],
): MetricsSource {
  return { collect: () => [...source.collect(), ...families()] };
}

/** A counter or gauge with one series. */
export function readFamily(
  name: string,
  type: Exclude<MetricType, 'histogram'>,
  help: string,
  value: number,
  labels: Labels = {},
): FamilySnapshot {
  return readSeries(name, type, help, [{ labels, values: [value] }]);
}

export function readSeries(
  name: string,
  type: Exclude<MetricType, 'histogram'>,
  help: string,
  series: FamilySnapshot['series'],
): FamilySnapshot {
  return { name, type, help, unit: undefined, boundaries: undefined, series };
}
