/** Virtual hosts: which one serves a Host header. */
import { forwards, sends, type Json, type Section } from '../section.ts';

const hosts: readonly (readonly [name: string, ...domains: string[]])[] = [
  ['exact', 'exact.test'],
  ['exact-with-port', 'port.test:8080'],
  ['several', 'one.test', 'two.test', 'three.test'],
  ['mixed-case', 'MiXed.Test'],
  ['suffix', '*.suffix.test'],
  ['longer-suffix', '*.deep.suffix.test'],
  ['suffix-without-dot', '*-tail.test'],
  ['prefix', 'prefix.*'],
  ['longer-prefix', 'prefix.long.*'],
  ['exact-beats-wildcard', 'exact.suffix.test'],
  ['suffix-beats-prefix', '*.both.test'],
  ['prefix-loses', 'left.*'],
  ['address', '127.0.0.1'],
  ['address-v6', '[::1]:80'],
  ['with-trailing-dot', 'dotted.test.'],
];

const asked: readonly string[] = [
  'exact.test',
  'EXACT.test',
  'exact.test:80',
  'exact.test:8080',
  'exact.test.',
  'port.test',
  'port.test:8080',
  'port.test:8081',
  'one.test',
  'two.test',
  'three.test',
  'mixed.test',
  'MIXED.TEST',
  'a.suffix.test',
  'a.b.suffix.test',
  'suffix.test',
  '.suffix.test',
  'a.deep.suffix.test',
  'deep.suffix.test',
  'A.SUFFIX.TEST',
  'a.suffix.test:80',
  'x-tail.test',
  '-tail.test',
  'prefix.com',
  'prefix.',
  'prefix',
  'prefix.long.org',
  'prefix.com:81',
  'exact.suffix.test',
  'left.both.test',
  'left.other',
  '127.0.0.1',
  '127.0.0.1:80',
  '[::1]',
  '[::1]:80',
  'dotted.test',
  'dotted.test.',
  'nobody.test',
];

function tableOf(more: Json): Json {
  return {
    ...more,
    virtual_hosts: hosts.map(([name, ...domains]) => ({
      name,
      domains,
      routes: [forwards(name, { prefix: '/' }, 'alpha')],
      response_headers_to_add: [{ header: { key: 'x-virtual-host', value: name } }],
    })),
  };
}

const cases = asked.map((host) => sends(host, '/', { host }));

export const domainSections: readonly Section[] = [
  { name: 'domains', routes: tableOf({}), cases },
  { name: 'domains-ignoring-ports', routes: tableOf({ ignore_port_in_host_matching: true }), cases },
];
