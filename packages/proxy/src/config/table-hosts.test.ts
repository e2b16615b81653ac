import { expect, test } from 'bun:test';
import { parseJsonMessage, RouteConfigurationTable, type VirtualHost } from '@sluice/xds';
import { TableHosts } from './table-hosts.ts';

const table = (...hosts: readonly [string, ...string[]][]) =>
  parseJsonMessage(RouteConfigurationTable, {
    name: 't',
    virtual_hosts: hosts.map(([name, ...domains]) => ({ name, domains, routes: [] })),
  });
const host = (name: string, ...domains: string[]): VirtualHost => table([name, ...domains]).virtualHosts[0]!;

test('a domain belongs to the other host that has it, in whatever case', () => {
  const hosts = new TableHosts(table(['a', 'A.example', '*'], ['b', 'b.example']));
  expect(hosts.ownerOf('a.EXAMPLE', 'c')).toBe('a');
  expect(hosts.ownerOf('a.example', 'a')).toBeNull();
  expect(hosts.ownerOf('x.example', 'c')).toBeNull();
});

test('a host of VHDS takes the place of the inline one of its name, and leaves it again', () => {
  const hosts = new TableHosts(table(['a', 'old']));
  expect(hosts.ownerOf('old', 'c')).toBe('a');
  hosts.put(host('a', 'new'));
  expect([hosts.ownerOf('old', 'c'), hosts.ownerOf('new', 'c')]).toEqual([null, 'a']);
  hosts.remove('a');
  expect([hosts.ownerOf('old', 'c'), hosts.ownerOf('new', 'c')]).toEqual(['a', null]);
});

test('domains follow every change of hosts and of the table', () => {
  const hosts = new TableHosts(table());
  hosts.put(host('a', 'x'));
  hosts.put(host('b', 'y'));
  expect(hosts.ownerOf('x', 'c')).toBe('a');
  hosts.put(host('a', 'x'));
  hosts.put(host('a', 'z'));
  expect([hosts.ownerOf('x', 'c'), hosts.ownerOf('z', 'c')]).toEqual([null, 'a']);
  hosts.replace(table(['d', 'x']));
  expect([hosts.ownerOf('x', 'c'), hosts.ownerOf('y', 'c')]).toEqual(['d', 'b']);
  expect([...hosts.broughtNames]).toEqual(['a', 'b']);
});

test('of two hosts with one domain either is told to the other', () => {
  const hosts = new TableHosts(table(['a', 'x']));
  hosts.put(host('b', 'x'));
  expect([hosts.ownerOf('x', 'a'), hosts.ownerOf('x', 'b')]).toEqual(['b', 'a']);
});
