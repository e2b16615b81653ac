import { expect, test } from 'bun:test';
import type { ProxyNode } from '../translate/node.ts';
import { TranslationFixture } from '../translate/translation-fixture.ts';
import { edgesOf } from './edges.ts';

const service = (name: string): string =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {selector: {app: ${name}}, ports: [{name: http, port: 80, targetPort: 8080}]}\n`;
const workload = (name: string, app: string, labels = ', security.istio.io/tlsMode: istio'): string =>
  `apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: ${name}, annotations: {sluice.dev/instance: x}}\nspec: {address: 10.0.0.1, labels: {app: ${app}, service.istio.io/workload-name: ${name}${labels}}}\n`;
const peers = (name: string, namespace: string, spec: string): string =>
  `apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: ${spec}\n`;
const rule = (host: string, tls: string): string =>
  `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: ${host}}\nspec: {host: ${host}, trafficPolicy: {tls: ${tls}}}\n`;

/** `service: security (reason)` for one client. */
function edges(resources: string[], options: { knowsTls?: boolean; mesh?: object } = {}): string[] {
  const fixture = new TranslationFixture({ mesh: options.mesh ?? {} });
  for (const text of resources) fixture.apply(text);
  const node: ProxyNode = fixture.client('web');
  const client = {
    workload: 'web',
    namespace: 'default',
    account: 'web',
    labels: node.labels,
    knowsTls: options.knowsTls ?? true,
    services: fixture.translator.visible(node).services,
  };
  return edgesOf(fixture.model, [client], fixture.translator.autoMtls).map(
    (edge) => `${edge.service.split('.')[0]}${edge.subset}: ${edge.security} (${edge.reason})`,
  );
}

const strict = peers('default', 'istio-system', '{mtls: {mode: STRICT}}');
const a = [service('a'), workload('a-1', 'a')];

test('mutual TLS comes by itself, and the default says so', () => {
  expect(edges(a)).toEqual(['a: mutual-tls (PERMISSIVE is the default)']);
  expect(edges([...a, strict])).toEqual([
    'a: mutual-tls (security.istio.io/PeerAuthentication/istio-system/default is STRICT)',
  ]);
});

test('what takes plaintext only is named', () => {
  const disabled = peers(
    'off',
    'default',
    '{selector: {matchLabels: {app: a}}, portLevelMtls: {8080: {mode: DISABLE}}}',
  );
  expect(edges([...a, disabled])).toEqual([
    'a: plaintext (security.istio.io/PeerAuthentication/default/off is DISABLE)',
  ]);
});

test('a rule against a policy is refused, and both are named', () => {
  expect(edges([...a, strict, rule('a', '{mode: DISABLE}')])).toEqual([
    'a: refused (networking.istio.io/DestinationRule/default/a says DISABLE, but security.istio.io/PeerAuthentication/istio-system/default is STRICT)',
  ]);
  const off = peers('default', 'default', '{mtls: {mode: DISABLE}}');
  expect(edges([...a, off, rule('a', '{mode: ISTIO_MUTUAL}')])[0]).toStartWith('a: refused (');
});

test('endpoints that differ are mixed, with the reason of each', () => {
  expect(edges([...a, workload('a-2', 'a', '')])).toEqual([
    'a: mixed (mutual TLS: PERMISSIVE is the default; plaintext: the sidecar of a-2 does not speak TLS)',
  ]);
});

test('a client without TLS sends plaintext, which STRICT refuses', () => {
  expect(edges(a, { knowsTls: false })).toEqual(['a: plaintext (the sidecar of web does not speak TLS)']);
  expect(edges([...a, strict], { knowsTls: false })[0]).toStartWith('a: refused (');
});

test('automatic mutual TLS can be switched off', () => {
  expect(edges(a, { mesh: { enableAutoMtls: false } })).toEqual([
    'a: plaintext (meshConfig.enableAutoMtls is false)',
  ]);
});

test('services outside the mesh are plaintext unless a rule says otherwise', () => {
  const outside =
    'apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: e}\nspec: {hosts: [e.example.com], resolution: DNS, ports: [{number: 443, name: https, protocol: HTTPS}]}\n';
  expect(edges([outside])[0]).toStartWith('e: plaintext (e.example.com is outside the mesh');
  expect(edges([outside, rule('e.example.com', '{mode: SIMPLE}')])).toEqual([
    'e: tls (networking.istio.io/DestinationRule/default/e.example.com says SIMPLE)',
  ]);
});

test('a subset with a tls of its own is an edge of its own', () => {
  const subsets =
    'apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec: {host: a, subsets: [{name: v1, labels: {}, trafficPolicy: {tls: {mode: DISABLE}}}, {name: v2, labels: {}}]}\n';
  expect(edges([...a, subsets])).toEqual([
    'a: mutual-tls (PERMISSIVE is the default)',
    'av1: plaintext (networking.istio.io/DestinationRule/default/a says DISABLE)',
  ]);
});

test('a port with settings of its own inherits no tls', () => {
  const own =
    'apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec: {host: a, trafficPolicy: {tls: {mode: DISABLE}}, subsets: [{name: v1, labels: {}, trafficPolicy: {portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]}}]}\n';
  expect(edges([...a, own])).toEqual([
    'a: plaintext (networking.istio.io/DestinationRule/default/a says DISABLE)',
    'av1: mutual-tls (PERMISSIVE is the default)',
  ]);
});

test('a service without endpoints has nothing to say', () => {
  expect(edges([service('a')])).toEqual(['a: none (no endpoints)']);
});
