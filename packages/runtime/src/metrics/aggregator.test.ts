import { expect, test } from 'bun:test';
import { MetricsAggregator } from './aggregator.ts';
import { MetricsRegistry } from './registry.ts';

function setup() {
  const aggregator = new MetricsAggregator();
  const a = new MetricsRegistry({ defaultTtlMs: 1000 });
  const b = new MetricsRegistry({ defaultTtlMs: 1000 });
  const stopA = aggregator.attach('a', a);
  aggregator.attach('b', b);
  const value = (name: string, labels = '{}'): number | undefined =>
    aggregator
      .collect()
      .find((family) => family.name === name)
      ?.series.find((series) => JSON.stringify(series.labels) === labels)?.values[0];
  return { aggregator, a, b, stopA, value };
}

test('counters, gauges and histograms of all workers add up', () => {
  const { aggregator, a, b, value } = setup();
  a.counter('x_total', 'h').inc(2);
  b.counter('x_total', 'h').inc(3);
  a.gauge('active', 'h').set(4);
  b.gauge('active', 'h').set(5);
  a.histogram('t_ms', 'h', [1, 2]).observe(1);
  b.histogram('t_ms', 'h', [1, 2]).observe(9);
  expect([value('x_total'), value('active')]).toEqual([5, 9]);
  expect(Array.from(aggregator.collect()[2]!.series[0]!.values)).toEqual([10, 1, 0, 1]);
});

test('the order in which workers name labels does not matter', () => {
  const { a, b, value } = setup();
  a.counter('x_total', 'h', { p: '1', q: '2' }).inc();
  b.counter('x_total', 'h', { q: '2', p: '1' }).inc();
  expect(value('x_total', '{"p":"1","q":"2"}')).toBe(2);
});

test('a worker that died takes its gauges along and leaves its counters', () => {
  const { a, b, stopA, value, aggregator } = setup();
  a.counter('x_total', 'h').inc(2);
  b.counter('x_total', 'h').inc(3);
  a.counter('only_a_total', 'h').inc(7);
  a.gauge('active', 'h').set(4);
  b.gauge('active', 'h').set(5);
  a.gauge('only_a', 'h').set(1);
  stopA();
  expect([value('x_total'), value('only_a_total'), value('active'), value('only_a')]).toEqual([
    5,
    7,
    5,
    undefined,
  ]);
  const successor = new MetricsRegistry();
  aggregator.attach('a2', successor);
  successor.counter('only_a_total', 'h').inc();
  expect(value('only_a_total')).toBe(8);
});

test('a counter evicted in one worker does not fall while another has it, then goes with the last', () => {
  const { a, b, value } = setup();
  const inB = b.counter('x_total', 'h');
  a.counter('x_total', 'h').inc(10);
  inB.inc();
  for (const nowMs of [0, 1000, 2000]) {
    a.sweep(nowMs);
    inB.inc();
    b.sweep(nowMs);
  }
  expect(value('x_total')).toBe(14);
  for (const nowMs of [3000, 4000]) b.sweep(nowMs);
  expect(value('x_total')).toBeUndefined();
});

test('counters nobody has had for the age are swept', () => {
  const { aggregator, a, stopA, value } = setup();
  a.counter('x_total', 'h').inc();
  stopA();
  aggregator.sweep(5000, 1000);
  aggregator.sweep(5999, 1000);
  expect(value('x_total')).toBe(1);
  aggregator.sweep(6000, 1000);
  expect(value('x_total')).toBeUndefined();
});

test('a family that disagrees with the first of its name is refused and counted', () => {
  const { aggregator, a, b, value } = setup();
  a.counter('x_total', 'h').inc();
  b.gauge('x_total', 'h').set(100);
  b.histogram('t_ms', 'h', [1]).observe(1);
  a.histogram('t_ms', 'h', [2]).observe(1);
  expect([value('x_total'), aggregator.rejectedSeries]).toEqual([1, 2]);
});

test('unknown sources and series are no error', () => {
  const { aggregator } = setup();
  aggregator.remove('nobody', 1);
  aggregator.removeSource('nobody');
  expect(aggregator.collect()).toEqual([]);
});
