/**
 * The two exposition formats: Prometheus text 0.0.4 and OpenMetrics 1.0.
 *
 * They differ in small, strict ways: OpenMetrics takes `_total` off a counter's family name and puts it on
 * its sample, has `# UNIT`, writes bounds as floats and ends in `# EOF`. Two counters named X and X_total
 * (Envoy has such pairs) would be one family there, so both are shown as `unknown` under their own names.
 */
import { exposedBoundaries, upperBound } from './buckets.ts';
import type { FamilySnapshot, Labels, MetricsSource, SeriesSnapshot } from './series.ts';

export const prometheusContentType = 'text/plain; version=0.0.4; charset=utf-8';
export const openMetricsContentType = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

interface Format {
  readonly bound: (value: number) => string;
  readonly sampleName: (family: string) => string;
}

export function renderPrometheusText(source: MetricsSource): string {
  const lines: string[] = [];
  for (const family of sortedFamilies(source)) {
    lines.push(`# HELP ${family.name} ${escapeHelp(family.help)}`, `# TYPE ${family.name} ${family.type}`);
    renderSeries(lines, family, { bound: formatNumber, sampleName: (name) => name });
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

export function renderOpenMetrics(source: MetricsSource): string {
  const families = sortedFamilies(source);
  const uses = new Map<string, number>();
  for (const family of families) {
    const name = openMetricsName(family);
    uses.set(name, (uses.get(name) ?? 0) + 1);
  }
  const lines: string[] = [];
  for (const family of families) {
    const isAmbiguous = family.type === 'counter' && uses.get(openMetricsName(family)) !== 1;
    const name = isAmbiguous ? family.name : openMetricsName(family);
    lines.push(`# TYPE ${name} ${isAmbiguous ? 'unknown' : family.type}`);
    if (family.unit !== undefined && name.endsWith(`_${family.unit}`))
      lines.push(`# UNIT ${name} ${family.unit}`);
    if (family.help !== '') lines.push(`# HELP ${name} ${escapeLabelValue(family.help)}`);
    const isCounter = family.type === 'counter' && !isAmbiguous;
    renderSeries(lines, family, {
      bound: formatBound,
      sampleName: () => (isCounter ? `${name}_total` : name),
    });
  }
  lines.push('# EOF');
  return `${lines.join('\n')}\n`;
}

function sortedFamilies(source: MetricsSource): FamilySnapshot[] {
  return [...source.collect()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function openMetricsName(family: FamilySnapshot): string {
  return family.type === 'counter' ? family.name.replace(/_total$/, '') : family.name;
}

function renderSeries(lines: string[], family: FamilySnapshot, format: Format): void {
  const name = format.sampleName(family.name);
  for (const series of family.series) {
    const labels = formatLabels(series.labels);
    if (family.type === 'histogram') renderHistogram(lines, name, labels, family, series, format);
    else lines.push(`${name}${labels === '' ? '' : `{${labels}}`} ${formatNumber(series.values[0]!)}`);
  }
}

function renderHistogram(
  lines: string[],
  name: string,
  labels: string,
  family: FamilySnapshot,
  { values }: SeriesSnapshot,
  format: Format,
): void {
  const boundaries = family.boundaries!;
  const prefix = labels === '' ? '' : `${labels},`;
  let bucket = 0;
  let cumulative = 0;
  for (const bound of exposedBoundaries(boundaries)) {
    while (bucket < values.length - 1 && upperBound(boundaries, bucket) <= bound) {
      cumulative += values[1 + bucket++]!;
    }
    lines.push(`${name}_bucket{${prefix}le="${format.bound(bound)}"} ${cumulative}`);
  }
  while (bucket < values.length - 1) cumulative += values[1 + bucket++]!;
  const braces = labels === '' ? '' : `{${labels}}`;
  lines.push(
    `${name}_bucket{${prefix}le="+Inf"} ${cumulative}`,
    `${name}_sum${braces} ${formatNumber(values[0]!)}`,
    `${name}_count${braces} ${cumulative}`,
  );
}

function formatLabels(labels: Labels): string {
  let text = '';
  for (const name of Object.keys(labels)) {
    text += `${text === '' ? '' : ','}${name}="${escapeLabelValue(labels[name]!)}"`;
  }
  return text;
}

/** Threat: a label value may hold what a peer sent; unescaped it could end the line and forge samples. */
function escapeLabelValue(value: string): string {
  return /[\\"\n\ud800-\udfff]/.test(value)
    ? value.toWellFormed().replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
    : value;
}

function escapeHelp(help: string): string {
  return help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
}

function formatNumber(value: number): string {
  if (value === Infinity) return '+Inf';
  if (value === -Infinity) return '-Inf';
  return String(value);
}

/** OpenMetrics wants bounds as floats, so that "1" and "1.0" are never two buckets. */
function formatBound(value: number): string {
  return Number.isInteger(value) && Math.abs(value) < 1e21 ? `${value}.0` : formatNumber(value);
}
