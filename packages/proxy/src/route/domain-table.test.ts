import { expect, test } from 'bun:test';
import { newProblems } from '../config/problems.ts';
import { DomainTable } from './domain-table.ts';

function tableOf(...domains: string[]): DomainTable<string> {
  const table = new DomainTable<string>();
  for (const domain of domains) table.add(domain, domain, newProblems());
  return table;
}

test('a copy changes alone', () => {
  const first = tableOf('a.com', '*.com', '*');
  const second = first.copy();
  second.remove('A.com');
  second.remove('*.com');
  second.add('b.com', 'b.com', newProblems());
  expect(['a.com', 'b.com', 'x.com', 'x.org'].map((host) => first.find(host))).toEqual([
    'a.com',
    '*.com',
    '*.com',
    '*',
  ]);
  expect(['a.com', 'b.com', 'x.com', 'x.org'].map((host) => second.find(host))).toEqual([
    '*',
    'b.com',
    '*',
    '*',
  ]);
});
