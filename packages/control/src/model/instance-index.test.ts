import { describe, expect, test } from 'bun:test';
import { TranslationFixture } from '../translate/translation-fixture.ts';

const service =
  'apiVersion: v1\nkind: Service\nmetadata: {name: given, namespace: default}\nspec: {ports: [{name: http, port: 80}]}\n';
const slice = (address: string, port: number): string =>
  `apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: g, namespace: default, labels: {kubernetes.io/service-name: given}}\naddressType: IPv4\nports: [{name: http, port: ${port}}]\nendpoints: [{addresses: [${address}]}]\n`;
/** Without interception: its sidecar serves `inboundPort` of an address that it shares. */
const registered = (name: string, address: string, inboundPort?: number): string => {
  const ports = inboundPort === undefined ? [] : [{ name: 'http', appPort: inboundPort + 1000, inboundPort }];
  const annotations = JSON.stringify({
    'sluice.dev/instance': name,
    'sluice.dev/ports': JSON.stringify(ports),
  });
  return `apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: ${name}, namespace: default, annotations: ${annotations}}\nspec: {address: ${address}, serviceAccount: ${name}, labels: {security.istio.io/tlsMode: istio}}\n`;
};

/** As whom the only endpoint of the Service is known, and whether it takes mutual TLS. */
function known(...yaml: string[]): [account: string, takesMutualTls: boolean] {
  const fixture = new TranslationFixture();
  fixture.apply([service, ...yaml].join('---\n'));
  const [found] = fixture.model.servicesNamed('given.default.svc.cluster.local');
  const [endpoint] = found ? fixture.model.instancesOf(found) : [];
  if (!endpoint) throw new Error('no endpoint');
  return [endpoint.serviceAccount, endpoint.takesMutualTls];
}

describe('a given endpoint', () => {
  test('is the workload that has its address', () => {
    expect(known(registered('web', '10.0.0.1'), slice('10.0.0.1', 80))).toEqual(['web', true]);
    expect(known(registered('web', '10.0.0.1'), slice('10.0.0.2', 80))).toEqual(['', false]);
  });

  test('is, of workloads that share an address, the one whose sidecar serves its port', () => {
    const both = [registered('one', '127.0.0.1', 8001), registered('two', '127.0.0.1', 8002)];
    expect(known(...both, slice('127.0.0.1', 8001))).toEqual(['one', true]);
    expect(known(...both, slice('127.0.0.1', 8002))).toEqual(['two', true]);
    expect(known(registered('one', '10.0.0.1', 8001), slice('10.0.0.1', 8002))).toEqual(['', false]);
  });

  test('on loopback is nobody of whom only the address is known', () => {
    expect(known(registered('web', '127.0.0.1'), slice('127.0.0.1', 80))).toEqual(['', false]);
    expect(known(registered('web', '127.0.0.1', 8001), slice('127.0.0.1', 9001))).toEqual(['', false]);
  });
});
