import { describe, expect, test } from 'bun:test';
import type { PeerAuthenticationSpec } from '@sluice/api';
import { defaultPolicy, modeOfPort, originOfPort, PeerAuthenticationIndex } from './peer-authentication.ts';
import type { PeerAuthenticationSource } from './peer-authentication.ts';

let age = 0;
function source(name: string, namespace: string, spec: PeerAuthenticationSpec): PeerAuthenticationSource {
  const key = { group: 'security.istio.io', kind: 'PeerAuthentication', namespace, name };
  return { key, namespace, spec, createdMs: ++age };
}
const workload = { namespace: 'shop', labels: { app: 'web', version: 'v1' } };
const index = (...sources: PeerAuthenticationSource[]): PeerAuthenticationIndex =>
  new PeerAuthenticationIndex(sources, 'istio-system');
const mode = (one: 'UNSET' | 'DISABLE' | 'PERMISSIVE' | 'STRICT'): PeerAuthenticationSpec => ({
  mtls: { mode: one },
});
const web = { matchLabels: { app: 'web' } };

describe('the mode of a workload', () => {
  test('is PERMISSIVE where nothing is written', () => {
    expect(index().of(workload)).toBe(defaultPolicy);
  });

  test.each([
    [['mesh'], 'STRICT'],
    [['mesh', 'namespace'], 'DISABLE'],
    [['mesh', 'namespace', 'workload'], 'PERMISSIVE'],
  ] as const)('with %p is %s: the nearest counts', (written, expected) => {
    const all = {
      mesh: source('m', 'istio-system', mode('STRICT')),
      namespace: source('n', 'shop', mode('DISABLE')),
      workload: source('w', 'shop', { selector: web, ...mode('PERMISSIVE') }),
    };
    const policy = index(...written.map((one) => all[one])).of(workload);
    expect(policy.mode).toBe(expected);
    expect(policy.origin).toEqual(all[written.at(-1) ?? 'mesh'].key);
  });

  test('UNSET and nothing inherit', () => {
    const policy = index(
      source('m', 'istio-system', mode('STRICT')),
      source('n', 'shop', mode('UNSET')),
      source('w', 'shop', { selector: web }),
    ).of(workload);
    expect([policy.mode, policy.origin?.name]).toEqual(['STRICT', 'm']);
  });

  test('of several at one level the oldest wins, and the others are named', () => {
    const [first, second] = [source('b', 'shop', mode('STRICT')), source('a', 'shop', mode('DISABLE'))];
    const found = index(second, first);
    expect(found.of(workload).mode).toBe('STRICT');
    expect(found.beaten).toEqual([{ loser: second, winner: first }]);
  });

  test('a selector in the root namespace selects nothing', () => {
    const found = index(source('r', 'istio-system', { selector: web, ...mode('STRICT') }));
    expect(found.of({ ...workload, namespace: 'istio-system' })).toBe(defaultPolicy);
  });

  test('a selector that does not match is passed over', () => {
    const found = index(source('w', 'shop', { selector: { matchLabels: { app: 'db' } }, ...mode('STRICT') }));
    expect(found.of(workload)).toBe(defaultPolicy);
  });
});

describe('ports', () => {
  test('have a mode of their own, and UNSET inherits', () => {
    const own = source('w', 'shop', {
      selector: web,
      ...mode('STRICT'),
      portLevelMtls: { 80: { mode: 'DISABLE' }, 81: { mode: 'UNSET' } },
    });
    const policy = index(own).of(workload);
    expect([80, 81, 82].map((port) => modeOfPort(policy, port))).toEqual(['DISABLE', 'STRICT', 'STRICT']);
    expect(originOfPort(policy, 80)).toEqual(own.key);
  });
});

test('policies that say the same are one object, across changes too', () => {
  const all = [source('m', 'istio-system', mode('STRICT'))];
  const before = index(...all);
  const policy = before.of({ ...workload, labels: {} });
  const after = new PeerAuthenticationIndex(
    [...all, source('x', 'other', mode('DISABLE'))],
    'istio-system',
    before,
  );
  expect(after.of(workload)).toBe(policy);
});
