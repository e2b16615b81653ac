/** Who gets which secret by SDS: the bundle for everybody, Secrets by namespace and reference, and nothing else. */
import { fromBinary } from '@bufbuild/protobuf';
import { AnySchema } from '@bufbuild/protobuf/wkt';
import { afterEach, describe, expect, test } from 'bun:test';
import type { KubeObject } from '@sluice/api';
import { decodeMessage, SecretTable, type AdsResources, type Secret } from '@sluice/xds';
import { FakeClock } from '@sluice/runtime';
import { cleanUp, onCleanUp } from '@sluice/testkit';
import { AuthorityFixture } from '../authority/authority.fixture.ts';
import { admission, readResourceText } from '../source/admission.ts';
import { openMemoryStore } from '../source/memory-store.ts';
import type { Admission } from '../source/object-store.ts';
import { putAll, strictStore } from '../source/store.fixture.ts';
import { secretReferences, type SecretRef } from './secret-index.ts';
import { SecretResources } from './secret-resources.ts';

afterEach(cleanUp);

const clock = new FakeClock();

/** TLS of Gateways is refused where it is written; what it would hand out is judged here already. */
const anything: Admission = {
  admit: (object) => ({ object: admission.admit(object).object, problems: [] }),
  withDefaults: admission.withDefaults,
};

function open(yaml: string, admit: Admission = admission) {
  const fixture = new AuthorityFixture();
  onCleanUp(() => fixture.close());
  const store = openMemoryStore(strictStore(() => clock.wallMs(), { admission: admit }));
  const secrets = new SecretResources(store, fixture.authority);
  const moved: boolean[] = [];
  store.subscribe((changes) => moved.push(secrets.apply(changes)));
  const apply = (text: string): void => putAll(store, readResourceText(text, 'test').objects);
  apply(yaml);
  return { ...fixture, fixture, store, secrets, apply, moved };
}

const names = (set: AdsResources): readonly string[] => [...set.keys()].sort();

function secretOf(set: AdsResources, name: string): Secret {
  const any = fromBinary(AnySchema, set.get(name)?.bytes ?? new Uint8Array(0));
  return decodeMessage(SecretTable, any.value);
}

const secret = (name: string, namespace: string): string => `
apiVersion: v1
kind: Secret
metadata: {name: ${name}, namespace: ${namespace}}
stringData: {tls.crt: "CHAIN ${name}", tls.key: "KEY ${name}", ca.crt: "CA ${name}"}
`;

const rule = (credential: string, namespace: string): string => `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: r-${credential}, namespace: ${namespace}}
spec:
  host: api.example.com
  trafficPolicy: {tls: {mode: MUTUAL, credentialName: ${credential}}}
`;

/** Gateways with TLS, and grants to them, as data: what admission takes of them is another matter. */
function gatewayReferences(certificateRef: object, grantedName?: string): readonly SecretRef[] {
  const object = (kind: string, namespace: string, spec: object): KubeObject => ({
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind,
    metadata: { name: 'x', namespace },
    spec,
  });
  const group = 'gateway.networking.k8s.io';
  const listeners = [
    { name: 'https', port: 443, protocol: 'HTTPS', tls: { certificateRefs: [certificateRef] } },
  ];
  const from = [{ group, kind: 'Gateway', namespace: 'edge' }];
  const to = [{ group: '', kind: 'Secret', name: grantedName }];
  return (
    secretReferences([
      { group, object: object('Gateway', 'edge', { listeners }) },
      ...(grantedName === undefined
        ? []
        : [{ group, object: object('ReferenceGrant', 'vault', { from, to }) }]),
    ]).get('edge') ?? []
  );
}

describe('everybody with a certificate', () => {
  test('gets the trust bundle, and the revocation lists once there are some', () => {
    const { secrets, fixture } = open('');
    const before = secrets.of('shop', {});
    expect(names(before)).toEqual(['ROOTCA']);
    expect(secretOf(before, 'ROOTCA').validationContext).toMatchObject({
      trustedCa: { inlineString: fixture.authority.bundle.rootsPem },
    });
    expect(secretOf(before, 'ROOTCA').validationContext?.crl).toBeUndefined();
    fixture.issue();
    fixture.authority.revoke(() => true);
    secrets.trustChanged();
    expect(secretOf(secrets.of('shop', {}), 'ROOTCA').validationContext).toMatchObject({
      crl: { inlineString: fixture.authority.crlPem },
      onlyVerifyLeafCertCrl: true,
    });
  });

  test('has the same map as before while nothing of it changed', () => {
    const { secrets, apply, moved } = open(secret('a', 'shop'));
    const before = secrets.of('shop', {});
    secrets.trustChanged();
    apply(rule('b', 'bank'));
    expect(moved.at(-1)).toBe(true);
    expect(secrets.of('shop', {})).toBe(before);
    apply('apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {ports: [{port: 80}]}\n');
    expect(moved.at(-1)).toBe(false);
  });
});

describe('a sidecar', () => {
  test('gets the Secrets that rules of its namespace give to clients, certificate and authorities apart', () => {
    const { secrets } = open([secret('client', 'shop'), rule('client', 'shop')].join('---\n'));
    const set = secrets.of('shop', {});
    expect(names(set)).toEqual(['ROOTCA', 'kubernetes://client', 'kubernetes://client-cacert']);
    expect(secretOf(set, 'kubernetes://client').tlsCertificate).toMatchObject({
      certificateChain: { inlineString: 'CHAIN client' },
      privateKey: { inlineString: 'KEY client' },
    });
    expect(secretOf(set, 'kubernetes://client-cacert').validationContext).toMatchObject({
      trustedCa: { inlineString: 'CA client' },
    });
  });

  test('gets the Secret of a rule that selects workloads only where it is one of them', () => {
    const selecting = rule('client', 'shop').replace(
      'spec:\n',
      'spec:\n  workloadSelector: {matchLabels: {app: cart, tier: front}}\n',
    );
    const { secrets, apply } = open([secret('client', 'shop'), selecting].join('---\n'));
    const cart = { app: 'cart', tier: 'front', version: 'v1' };
    expect(names(secrets.of('shop', cart))).toContain('kubernetes://client');
    expect(names(secrets.of('shop', { app: 'cart' }))).toEqual(['ROOTCA']);
    expect(names(secrets.of('shop', {}))).toEqual(['ROOTCA']);
    expect(secrets.of('shop', cart)).toBe(secrets.of('shop', { ...cart, version: 'v2' }));
    apply(rule('client', 'shop'));
    expect(names(secrets.of('shop', {}))).toContain('kubernetes://client');
  });

  test('gets no Secret that nothing names, none of another namespace, and none for a rule elsewhere', () => {
    const { secrets } = open(
      [
        secret('unnamed', 'shop'),
        secret('theirs', 'bank'),
        rule('theirs', 'shop'),
        rule('unnamed', 'bank'),
      ].join('---\n'),
    );
    expect(names(secrets.of('shop', {}))).toEqual(['ROOTCA']);
    expect(names(secrets.of('bank', {}))).toEqual(['ROOTCA']);
  });

  test('gets a Secret as it changes, and loses it with the rule', () => {
    const { secrets, apply, store } = open([secret('client', 'shop'), rule('client', 'shop')].join('---\n'));
    apply(secret('client', 'shop').replace('KEY client', 'KEY two'));
    expect(secretOf(secrets.of('shop', {}), 'kubernetes://client').tlsCertificate?.privateKey).toMatchObject({
      inlineString: 'KEY two',
    });
    const key = {
      group: 'networking.istio.io',
      kind: 'DestinationRule',
      namespace: 'shop',
      name: 'r-client',
    };
    store.delete(key, { origin: { source: 'api' } });
    expect(names(secrets.of('shop', {}))).toEqual(['ROOTCA']);
  });
});

describe('a gateway', () => {
  const ofGatewayX = { 'gateway.networking.k8s.io/gateway-name': 'x' };

  test('shares its key with no other workload of its namespace', () => {
    const gateway = `
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: front, namespace: edge}
spec:
  selector: {app: front}
  servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE, credentialName: site}}]
`;
    const { secrets } = open([secret('site', 'edge'), gateway].join('---\n'), anything);
    const name = 'kubernetes-gateway://edge/site';
    expect(names(secrets.of('edge', { app: 'front', version: 'v1' }))).toContain(name);
    expect(names(secrets.of('edge', { app: 'other' }))).toEqual(['ROOTCA']);
    expect(names(secrets.of('shop', { app: 'front' }))).toEqual(['ROOTCA']);
  });

  test('gets the Secrets of its own namespace that its listeners name', () => {
    expect(gatewayReferences({ name: 'site' })).toEqual([
      { namespace: 'edge', name: 'site', form: 'kubernetes-gateway', selector: ofGatewayX },
    ]);
  });

  test('gets those of another namespace only by a ReferenceGrant there that means them', () => {
    const elsewhere = { name: 'site', namespace: 'vault' };
    expect(gatewayReferences(elsewhere)).toEqual([]);
    expect(gatewayReferences(elsewhere, 'other')).toEqual([]);
    expect(gatewayReferences(elsewhere, 'site')).toEqual([
      { namespace: 'vault', name: 'site', form: 'kubernetes-gateway', selector: ofGatewayX },
    ]);
  });

  test('of Istio’s kind names them by credentialName, in its own namespace, for the workloads that it selects', () => {
    const selectorOf = (more: object): unknown => {
      const object: KubeObject = {
        apiVersion: 'networking.istio.io/v1',
        kind: 'Gateway',
        metadata: { name: 'x', namespace: 'edge' },
        spec: { servers: [{ tls: { mode: 'SIMPLE', credentialName: 'site' } }], ...more },
      };
      const references = secretReferences([{ group: 'networking.istio.io', object }]).get('edge') ?? [];
      expect(references).toMatchObject([{ namespace: 'edge', name: 'site', form: 'kubernetes-gateway' }]);
      return references[0]?.selector;
    };
    expect(selectorOf({ selector: { app: 'front' } })).toEqual({ app: 'front' });
    expect(selectorOf({})).toEqual({ istio: 'ingressgateway' });
    expect(selectorOf({ selector: {} })).toEqual({ istio: 'ingressgateway' });
  });
});
