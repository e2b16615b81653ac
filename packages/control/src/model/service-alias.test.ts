import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { TranslationFixture } from '../translate/translation-fixture.ts';
import type { MeshService } from './service.ts';
import { aliasTarget } from './service-alias.ts';

const host = (name: string, namespace = 'default'): string => `${name}.${namespace}.svc.cluster.local`;
const alias = (name: string, to: string, more = ''): string =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: default${more}}\nspec: {type: ExternalName, externalName: ${to}, ports: [{name: http, port: 80}]}\n`;
const service = (name: string, more = ''): string =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: default${more}}\nspec: {clusterIP: 10.0.0.1, ports: [{name: http, port: 80}]}\n`;
const entry = (hosts: string): string =>
  `apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: e, namespace: default}\nspec: {hosts: [${hosts}], resolution: DNS, ports: [{number: 80, name: http}]}\n`;

function leads(name: string, ...yaml: string[]): unknown {
  const fixture = new TranslationFixture();
  fixture.apply(yaml.join('---\n'));
  const [found] = fixture.model.servicesNamed(host(name));
  if (!found) throw new Error(`no service ${name}`);
  return fixture.model.aliasTarget(found);
}

describe('where a name leads', () => {
  test.each([
    [
      'to a service of the mesh',
      [alias('a', host('r')), service('r')],
      { kind: 'service', hostname: host('r') },
    ],
    [
      'to the same, written with a final dot and capitals',
      [alias('a', `${host('R')}.`), service('r')],
      { kind: 'service', hostname: host('r') },
    ],
    [
      'to the host of a ServiceEntry',
      [alias('a', 'x.example.com'), entry('x.example.com')],
      { kind: 'service', hostname: 'x.example.com' },
    ],
    ['out of the mesh', [alias('a', 'x.example.com'), service('r')], { kind: 'none' }],
    ['to a short name, which DNS takes as it is', [alias('a', 'r.default'), service('r')], { kind: 'none' }],
    [
      'through other names',
      [alias('a', host('b')), alias('b', host('c')), alias('c', host('r')), service('r')],
      { kind: 'service', hostname: host('r') },
    ],
    [
      'through another name out of the mesh: to that',
      [alias('a', host('b')), alias('b', 'x.example.com')],
      { kind: 'service', hostname: host('b') },
    ],
    ['to itself', [alias('a', host('a'))], { kind: 'circle', through: [host('a'), host('a')] }],
    [
      'into a circle',
      [alias('a', host('b')), alias('b', host('c')), alias('c', host('b'))],
      { kind: 'circle', through: [host('a'), host('b'), host('c'), host('b')] },
    ],
    ['nowhere, for what is no name', [service('a')], { kind: 'none' }],
  ])('%s', (_what, yaml, expected) => {
    expect(leads('a', ...yaml)).toEqual(expected as never);
  });

  test('ends, whatever leads where', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.nat(9), { nil: null }), { minLength: 1, maxLength: 10 }), (links) => {
        const services = links.map(
          (to, index) =>
            ({ hostname: `h${index}`, externalName: to === null ? null : `h${to}` }) as MeshService,
        );
        const named = (hostname: string): MeshService[] =>
          services.filter((one) => one.hostname === hostname);
        for (const one of services) {
          const target = aliasTarget(one, named);
          const [end] = target.kind === 'service' ? named(target.hostname) : [];
          if (target.kind === 'service') expect(end && aliasTarget(end, named).kind).toBe('none');
          if (target.kind === 'circle') expect(new Set(target.through).size).toBe(target.through.length - 1);
          if (one.externalName === null) expect(target.kind).toBe('none');
        }
      }),
      { seed: 20_261_123 },
    );
  });
});

describe('to somebody in a namespace an alias means', () => {
  const exported = ', annotations: {networking.istio.io/exportTo: "."}';
  test('what it stands for', () => {
    const fixture = new TranslationFixture();
    fixture.apply(`${alias('a', host('r'))}---\n${service('r')}`);
    expect(fixture.model.resolve(host('a'), 'other')?.hostname).toBe(host('r'));
  });

  test('itself, where what it stands for cannot be seen', () => {
    const fixture = new TranslationFixture();
    fixture.apply(`${alias('a', host('r'))}---\n${service('r', exported)}`);
    expect(fixture.model.resolve(host('a'), 'other')?.hostname).toBe(host('a'));
    expect(fixture.model.resolve(host('a'), 'default')?.hostname).toBe(host('r'));
  });

  test('nothing, where it cannot be seen itself', () => {
    const fixture = new TranslationFixture();
    fixture.apply(`${alias('a', host('r'), exported)}---\n${service('r')}`);
    expect(fixture.model.resolve(host('a'), 'other')).toBeNull();
  });
});
