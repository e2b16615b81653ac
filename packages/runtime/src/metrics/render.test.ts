import { expect, test } from 'bun:test';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MetricsRegistry } from './registry.ts';
import { renderOpenMetrics, renderPrometheusText } from './render.ts';

function sample(): MetricsRegistry {
  const registry = new MetricsRegistry();
  const requests = registry.family('counter', 'istio_requests_total', 'Requests seen.', ['code', 'path']);
  requests.labels(['200', '/']).inc(1_234_567);
  requests.labels(['503', 'quote " backslash \\ line\nbreak é']).inc(0.5);
  registry.counter('envoy_cluster_upstream_rq', 'By code.', { code: '200' }).inc(3);
  registry.counter('envoy_cluster_upstream_rq_total', 'All.').inc(4);
  registry.counter('resets', 'Not named _total.').inc();
  registry
    .gauge('temperature_celsius', 'Back \\ slash\nand "quotes".', {}, { unit: 'celsius' })
    .set(-Infinity);
  registry.gauge('unset', '').set(NaN);
  const size = registry.histogram('size_bytes', 'Sizes.', [0.5, 1, 1000], { dir: 'in' }, { unit: 'bytes' });
  for (const value of [0.2, 1, 5, 2e9]) size.observe(value);
  const time = registry.histogram('time_milliseconds', 'Times.', 'log-linear');
  for (const value of [0.0001, 1, 1.1, 300, 1e15]) time.observe(value);
  registry.family('counter', 'without_series_total', 'Nobody used it.', ['x']);
  return registry;
}

function expectGolden(name: string, actual: string): void {
  const path = join(import.meta.dirname, 'testdata', name);
  if (process.env.SLUICE_REWRITE === '1') writeFileSync(path, actual);
  expect(actual).toBe(readFileSync(path, 'utf8'));
}

test('Prometheus text as recorded', () => {
  expectGolden('prometheus.txt', renderPrometheusText(sample()));
});

test('OpenMetrics as recorded', () => {
  expectGolden('openmetrics.txt', renderOpenMetrics(sample()));
});

test('an empty source renders to nothing, or to the mere end', () => {
  expect(renderPrometheusText(new MetricsRegistry())).toBe('');
  expect(renderOpenMetrics(new MetricsRegistry())).toBe('# EOF\n');
});

test('no label value can start a line of its own', () => {
  const registry = new MetricsRegistry();
  registry.counter('x_total', 'h', { path: 'a"} 1\nforged_total 5\n#\\', lone: '\ud800' }).inc();
  for (const text of [renderPrometheusText(registry), renderOpenMetrics(registry)]) {
    expect(text).toContain('x_total{path="a\\"} 1\\nforged_total 5\\n#\\\\",lone="\ufffd"} 1\n');
    expect(text).not.toMatch(/^forged/m);
  }
});
