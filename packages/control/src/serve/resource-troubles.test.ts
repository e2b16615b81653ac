import { expect, test } from 'bun:test';
import type { ConditionView, ResourceView } from './mesh-views.ts';
import { troublesOf } from './resource-troubles.ts';

function resource(name: string, ...conditions: readonly Partial<ConditionView>[]): ResourceView {
  return {
    key: { group: 'networking.istio.io', kind: 'VirtualService', namespace: 'shop', name },
    origin: `/mesh/${name}.yaml:1:1`,
    generation: 1,
    isCurrent: true,
    isServing: true,
    problems: [],
    conditions: conditions.map((condition) => ({
      type: 'Accepted',
      status: 'True',
      reason: '',
      message: '',
      ...condition,
    })),
  };
}

test('names what is invalid, refers to nothing, is refused or loses; what is fine or waits is left out', () => {
  const { total, shown } = troublesOf([
    resource('fine', {}, { type: 'Conflicted', status: 'False' }),
    resource('waits', { type: 'Programmed', status: 'False', reason: 'Pending' }),
    resource('new', { type: 'Programmed', status: 'Unknown', reason: 'NoProxies' }),
    resource('invalid', { status: 'False', reason: 'Invalid', message: 'spec.hosts' }),
    resource('lost', { type: 'ResolvedRefs', status: 'False', reason: 'SubsetNotFound' }),
    resource('loser', { type: 'Conflicted', status: 'True', reason: 'HostConflict' }),
    resource(
      'refused',
      { type: 'ResolvedRefs', status: 'False', reason: 'HostNotFound' },
      { type: 'Programmed', status: 'False', reason: 'Invalid' },
    ),
  ]);
  expect(total).toBe(4);
  expect(shown.map(({ name, condition, reason }) => [name, condition, reason])).toEqual([
    ['networking.istio.io/VirtualService/shop/invalid', 'Accepted', 'Invalid'],
    ['networking.istio.io/VirtualService/shop/lost', 'ResolvedRefs', 'SubsetNotFound'],
    ['networking.istio.io/VirtualService/shop/loser', 'Conflicted', 'HostConflict'],
    ['networking.istio.io/VirtualService/shop/refused', 'Programmed', 'Invalid'],
  ]);
});

test('counts all and shows some', () => {
  const many = Array.from({ length: 2000 }, (_, at) => resource(`r${at}`, { status: 'False' }));
  const { total, shown } = troublesOf(many);
  expect([total, shown.length]).toEqual([2000, 50]);
});
