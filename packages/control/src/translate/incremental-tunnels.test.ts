import { expect, test } from 'bun:test';
import { changedBy, keyOfYaml, TranslationFixture } from './translation-fixture.ts';

const rule = (host: string): string =>
  `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: d}\nspec: {host: db, trafficPolicy: {tunnel: {targetHost: ${host}, targetPort: 443}}}\n`;
const mesh = `apiVersion: v1
kind: Service
metadata: {name: db}
spec: {clusterIP: 10.0.0.1, selector: {app: db}, ports: [{name: tcp, port: 5432}]}
---
apiVersion: v1
kind: Service
metadata: {name: other}
spec: {clusterIP: 10.0.0.2, selector: {app: other}, ports: [{name: tcp, port: 5432}]}
`;
const cluster = 'cluster outbound|5432||db.default.svc.cluster.local';

test('a tunnel that comes, turns and goes reaches the listeners of its service', () => {
  const fixture = new TranslationFixture();
  fixture.apply(mesh);
  const client = fixture.client('client');
  // Clusters say which rule they are of.
  expect(changedBy(fixture, client, () => fixture.apply(rule('a.test')))).toEqual([
    cluster,
    'listener 10.0.0.1_5432',
  ]);
  expect(changedBy(fixture, client, () => fixture.apply(rule('b.test')))).toEqual(['listener 10.0.0.1_5432']);
  expect(changedBy(fixture, client, () => fixture.delete(keyOfYaml(rule('b.test'))))).toEqual([
    cluster,
    'listener 10.0.0.1_5432',
  ]);
});

test('without a redirect, the way of its CONNECTs too', () => {
  const fixture = new TranslationFixture();
  fixture.apply(mesh);
  const capabilities = ['sluice.dev/vhds', 'sluice.dev/forward-proxy'];
  const client = fixture.client('client', { interceptionMode: 'NONE', capabilities });
  const host = 'virtualHost http_proxy/db.default.svc.cluster.local:5432';
  expect(changedBy(fixture, client, () => fixture.apply(rule('a.test')))).toEqual([
    cluster,
    'listener 127.0.0.1_21000',
    host,
  ]);
  expect(changedBy(fixture, client, () => fixture.apply(rule('b.test')))).toEqual([
    'listener 127.0.0.1_21000',
    host,
  ]);
});
