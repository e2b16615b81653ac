import { expect, test } from 'bun:test';
import { parseJsonMessage, RouteConfigurationTable } from '@sluice/xds';
import { formatProblem, newProblems } from '../config/problems.ts';
import { TableHosts } from '../config/table-hosts.ts';
import { checkVirtualHost } from './compile-table.ts';
import { contexts } from './route-requests.test-double.ts';

const table = parseJsonMessage(RouteConfigurationTable, {
  name: 't',
  virtual_hosts: [
    { name: 'a', domains: ['a', '*.a'], routes: [] },
    { name: 'b', domains: ['b', '*'], routes: [] },
  ],
});

test('names the host that has a domain already, and every domain that is no domain', () => {
  const joining = { ...table.virtualHosts[0]!, name: 'c', domains: ['c', '*.A', '*', 'x*y'] };
  const hosts = new TableHosts(table);
  const scope = newProblems();
  checkVirtualHost(table, joining, (domain) => hosts.ownerOf(domain, 'c'), contexts.routes, scope);
  expect(scope.problems.map(formatProblem)).toEqual([
    'vhds[c].domains: "*.A" belongs to virtual host "a" already',
    'vhds[c].domains: "*" belongs to virtual host "b" already',
    'vhds[c].domains[3]: "x*y": a wildcard may stand at one end only',
  ]);
});
