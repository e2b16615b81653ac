/**
 * `/stats` in text, JSON and Prometheus form: the same series in Envoy's and in Prometheus' notation.
 */
import {
  openMetricsContentType,
  prometheusContentType,
  quantile,
  renderOpenMetrics,
  renderPrometheusText,
  type FamilySnapshot,
  type MetricsSource,
} from '@sluice/runtime';
import { statTextName } from '../telemetry/metrics/stat-names.ts';
import { isSet, jsonReply, textReply, type AdminReply } from './exchange.ts';
import { compilePattern } from './pattern.ts';

/** One statistic under its dotted name. */
interface Stat {
  readonly name: string;
  readonly family: FamilySnapshot;
  readonly values: ArrayLike<number>;
}

/** Quantiles that Envoy prints, as percentages. */
const PERCENTILES: readonly number[] = [0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100];

const TYPES: ReadonlyMap<string, FamilySnapshot['type']> = new Map([
  ['counters', 'counter'],
  ['gauges', 'gauge'],
  ['histograms', 'histogram'],
]);

export function statsPage(metrics: MetricsSource, query: URLSearchParams): AdminReply {
  const selected = select(metrics, query);
  if (typeof selected === 'string') return textReply(selected, 400);
  switch (query.get('format') ?? 'text') {
    case 'prometheus':
      return prometheusPage({ collect: () => selected }, false);
    case 'json':
      return jsonReply({ stats: jsonStats(statsOf(selected)) });
    case 'text':
      return textReply(statsOf(selected).map(textLine).join(''));
    default:
      return textReply('unknown format; use text, json or prometheus\n', 400);
  }
}

export function prometheusPage(metrics: MetricsSource, isOpenMetrics: boolean): AdminReply {
  return isOpenMetrics
    ? { status: 200, contentType: openMetricsContentType, body: renderOpenMetrics(metrics) }
    : { status: 200, contentType: prometheusContentType, body: renderPrometheusText(metrics) };
}

/** Families with the series that filter, type and `usedonly` leave; words when the query is wrong. */
export function select(metrics: MetricsSource, query: URLSearchParams): FamilySnapshot[] | string {
  const matches = compilePattern(query.get('filter') ?? '');
  if (matches === null) return 'the filter is not a regular expression\n';
  const typeName = query.get('type')?.toLowerCase() ?? 'all';
  const type = TYPES.get(typeName);
  if (type === undefined && typeName !== 'all')
    return 'unknown type; use All, Counters, Gauges or Histograms\n';
  const usedOnly = isSet(query, 'usedonly');
  const selected: FamilySnapshot[] = [];
  for (const family of metrics.collect()) {
    if (type !== undefined && family.type !== type) continue;
    const series = family.series.filter(
      ({ labels, values }) => (!usedOnly || isUsed(values)) && matches(statTextName(family.name, labels)),
    );
    if (series.length > 0) selected.push({ ...family, series });
  }
  return selected;
}

function isUsed(values: ArrayLike<number>): boolean {
  for (let i = 0; i < values.length; i += 1) if (values[i] !== 0) return true;
  return false;
}

function statsOf(families: readonly FamilySnapshot[]): Stat[] {
  const stats = families.flatMap((family) =>
    family.series.map(({ labels, values }) => ({ name: statTextName(family.name, labels), family, values })),
  );
  return stats.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function textLine({ name, family, values }: Stat): string {
  if (family.type !== 'histogram') return `${name}: ${values[0] ?? 0}\n`;
  if (family.boundaries === undefined || !isUsed(values)) return `${name}: No recorded values\n`;
  const { boundaries } = family;
  const parts = PERCENTILES.map((p) => `P${p}(${rounded(quantile(boundaries, values, p / 100))})`);
  return `${name}: ${parts.join(' ')}\n`;
}

function jsonStats(stats: readonly Stat[]): unknown[] {
  const out: unknown[] = [];
  const histograms: unknown[] = [];
  for (const { name, family, values } of stats) {
    const { boundaries } = family;
    if (boundaries === undefined) out.push({ name, value: values[0] ?? 0 });
    else {
      const quantiles = PERCENTILES.map((p) =>
        isUsed(values) ? quantile(boundaries, values, p / 100) : null,
      );
      histograms.push({ name, values: quantiles });
    }
  }
  if (histograms.length > 0) {
    out.push({ histograms: { supported_quantiles: PERCENTILES, computed_quantiles: histograms } });
  }
  return out;
}

function rounded(value: number): string {
  return Number.isNaN(value) ? 'nan' : `${Number(value.toPrecision(6))}`;
}
