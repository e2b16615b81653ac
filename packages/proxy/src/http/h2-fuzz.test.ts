import { describe, expect, test } from 'bun:test';
import { createRandom } from '@sluice/runtime';
import responses from '../upstream/h2-responses.fuzz.ts';
import requests from './h2-connection.fuzz.ts';

for (const target of [requests, responses]) {
  describe(target.name, () => {
    test('the seeds and 2,000 mutations of them break no invariant', () => {
      const random = createRandom('mutations');
      const seeds = target.seeds();
      for (const seed of seeds) target.run(seed);
      for (let i = 0; i < 2000; i++) {
        const input = Uint8Array.from(seeds[random.int(seeds.length)]!);
        for (let edits = 1 + random.int(4); edits > 0; edits--)
          input[random.int(input.length)] =
            random.int(2) === 0 ? random.int(256) : [0, 1, 4, 5, 8, 9, 13, 10][random.int(8)]!;
        target.run(random.int(3) === 0 ? input.slice(0, random.int(input.length)) : input);
      }
      expect(seeds.length).toBeGreaterThan(10);
    });
  });
}
