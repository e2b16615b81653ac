import { expect, test } from 'bun:test';
import { createRandom } from '@sluice/runtime';
import target from './connection.fuzz.ts';

test('the seeds, split everywhere, and 3,000 mutations of them break no invariant', () => {
  const random = createRandom('mutations');
  const seeds = target.seeds();
  for (const seed of seeds) target.run(seed);
  for (let i = 0; i < 3000; i++) {
    const input = Uint8Array.from(seeds[random.int(seeds.length)]!);
    for (let edits = 1 + random.int(4); edits > 0; edits--)
      input[random.int(input.length)] =
        random.int(3) === 0 ? random.int(256) : [13, 10, 32, 58, 48, 44][random.int(6)]!;
    target.run(random.int(3) === 0 ? input.slice(0, random.int(input.length)) : input);
  }
  expect(seeds.length).toBe(16);
});
