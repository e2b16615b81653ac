/** ExternalNames as backends of HTTPRoutes, which need grants for other namespaces. */
import { expect, test } from 'bun:test';
import { xdsTypes } from '@sluice/xds';
import { TranslationFixture } from './translation-fixture.ts';

const service = (name: string, namespace: string, spec: string): string => `---
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${namespace} }
spec: { ports: [{ name: http, port: 80 }], ${spec} }
`;
const mesh = (target: string): string =>
  service('front', 'a', 'selector: { app: front }') +
  service('near', 'a', 'selector: { app: near }') +
  service('real', 'b', 'selector: { app: real }') +
  service('alias', 'a', `type: ExternalName, externalName: ${target}.svc.cluster.local`) +
  `---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: r, namespace: a }
spec:
  parentRefs: [{ group: "", kind: Service, name: front, port: 80 }]
  rules: [{ backendRefs: [{ name: alias, port: 80 }] }]
`;
const grant = `---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: { name: g, namespace: b }
spec:
  from: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: a }]
  to: [{ group: "", kind: Service, name: real }]
`;

test.each([
  ['a service of another namespace', mesh('real.b'), false],
  ['one that grants it', mesh('real.b') + grant, true],
  ['a service of its own namespace', mesh('near.a'), true],
])('a route reaches by an alias %s: %#', (_what, text, isReached) => {
  const fixture = new TranslationFixture();
  fixture.apply(text);
  const client = fixture.client('web', { interceptionMode: 'NONE', namespace: 'a' });
  const table = fixture.resource(client, xdsTypes.route, 'front.a.svc.cluster.local:80');
  expect(table).toBeDefined();
  expect(/outbound\|80\|\|(real\.b|near\.a)/.test(JSON.stringify(table))).toBe(isReached);
});
