import { describe, expect, test } from 'bun:test';
import {
  compareSpecificity,
  hostAliases,
  hostCandidates,
  hostMatches,
  mostSpecificHost,
  resolveHost,
} from './hosts.ts';
import { formatDurationMs, isGatewayDuration, parseDurationMs } from './duration.ts';
import { findKindsByName } from './kind-lookup.ts';

describe('hosts', () => {
  test('short names resolve in the namespace of the resource, others stay', () => {
    expect(resolveHost('Reviews', 'prod')).toBe('reviews.prod.svc.cluster.local');
    expect(resolveHost('reviews', 'prod', 'mesh.example')).toBe('reviews.prod.svc.mesh.example');
    expect(resolveHost('a.example.com.', 'prod')).toBe('a.example.com');
    expect(hostCandidates('reviews.prod', 'x')).toEqual(['reviews.prod', 'reviews.prod.svc.cluster.local']);
  });

  test.each([
    ['*', 'a.b', true],
    ['*.b', 'a.b', true],
    ['*.b', 'b', false],
    ['*.b', 'xb', false],
    ['*.b', '*.a.b', true],
    ['*.a.b', '*.b', false],
    ['a.b', 'a.b', true],
  ])('%s covers %s: %p', (pattern, host, isCovered) => {
    expect(hostMatches(pattern, host)).toBe(isCovered);
  });

  test('the most specific wins', () => {
    expect(mostSpecificHost('x.a.b', ['*', '*.b', '*.a.b'])).toBe('*.a.b');
    expect(['*', '*.b', 'z', '*.a.b', 'a'].sort(compareSpecificity)).toEqual(['a', 'z', '*.a.b', '*.b', '*']);
  });

  test('a service is called by all its names', () => {
    expect(hostAliases('r.n.svc.cluster.local', 'n', 'cluster.local')).toEqual([
      'r',
      'r.n',
      'r.n.svc',
      'r.n.svc.cluster.local',
    ]);
    expect(hostAliases('r.n.svc.cluster.local', 'm', 'cluster.local')[0]).toBe('r.n');
    expect(hostAliases('example.com', 'm', 'cluster.local')).toEqual(['example.com']);
  });
});

test.each([
  ['10s', 10_000],
  ['1h30m', 5_400_000],
  ['1.5s', 1500],
  ['250ms', 250],
  ['0', 0],
  ['-1s', undefined],
  ['10', undefined],
  ['1 s', undefined],
  ['', undefined],
])('the duration %j is %p ms', (text, ms) => {
  expect(parseDurationMs(text)).toBe(ms);
});

test('durations of the Gateway API are whole numbers', () => {
  expect(['1h30m', '10s', '0s'].every(isGatewayDuration)).toBe(true);
  expect(['1.5s', '100000s', '10', '1us'].some(isGatewayDuration)).toBe(false);
  expect([0, 90_000, 1500, 7_200_000].map(formatDurationMs)).toEqual(['0s', '90s', '1500ms', '2h']);
});

test('kinds are found by the words of the command line', () => {
  const kinds = (word: string) => findKindsByName(word).map((info) => `${info.group}/${info.kind}`);
  expect(kinds('vs')).toEqual(['networking.istio.io/VirtualService']);
  expect(kinds('gateways')).toEqual(['networking.istio.io/Gateway', 'gateway.networking.k8s.io/Gateway']);
  expect(kinds('gateways.gateway.networking.k8s.io')).toEqual(['gateway.networking.k8s.io/Gateway']);
});
