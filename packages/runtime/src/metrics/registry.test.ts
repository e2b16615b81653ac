import { describe, expect, test } from 'bun:test';
import { MeshError } from '../mesh-error.ts';
import { MetricsRegistry } from './registry.ts';
import type { SeriesDescriptor } from './series.ts';
import { slotsOf } from './series.ts';

/** "name{a=1}" → value of every single-valued series. */
function values(registry: MetricsRegistry): Record<string, number> {
  const result: Record<string, number> = {};
  for (const family of registry.collect()) {
    for (const series of family.series) {
      const labels = Object.entries(series.labels).map(([k, v]) => `${k}=${v}`);
      result[`${family.name}{${labels.join(',')}}`] = series.values[0]!;
    }
  }
  return result;
}

test('counters and gauges count, one child per label set', () => {
  const registry = new MetricsRegistry();
  const a = registry.counter('requests_total', 'h', { code: '200' });
  a.inc();
  a.inc(2);
  expect(registry.counter('requests_total', 'h', { code: '200' })).toBe(a);
  registry.counter('requests_total', 'h', { code: '503' }).inc();
  const gauge = registry.gauge('active', 'h');
  gauge.set(5);
  gauge.add(-2);
  expect(values(registry)).toEqual({
    'requests_total{code=200}': 3,
    'requests_total{code=503}': 1,
    'active{}': 3,
  });
  expect([a.value, gauge.value]).toEqual([3, 3]);
});

test('label values cannot be confused with one another', () => {
  const family = new MetricsRegistry().family('counter', 'x_total', 'h', ['a', 'b']);
  expect(family.labels(['1:', ''])).not.toBe(family.labels(['1', ':']));
  expect(family.labels(['', '1:'])).not.toBe(family.labels(['1:', '']));
  expect(family.size).toBe(3);
});

test('a histogram counts, sums and ignores NaN', () => {
  const histogram = new MetricsRegistry().histogram('h_ms', 'h', [1, 10]);
  for (const value of [0.5, 1, 7, 100, NaN]) histogram.observe(value);
  expect([histogram.count, histogram.sum]).toEqual([4, 108.5]);
  expect([...histogram.current]).toEqual([108.5, 2, 1, 1]);
});

describe('declaring', () => {
  const registry = new MetricsRegistry();
  registry.counter('known_bytes_total', 'h', { a: '' }, { unit: 'bytes' });
  const cases: Record<string, () => unknown> = {
    'metric-invalid: name': () => registry.counter('9x', 'h'),
    'metric-invalid: label': () => registry.counter('x', 'h', { 'a-b': '' }),
    'metric-invalid: reserved label': () => registry.histogram('x', 'h', [1], { le: '' }),
    'metric-invalid: internal label': () => registry.counter('x', 'h', { __name__: '' }),
    'metric-invalid: repeated label': () => registry.family('counter', 'x', 'h', ['a', 'a']),
    'metric-invalid: unit': () => registry.counter('x_total', 'h', {}, { unit: 'bytes' }),
    'metric-invalid: boundaries': () => registry.histogram('x', 'h', [2, 1]),
    'metric-invalid: no boundaries': () => registry.histogram('x', 'h', []),
    'metric-conflict: type': () => registry.gauge('known_bytes_total', 'h', { a: '' }, { unit: 'bytes' }),
    'metric-conflict: labels': () => registry.counter('known_bytes_total', 'h', { b: '' }, { unit: 'bytes' }),
    'metric-conflict: unit': () => registry.counter('known_bytes_total', 'h', { a: '' }),
  };
  for (const [title, declare] of Object.entries(cases)) {
    test(`refuses what cannot be exposed: ${title}`, () => {
      let thrown: unknown;
      try {
        declare();
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(MeshError);
      expect((thrown as MeshError).code).toBe(title.slice(0, title.indexOf(':')));
    });
  }
});

test('series are announced with their shared memory, those that exist first', () => {
  const registry = new MetricsRegistry();
  registry.counter('a_total', 'ha', { x: '1' }).inc(4);
  const added: SeriesDescriptor[] = [];
  const removed: number[] = [];
  const stop = registry.onSeries({
    added: (series) => added.push(series),
    removed: (id) => removed.push(id),
  });
  const gauge = registry.gauge('b', 'hb');
  gauge.set(7);
  expect(added.map((series) => [series.name, series.labels, slotsOf(series)[0]])).toEqual([
    ['a_total', { x: '1' }, 4],
    ['b', {}, 7],
  ]);
  expect(structuredClone({ ...added[1], block: 0 })).toMatchObject({
    type: 'gauge',
    help: 'hb',
    slotCount: 1,
  });
  registry.remove(gauge);
  expect(removed).toEqual([added[1]!.id]);
  stop();
  registry.counter('c_total', 'h');
  expect(added.length).toBe(2);
});

test('another thread sees the values without asking', async () => {
  const registry = new MetricsRegistry();
  const counter = registry.counter('a_total', 'h');
  let descriptor: SeriesDescriptor | undefined;
  registry.onSeries((series) => (descriptor = series));
  const source = `self.onmessage = ({ data }) => {
    const slots = new Float64Array(data.block, data.offset * 8, data.slotCount);
    slots[0] += 41;
    postMessage('done');
  };`;
  const worker = new Worker(URL.createObjectURL(new Blob([source], { type: 'application/javascript' })));
  await new Promise((resolve, reject) => {
    worker.addEventListener('message', resolve);
    worker.addEventListener('error', reject);
    // eslint-disable-next-line unicorn/require-post-message-target-origin -- a Worker has no origin
    worker.postMessage(descriptor);
  });
  worker.terminate();
  counter.inc();
  expect(counter.value).toBe(42);
});

describe('cardinality', () => {
  test('label sets beyond the cap share one child named overflow', () => {
    const overflowed: string[] = [];
    const registry = new MetricsRegistry({
      maxSeriesPerFamily: 2,
      onOverflow: (name) => overflowed.push(name),
    });
    for (const path of ['/1', '/2', '/3', '/4', '/3', '/1']) registry.counter('x_total', 'h', { path }).inc();
    expect(values(registry)).toEqual({
      'x_total{path=/1}': 2,
      'x_total{path=/2}': 1,
      'x_total{path=overflow}': 3,
    });
    expect(overflowed).toEqual(['x_total']);
  });

  test('the overflow child cannot be removed', () => {
    const family = new MetricsRegistry().family('counter', 'x_total', 'h', ['a'], { maxSeries: 0 });
    const overflow = family.labels(['1']);
    expect([family.remove(overflow), overflow.isDetached]).toEqual([false, false]);
  });
});

describe('eviction', () => {
  const ttlMs = 1000;
  function setup() {
    const registry = new MetricsRegistry({ defaultTtlMs: ttlMs, maxSeriesPerFamily: 2 });
    return { registry, family: registry.family('counter', 'x_total', 'h', ['a']) };
  }

  test('a series that does not change for the TTL goes, a used one stays', () => {
    const { registry, family } = setup();
    const used = family.labels(['used']);
    family.labels(['unused']).inc();
    let evicted = 0;
    for (let nowMs = 0; nowMs <= 2000; nowMs += 500) {
      used.inc();
      evicted += registry.sweep(nowMs);
    }
    expect(evicted).toBe(1);
    expect(values(registry)).toEqual({ 'x_total{a=used}': 5 });
  });

  test('its holder goes on writing, into a new series from zero', () => {
    const { registry, family } = setup();
    const child = family.labels(['1']);
    child.inc(5);
    for (const nowMs of [0, 1000, 2000]) registry.sweep(nowMs);
    expect([registry.collect(), child.isDetached]).toEqual([[], false]);
    child.inc();
    expect(values(registry)).toEqual({ 'x_total{a=1}': 1 });
    expect(family.labels(['1'])).toBe(child);
  });

  test('two holders of the same labels write one series, evicted together and back together', () => {
    const { registry, family } = setup();
    const old = family.labels(['1']);
    registry.sweep(0);
    registry.sweep(1000);
    const young = family.labels(['1']);
    expect(young).not.toBe(old);
    young.inc();
    old.inc();
    expect(values(registry)).toEqual({ 'x_total{a=1}': 2 });
    for (const nowMs of [2000, 3000, 4000, 5000]) registry.sweep(nowMs);
    expect(registry.collect()).toEqual([]);
    // Invariant: freed slots in other hands are not written by those who once held them.
    const stranger = registry.family('counter', 'y_total', 'h', []).labels([]);
    old.inc();
    young.inc();
    expect(values(registry)).toEqual({ 'y_total{}': 0, 'x_total{a=1}': 2 });
    expect(stranger.value).toBe(0);
  });

  test('a holder that comes back to a full family counts as overflow', () => {
    const { registry, family } = setup();
    const child = family.labels(['1']);
    registry.sweep(0);
    registry.sweep(1000);
    family.labels(['2']);
    family.labels(['3']);
    child.inc(7);
    expect(values(registry)['x_total{a=overflow}']).toBe(7);
  });

  test('a gauge in use stays, one at zero goes', () => {
    const registry = new MetricsRegistry({ defaultTtlMs: ttlMs });
    registry.gauge('active', 'h', { a: '1' }).set(3);
    registry.gauge('active', 'h', { a: '2' }).set(0);
    for (const nowMs of [0, 1000, 2000, 9000]) registry.sweep(nowMs);
    expect(values(registry)).toEqual({ 'active{a=1}': 3 });
  });
});

test('removal is for good: later writes go nowhere, the same labels start anew', () => {
  const registry = new MetricsRegistry();
  const family = registry.family('counter', 'x_total', 'h', ['a']);
  const child = family.labels(['1']);
  child.inc(3);
  expect([registry.remove(child), registry.remove(child), child.isDetached]).toEqual([true, false, true]);
  child.inc(3);
  expect(values(registry)).toEqual({});
  family.labels(['1']).inc();
  expect(values(registry)).toEqual({ 'x_total{a=1}': 1 });
});

test('freed slots keep their last value for two sweeps and are zero when used again', () => {
  const registry = new MetricsRegistry();
  const seen: SeriesDescriptor[] = [];
  registry.onSeries((series) => seen.push(series));
  const child = registry.counter('x_total', 'h', { a: '1' });
  child.inc(9);
  registry.remove(child);
  const final = slotsOf(seen[0]!);
  registry.sweep(0);
  registry.counter('x_total', 'h', { a: '2' });
  expect(final[0]).toBe(9);
  registry.sweep(0);
  registry.counter('x_total', 'h', { a: '3' });
  expect([seen[2]!.offset, final[0]]).toEqual([seen[0]!.offset, 0]);
});
