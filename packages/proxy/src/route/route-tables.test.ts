import { describe, expect, test } from 'bun:test';
import { parseJsonMessage, RouteConfigurationTable } from '@sluice/xds';
import { contexts, request } from './route-requests.test-double.ts';
import { RouteTables } from './route-tables.ts';

const hosts = (...names: string[]): object[] =>
  names.map((name) => ({
    name,
    domains: [name],
    routes: [{ match: { prefix: '/' }, route: { cluster: `to-${name}` } }],
  }));
const part = (...names: string[]) =>
  parseJsonMessage(RouteConfigurationTable, { name: 't', virtual_hosts: hosts(...names) });

describe('a route table that arrives in parts', () => {
  const clusterOf = (tables: RouteTables, authority: string): unknown => {
    const action = tables.find('t')?.match(request('/', { authority }), () => 0)?.action;
    return action?.kind === 'forward' && action.clusters.kind === 'single' ? action.clusters.cluster : null;
  };

  test('is used when the last part is there, and the old one serves until then', () => {
    const tables = new RouteTables(contexts.routes);
    tables.put(part('old'), '1');
    expect(tables.putPart(part('a', 'b'), '2', 0, false)).toBe(false);
    expect([clusterOf(tables, 'old'), clusterOf(tables, 'a')]).toEqual(['to-old', null]);
    expect(tables.putPart(part('c'), '2', 1, true)).toBe(true);
    expect(['a', 'b', 'c', 'old'].map((name) => clusterOf(tables, name))).toEqual([
      'to-a',
      'to-b',
      'to-c',
      null,
    ]);
  });

  test('a table that begins anew forgets the parts before; a part without a first is told', () => {
    const tables = new RouteTables(contexts.routes);
    tables.putPart(part('a'), '1', 0, false);
    tables.putPart(part('b'), '2', 0, true);
    expect([clusterOf(tables, 'a'), clusterOf(tables, 'b')]).toEqual([null, 'to-b']);
    expect(() => tables.putPart(part('c'), '2', 1, true)).toThrow('part 1 came without the first');
  });

  test('hosts that did not change are shared with the table before', () => {
    const tables = new RouteTables(contexts.routes);
    tables.put(part('a', 'b'), '1');
    const before = [...(tables.find('t')?.hosts.values() ?? [])];
    tables.putPart(part('a'), '2', 0, false);
    tables.putPart(part('b'), '2', 1, true);
    expect([...(tables.find('t')?.hosts.values() ?? [])].map((entry, i) => entry === before[i])).toEqual([
      true,
      true,
    ]);
  });
});

describe('a virtual host that comes by itself', () => {
  const vhds = (...names: string[]) =>
    parseJsonMessage(RouteConfigurationTable, {
      name: 't',
      virtual_hosts: hosts(...names),
      vhds: { config_source: { ads: {} } },
    });
  const host = (name: string, domain: string, cluster: string) => {
    const [made] = parseJsonMessage(RouteConfigurationTable, {
      name: 't',
      virtual_hosts: [{ name, domains: [domain], routes: [{ match: { prefix: '/' }, route: { cluster } }] }],
    }).virtualHosts;
    if (made === undefined) throw new Error('no host');
    return made;
  };
  const clusterOf = (tables: RouteTables, authority: string): unknown => {
    const action = tables.find('t')?.match(request('/', { authority }), () => 0)?.action;
    return action?.kind === 'forward' && action.clusters.kind === 'single' ? action.clusters.cluster : null;
  };

  test('takes the place of the one of its name, with its domains, and leaves the others as they are', () => {
    const tables = new RouteTables(contexts.routes);
    tables.put(vhds('a', 'b'), '1');
    const other = tables.find('t')?.hosts.get('b');
    tables.putVirtualHost('t', host('a', 'a2', 'new'), '2');
    expect(['a', 'a2', 'b'].map((name) => clusterOf(tables, name))).toEqual([null, 'new', 'to-b']);
    expect(tables.find('t')?.hosts.get('b')).toBe(other!);
    tables.putVirtualHost('t', host('c', 'a', 'third'), '3');
    expect(['a', 'a2', 'b'].map((name) => clusterOf(tables, name))).toEqual(['third', 'new', 'to-b']);
    tables.removeVirtualHost('t', 'c');
    tables.removeVirtualHost('t', 'a');
    expect(['a', 'a2', 'b'].map((name) => clusterOf(tables, name))).toEqual(['to-a', null, 'to-b']);
  });

  test('with a domain of another host is refused, and the table stays', () => {
    const tables = new RouteTables(contexts.routes);
    tables.put(vhds('a', 'b'), '1');
    expect(() => tables.putVirtualHost('t', host('c', 'B', 'new'), '2')).toThrow('occurs twice');
    expect(['a', 'b'].map((name) => clusterOf(tables, name))).toEqual(['to-a', 'to-b']);
  });
});
