import { describe, expect, test } from 'bun:test';
import type { Registration } from '@sluice/api';
import type { RegisteredInstance } from '../registry/registry.ts';
import { isBundleSpread } from './bundle-spread.ts';

const instance = (name: string, labels: Record<string, string> = {}): RegisteredInstance => ({
  instance: name,
  registration: { labels } as Registration,
  registeredWallMs: 0,
  isHealthy: true,
  healthMessage: '',
  isRevoked: false,
});
const stream = (name: string, held: string | undefined, proof: 'certificate' | 'token' = 'certificate') => ({
  instance: name,
  proof,
  heldVersion: () => held,
});

describe('a trust bundle has reached everybody', () => {
  test('when every proxy has accepted this very version', () => {
    const two = [instance('a'), instance('b')];
    expect(isBundleSpread([stream('a', 'v2'), stream('b', 'v2')], two, 'v2')).toBe(true);
    // In order with the one before: the push has not come to it.
    expect(isBundleSpread([stream('a', 'v2'), stream('b', 'v1')], two, 'v2')).toBe(false);
    expect(isBundleSpread([stream('a', 'v2'), stream('b', undefined)], two, 'v2')).toBe(false);
    expect(isBundleSpread([stream('a', 'v2')], two, 'v2')).toBe(false);
  });

  test('by any of the streams of a proxy that is going over to a new certificate', () => {
    expect(isBundleSpread([stream('a', 'v1'), stream('a', 'v2')], [instance('a')], 'v2')).toBe(true);
  });

  test('without those that have no certificates, or no sidecar', () => {
    const bare = instance('bare', { 'sidecar.istio.io/inject': 'false' });
    expect(isBundleSpread([stream('a', undefined, 'token')], [instance('a'), bare], 'v2')).toBe(true);
  });
});
