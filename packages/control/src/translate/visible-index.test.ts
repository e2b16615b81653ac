import { describe, expect, test } from 'bun:test';
import { keyOfYaml, TranslationFixture } from './translation-fixture.ts';

const service = (name: string): string =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: default}\nspec: {selector: {app: ${name}}, ports: [{name: http, port: 80}]}\n`;
const route = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: default}
spec: {hosts: [a], http: [{route: [{destination: {host: b}}]}]}
`;
const sidecar = (host: string): string => `apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: default}
spec: {egress: [{hosts: ["./${host}"]}]}
`;

function twoServices(): TranslationFixture {
  const fixture = new TranslationFixture();
  fixture.apply(`${service('a')}---\n${service('b')}`);
  return fixture;
}

describe('what clients see', () => {
  test('is one object for all that see alike, whatever their proxies can do', () => {
    const fixture = twoServices();
    const able = fixture.client('able', { interceptionMode: 'NONE' });
    const plain = fixture.client('plain', { interceptionMode: 'NONE', capabilities: [] });
    const visible = fixture.translator.visible(able);
    expect(visible.services.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(fixture.translator.visible(plain)).toBe(visible);
    const elsewhere = fixture.client('elsewhere', { interceptionMode: 'NONE', namespace: 'other' });
    expect(fixture.translator.visible(elsewhere)).not.toBe(visible);
  });

  test('stays the same object through changes that it does not show, pushed and swept', () => {
    const fixture = twoServices();
    const client = fixture.client('client');
    fixture.translator.snapshot(client);
    const visible = fixture.translator.visible(client);
    for (const change of [route, route.replace('host: b', 'host: a')]) {
      fixture.apply(change);
      fixture.translator.snapshot(client);
      fixture.translator.sweep();
      expect(fixture.translator.visible(client)).toBe(visible);
    }
  });

  test('follows services and Sidecars at once, without a push in between', () => {
    const fixture = twoServices();
    const client = fixture.client('client');
    const names = (): readonly string[] =>
      fixture.translator.visible(client).services.map(({ name }) => name);
    expect(names()).toEqual(['a', 'b']);
    fixture.apply(service('c'));
    expect(names()).toEqual(['a', 'b', 'c']);
    fixture.apply(sidecar('b.default.svc.cluster.local'));
    expect(names()).toEqual(['b']);
    fixture.apply(sidecar('c.default.svc.cluster.local'));
    expect(names()).toEqual(['c']);
    fixture.delete(keyOfYaml(sidecar('c.default.svc.cluster.local')));
    expect(names()).toEqual(['a', 'b', 'c']);
  });
});
