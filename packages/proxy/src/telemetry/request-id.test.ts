import { createRandom, systemRandom } from '@sluice/runtime';
import { describe, expect, test } from 'bun:test';
import { createIdSource } from './request-id.ts';

describe('ids', () => {
  test('request ids are version 4 UUIDs and differ', () => {
    const ids = createIdSource(systemRandom);
    const seen = new Set<string>();
    for (let i = 0; i < 1000; i += 1) {
      const id = ids.requestId();
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      seen.add(id);
    }
    expect(seen.size).toBe(1000);
  });

  test('equal seeds give equal ids', () => {
    const [a, b] = [createIdSource(createRandom(7)), createIdSource(createRandom(7))];
    expect([a.requestId(), a.traceId(), a.spanId()]).toEqual([b.requestId(), b.traceId(), b.spanId()]);
  });

  test('trace and span ids are never all zero', () => {
    const zeros = { next: () => 0, int: () => 0, bytes: (target: Uint8Array) => void target.fill(0) };
    const ids = createIdSource(zeros);
    expect(ids.traceId()).toBe('00000000000000000000000000000001');
    expect(ids.spanId()).toBe('0000000000000001');
  });
});
