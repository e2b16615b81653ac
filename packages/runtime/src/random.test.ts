import { expect, test } from 'bun:test';
import { createRandom, randomHex, randomUuid, systemRandom } from './random.ts';

test('equal seeds give equal sequences, other seeds others', () => {
  const take = (seed: number | string): number[] => {
    const random = createRandom(seed);
    return Array.from({ length: 8 }, () => random.next());
  };
  expect(take(7)).toEqual(take(7));
  expect(take('a title')).toEqual(take('a title'));
  expect(take(7)).not.toEqual(take(8));
  expect(take(0)).not.toEqual(take(2 ** 32));
});

for (const [name, random] of [
  ['seeded', createRandom(3)],
  ['system', systemRandom],
] as const) {
  test(`${name}: integers cover their range evenly`, () => {
    const counts = Array.from({ length: 10 }, () => 0);
    for (let i = 0; i < 20_000; i++) counts[random.int(10)]!++;
    // 2000 expected each, standard deviation 42: ten of them is beyond any luck.
    for (const count of counts) expect(Math.abs(count - 2000)).toBeLessThan(420);
  });

  test(`${name}: numbers lie in [0, 1)`, () => {
    let [low, high] = [1, 0];
    for (let i = 0; i < 20_000; i++) {
      const value = random.next();
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    expect(low).toBeGreaterThanOrEqual(0);
    expect(low).toBeLessThan(0.01);
    expect(high).toBeLessThan(1);
    expect(high).toBeGreaterThan(0.99);
  });

  test(`${name}: bytes fill the whole target, whatever its length`, () => {
    for (const length of [0, 1, 3, 4, 5, 16, 33]) {
      const seen = new Uint8Array(length);
      for (let round = 0; round < 64; round++) {
        const target = new Uint8Array(length + 2);
        random.bytes(target.subarray(1, length + 1));
        expect([target[0], target[length + 1]]).toEqual([0, 0]);
        for (let i = 0; i < length; i++) seen[i]! |= target[i + 1]!;
      }
      expect(seen.every((byte) => byte === 255)).toBe(true);
    }
  });
}

test('hexadecimal ids have the length asked for and do not repeat', () => {
  const ids = new Set<string>();
  for (let i = 0; i < 1000; i++) ids.add(randomHex(systemRandom, 8));
  expect(ids.size).toBe(1000);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{16}$/);
  expect(randomHex(createRandom(1), 64)).toHaveLength(128);
  expect(() => randomHex(systemRandom, 65)).toThrow(RangeError);
  expect(() => randomHex(systemRandom, 0)).toThrow(RangeError);
});

test('UUIDs carry version 4 and the RFC 9562 variant', () => {
  const random = createRandom('uuid');
  for (let i = 0; i < 200; i++) {
    expect(randomUuid(random)).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
  }
});
