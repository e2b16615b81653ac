import { describe, expect, test } from 'bun:test';
import fc from 'fast-check';
import { xdsTypes } from '@sluice/xds';
import type { AdsResource, AdsSnapshot } from '@sluice/xds';
import { MeshModel } from '../model/mesh-model.ts';
import { translationSettings } from './mesh-settings.ts';
import { changedBy, keyOfYaml, TranslationFixture } from './translation-fixture.ts';
import type { ProxyNode } from './node.ts';
import { Translator } from './translator.ts';

const istio = (kind: string, name: string, spec: string, namespace = 'default'): string =>
  `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: ${spec}\n`;
const core = (kind: string, name: string, rest: string): string =>
  `apiVersion: v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: default}\n${rest}\n`;
const gateway = (kind: string, name: string, spec: string, namespace = 'default'): string =>
  `apiVersion: gateway.networking.k8s.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: ${spec}\n`;

const peers = (name: string, namespace: string, spec: string): string =>
  `apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: ${spec}\n`;
const takesTls = (app: string): string => `labels: {app: ${app}, security.istio.io/tlsMode: istio}`;

/** Each entry is one resource in its several forms; what they say of each other overlaps on purpose. */
const resources: readonly (readonly string[])[] = [
  [
    core('Service', 'a', 'spec: {clusterIP: 10.0.0.1, selector: {app: a}, ports: [{name: http, port: 80}]}'),
    core(
      'Service',
      'a',
      'spec: {selector: {app: b}, ports: [{name: http, port: 80}, {name: tcp, port: 81}]}',
    ),
    core('Service', 'a', 'spec: {clusterIP: None, selector: {app: a}, ports: [{name: tcp, port: 80}]}'),
  ],
  [
    core('Service', 'b', 'spec: {selector: {app: b}, ports: [{name: http, port: 80}]}'),
    core('Service', 'b', 'spec: {type: ExternalName, externalName: x.example.com, ports: [{port: 8080}]}'),
  ],
  [
    core('Service', 'alias', 'spec: {type: ExternalName, externalName: a.default.svc.cluster.local}'),
    core('Service', 'alias', 'spec: {type: ExternalName, externalName: e.example.com, ports: [{port: 90}]}'),
    core(
      'Service',
      'alias',
      'spec: {type: ExternalName, externalName: chain.default.svc.cluster.local, ports: [{port: 90}]}',
    ),
  ],
  [
    core('Service', 'chain', 'spec: {type: ExternalName, externalName: B.default.svc.cluster.local.}'),
    core(
      'Service',
      'chain',
      'spec: {type: ExternalName, externalName: alias.default.svc.cluster.local, ports: [{port: 91}]}',
    ),
  ],
  [
    istio(
      'ServiceEntry',
      'a',
      '{hosts: [a.default.svc.cluster.local, e.example.com], resolution: STATIC, ports: [{number: 80, name: http}], endpoints: [{address: 10.9.0.1, labels: {version: v1}}]}',
    ),
    istio(
      'ServiceEntry',
      'a',
      '{hosts: [e.example.com], resolution: DNS, exportTo: ["."], ports: [{number: 443, name: tls}]}',
    ),
    istio(
      'ServiceEntry',
      'a',
      '{hosts: ["*.example.com"], addresses: [10.8.0.0/16], ports: [{number: 5000, name: tcp}]}',
    ),
  ],
  [
    istio(
      'ServiceEntry',
      'a',
      '{hosts: [e.example.com], resolution: STATIC, ports: [{number: 80, name: http}], workloadSelector: {labels: {app: a}}}',
      'other',
    ),
  ],
  [
    istio('WorkloadEntry', 'w1', '{address: 10.1.0.1, labels: {app: a, version: v1}, ports: {http: 8080}}'),
    istio('WorkloadEntry', 'w1', '{address: 10.1.0.2, labels: {app: b, version: v2}, locality: eu/a}'),
  ],
  [istio('WorkloadEntry', 'w2', '{address: 10.1.0.3, labels: {app: a, version: v2}, weight: 4}')],
  [
    core(
      'Pod',
      'p',
      'spec: {containers: [{name: c, image: i, ports: [{name: http, containerPort: 8000}]}]}\nstatus: {podIP: 10.2.0.1, phase: Running}',
    ),
    core('Pod', 'p', 'spec: {containers: [{name: c, image: i}]}\nstatus: {podIP: 10.2.0.1, phase: Failed}'),
  ],
  [
    'apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s, namespace: default, labels: {kubernetes.io/service-name: a}}\naddressType: IPv4\nports: [{name: http, port: 80}]\nendpoints: [{addresses: [10.3.0.1]}]\n',
    'apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s, namespace: default, labels: {kubernetes.io/service-name: b}}\naddressType: IPv4\nports: [{name: http, port: 80}]\nendpoints: []\n',
  ],
  [
    istio(
      'VirtualService',
      'v',
      '{hosts: [a], http: [{route: [{destination: {host: a, port: {number: 80}}, weight: 1}, {destination: {host: b}, weight: 2}]}]}',
    ),
    istio(
      'VirtualService',
      'v',
      '{hosts: [a, b], exportTo: ["."], http: [{match: [{sourceLabels: {app: x}}], fault: null, route: [{destination: {host: e.example.com}}]}]}',
    ).replace(' fault: null,', ''),
    istio('VirtualService', 'v', '{hosts: ["*.default.svc.cluster.local"], http: [{redirect: {uri: /x}}]}'),
  ],
  [istio('VirtualService', 'older', '{hosts: [a], http: [{directResponse: {status: 418}}]}')],
  [
    istio('DestinationRule', 'd', '{host: a, subsets: [{name: v1, labels: {version: v1}}]}'),
    istio(
      'DestinationRule',
      'd',
      '{host: "*.default.svc.cluster.local", trafficPolicy: {loadBalancer: {simple: RANDOM}}}',
    ),
  ],
  [
    istio(
      'DestinationRule',
      'd2',
      '{host: a.default.svc.cluster.local, subsets: [{name: v1, labels: {version: v9}}, {name: v2, labels: {version: v2}}]}',
    ),
  ],
  [
    istio(
      'DestinationRule',
      'mine',
      '{host: a.default.svc.cluster.local, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}',
      'other',
    ),
  ],
  [
    gateway(
      'HTTPRoute',
      'h',
      '{parentRefs: [{group: "", kind: Service, name: a}], rules: [{backendRefs: [{name: b, port: 80}, {name: a, port: 80, weight: 3}]}]}',
    ),
    gateway(
      'HTTPRoute',
      'h',
      '{parentRefs: [{group: "", kind: Service, name: a, port: 81}], rules: [{backendRefs: [{name: a, port: 80}]}]}',
    ),
  ],
  [
    gateway(
      'HTTPRoute',
      'consumer',
      '{parentRefs: [{group: "", kind: Service, name: a, namespace: default}], rules: [{backendRefs: [{name: b, namespace: default, port: 80}]}]}',
      'other',
    ),
  ],
  [
    gateway(
      'ReferenceGrant',
      'g',
      '{from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: other}], to: [{group: "", kind: Service}]}',
    ),
  ],
  [
    istio('Sidecar', 's', '{egress: [{hosts: ["./*"]}]}', 'other'),
    istio(
      'Sidecar',
      's',
      '{egress: [{hosts: ["*/a.default.svc.cluster.local"]}], outboundTrafficPolicy: {mode: REGISTRY_ONLY}}',
      'other',
    ),
  ],
  [istio('Sidecar', 'picked', '{workloadSelector: {labels: {app: x}}, egress: [{hosts: ["~/*"]}]}')],
  [
    istio('WorkloadEntry', 'w3', `{address: 10.1.0.4, serviceAccount: a, ${takesTls('a')}}`),
    istio('WorkloadEntry', 'w3', `{address: 10.1.0.4, serviceAccount: b, ${takesTls('b')}}`),
  ],
  [core('Service', 'given', 'spec: {ports: [{name: http, port: 80}]}')],
  [
    'apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: g, namespace: default, labels: {kubernetes.io/service-name: given}}\naddressType: IPv4\nports: [{name: http, port: 80}]\nendpoints: [{addresses: [10.1.0.4]}, {addresses: [10.1.0.2]}]\n',
  ],
  [
    peers('mesh', 'istio-system', '{mtls: {mode: STRICT}}'),
    peers('mesh', 'istio-system', '{mtls: {mode: DISABLE}}'),
  ],
  [
    peers('a', 'default', '{selector: {matchLabels: {app: a}}, portLevelMtls: {80: {mode: DISABLE}}}'),
    peers('a', 'default', '{mtls: {mode: PERMISSIVE}}'),
  ],
  [
    istio(
      'DestinationRule',
      'for-x',
      '{host: a, workloadSelector: {matchLabels: {app: x}}, trafficPolicy: {tls: {mode: SIMPLE}}}',
    ),
    istio('DestinationRule', 'for-x', '{host: b, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}'),
  ],
  [
    istio(
      'DestinationRule',
      'limits',
      '{host: "*.default.svc.cluster.local", trafficPolicy: {connectionPool: {tcp: {idleTimeout: 5m}, http: {useClientProtocol: true}}}}',
    ),
    istio(
      'DestinationRule',
      'limits',
      '{host: b, trafficPolicy: {connectionPool: {tcp: {maxConnectionDuration: 1h}}}}',
    ),
    istio(
      'DestinationRule',
      'limits',
      '{host: b, trafficPolicy: {tunnel: {protocol: POST, targetHost: x.example.com, targetPort: 443}}}',
    ),
  ],
  [
    istio(
      'VirtualService',
      'l4',
      '{hosts: [a], tcp: [{route: [{destination: {host: a, subset: v1}, weight: 1}, {destination: {host: b}, weight: 2}]}]}',
    ),
    istio(
      'VirtualService',
      'l4',
      '{hosts: [e.example.com], tls: [{match: [{sniHosts: [e.example.com], sourceLabels: {app: x}}], route: [{destination: {host: a}}]}]}',
    ),
  ],
];

const step = fc.record({
  resource: fc.nat(resources.length - 1),
  /** Modulo the number of forms and one more, which deletes. */
  form: fc.nat(11),
});

function run(fixture: TranslationFixture, { resource, form }: { resource: number; form: number }): void {
  const forms = resources[resource] ?? [];
  const yaml = forms[form % (forms.length + 1)];
  if (yaml !== undefined) fixture.apply(yaml);
  else if (fixture.store.get(keyOfYaml(forms[0] ?? ''))) fixture.delete(keyOfYaml(forms[0] ?? ''));
}

function clientsOf(fixture: TranslationFixture): ProxyNode[] {
  return [
    fixture.client('a', { labels: { app: 'a' } }),
    fixture.client('x', { labels: { app: 'x' }, interceptionMode: 'NONE' }),
    fixture.client('o', { namespace: 'other', capabilities: [] }),
    fixture.client('v', { interceptionMode: 'NONE', capabilities: ['sluice.dev/vhds'] }),
    fixture.client('t', {
      labels: { app: 'a' },
      capabilities: ['sluice.dev/tls', 'sluice.dev/http2'],
      ports: [{ name: 'http', appPort: 80, inboundPort: 80 }],
    }),
  ];
}

/** Versions are hashes of the bytes. */
function contentOf(snapshot: AdsSnapshot): Record<string, Record<string, string>> {
  return Object.fromEntries(
    [...snapshot.types].map(([type, set]) => [
      type,
      Object.fromEntries([...set].map(([name, { version }]): [string, string] => [name, version]).sort()),
    ]),
  );
}

function freshly(fixture: TranslationFixture): Translator {
  const { clusterDomain, rootNamespace } = fixture.settings;
  const model = new MeshModel({ clusterDomain, rootNamespace });
  model.load(fixture.store.all());
  return new Translator(model, translationSettings(fixture.settings).settings);
}

function compareWithFresh(fixture: TranslationFixture, clients: readonly ProxyNode[]): void {
  const fresh = freshly(fixture);
  for (const client of clients)
    expect(contentOf(fixture.snapshot(client))).toEqual(contentOf(fresh.snapshot(client)));
}

test('a mesh reached by changes is, byte for byte, the mesh read anew', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 40 }), (steps) => {
      const fixture = new TranslationFixture();
      const clients = clientsOf(fixture);
      // From a full mesh, so that most steps mean something to the rest.
      for (const resource of resources.keys()) run(fixture, { resource, form: 0 });
      for (const [index, one] of steps.entries()) {
        run(fixture, one);
        for (const client of clients) fixture.snapshot(client);
        // Not only at the end: later changes would hide what an earlier one left behind.
        if (index % 5 === 4) compareWithFresh(fixture, clients);
      }
      compareWithFresh(fixture, clients);
    }),
    { numRuns: 60, seed: 20_261_123 },
  );
}, 60_000);

const mesh = [
  core('Service', 'a', 'spec: {selector: {app: a}, ports: [{name: http, port: 80}]}'),
  core('Service', 'b', 'spec: {selector: {app: b}, ports: [{name: http, port: 8080}]}'),
  istio('WorkloadEntry', 'w1', '{address: 10.1.0.1, labels: {app: a}}'),
  istio('VirtualService', 'v', '{hosts: [a], http: [{timeout: 1s, route: [{destination: {host: a}}]}]}'),
  istio('VirtualService', 'u', '{hosts: [b], http: [{timeout: 1s, route: [{destination: {host: b}}]}]}'),
].join('---\n');

describe('a change touches only what it reaches', () => {
  const changes: readonly (readonly [string, string, readonly string[]])[] = [
    [
      'a route',
      istio('VirtualService', 'v', '{hosts: [a], http: [{timeout: 9s, route: [{destination: {host: a}}]}]}'),
      ['route 80'],
    ],
    [
      'a policy',
      istio('DestinationRule', 'd', '{host: a, trafficPolicy: {loadBalancer: {simple: RANDOM}}}'),
      ['cluster outbound|80||a.default.svc.cluster.local'],
    ],
    [
      'an instance',
      istio('WorkloadEntry', 'w2', '{address: 10.1.0.2, labels: {app: a}}'),
      ['endpoint outbound|80||a.default.svc.cluster.local'],
    ],
    [
      'the protocol of a service',
      istio(
        'DestinationRule',
        'd',
        '{host: a, trafficPolicy: {connectionPool: {http: {useClientProtocol: true}}}}',
      ),
      ['cluster outbound|80||a.default.svc.cluster.local'],
    ],
    ['an instance of nobody', istio('WorkloadEntry', 'w3', '{address: 10.1.0.2, labels: {app: z}}'), []],
    [
      'a route of a namespace that cannot be seen',
      istio(
        'VirtualService',
        'n',
        '{hosts: [a.default.svc.cluster.local], exportTo: ["."], http: [{redirect: {uri: /x}}]}',
        'other',
      ),
      [],
    ],
    [
      'the same content',
      istio('VirtualService', 'v', '{http: [{route: [{destination: {host: a}}], timeout: 1s}], hosts: [a]}'),
      [],
    ],
    ['a Namespace', 'apiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n', []],
    [
      'a new service',
      core('Service', 'c', 'spec: {selector: {app: c}, ports: [{name: http, port: 8080}]}'),
      [
        'cluster outbound|8080||c.default.svc.cluster.local',
        'endpoint outbound|8080||c.default.svc.cluster.local',
        'route 8080',
      ],
    ],
  ];
  test.each(changes)('%s', (_what, yaml, reached) => {
    const fixture = new TranslationFixture();
    fixture.apply(mesh);
    const client = fixture.client('client');
    expect(changedBy(fixture, client, () => fixture.apply(yaml))).toEqual([...reached]);
  });

  const secured: readonly (readonly [string, string, readonly string[]])[] = [
    [
      'what it takes itself: its own listener',
      peers('a', 'default', '{mtls: {mode: STRICT}}'),
      ['listener virtualInbound'],
    ],
    [
      'what somebody else takes: nothing',
      peers('b', 'default', '{selector: {matchLabels: {app: b}}, mtls: {mode: STRICT}}'),
      [],
    ],
    [
      'what an endpoint takes no longer: its endpoints',
      peers('a', 'default', '{selector: {matchLabels: {app: b}}, mtls: {mode: DISABLE}}'),
      ['endpoint outbound|8080||b.default.svc.cluster.local'],
    ],
    [
      'the account of an instance: the names that its clusters expect',
      istio('WorkloadEntry', 'wb', `{address: 10.1.0.9, serviceAccount: other, ${takesTls('b')}}`),
      ['cluster outbound|8080||b.default.svc.cluster.local'],
    ],
  ];
  test.each(secured)('of mutual TLS: %s', (_what, yaml, reached) => {
    const fixture = new TranslationFixture();
    fixture.apply(mesh);
    fixture.apply(istio('WorkloadEntry', 'wb', `{address: 10.1.0.9, ${takesTls('b')}}`));
    const client = fixture.client('client', { labels: { app: 'a' }, capabilities: ['sluice.dev/tls'] });
    expect(changedBy(fixture, client, () => fixture.apply(yaml))).toEqual([...reached]);
  });

  test('a route, for a proxy that gets virtual hosts one by one: that one', () => {
    const fixture = new TranslationFixture();
    fixture.apply(mesh);
    const timeout = istio(
      'VirtualService',
      'v',
      '{hosts: [a], http: [{timeout: 9s, route: [{destination: {host: a}}]}]}',
    );
    const redirected = fixture.client('redirected', { capabilities: ['sluice.dev/vhds'] });
    expect(changedBy(fixture, redirected, () => fixture.apply(timeout))).toEqual([
      'virtualHost 80/a.default.svc.cluster.local:80',
    ]);
    const explicit = fixture.client('explicit', {
      interceptionMode: 'NONE',
      capabilities: ['sluice.dev/vhds'],
    });
    expect(changedBy(fixture, explicit, () => fixture.apply(timeout.replace('9s', '8s')))).toEqual([
      'route a.default.svc.cluster.local:80',
      'virtualHost http_proxy/a.default.svc.cluster.local:80',
    ]);
  });

  test('a status write, not even our own', () => {
    const fixture = new TranslationFixture();
    fixture.apply(mesh);
    const client = fixture.client('client');
    const before = fixture.snapshot(client);
    const key = keyOfYaml(istio('WorkloadEntry', 'w1', '{}'));
    fixture.store.putStatus(key, { conditions: [{ type: 'Accepted', status: 'True' }] });
    expect(fixture.snapshot(client)).toBe(before);
    fixture.store.putStatus(key, { conditions: [{ type: 'Healthy', status: 'False' }] });
    expect(fixture.snapshot(client)).not.toBe(before);
  });

  test('a status that is no list of conditions has none', () => {
    const fixture = new TranslationFixture();
    fixture.apply(mesh);
    const client = fixture.client('client');
    const before = fixture.snapshot(client);
    for (const status of [{ conditions: 'x' }, { conditions: [null, 7] }, 'x', [1]])
      fixture.store.putStatus(keyOfYaml(istio('WorkloadEntry', 'w1', '{}')), status);
    fixture.apply(istio('WorkloadEntry', 'w1', '{address: 10.1.0.1, labels: {app: a}, weight: 1}'));
    expect(Object.keys(contentOf(fixture.snapshot(client)))).toEqual(Object.keys(contentOf(before)));
  });

  test('proxies of one scope share the encoded bytes', () => {
    const fixture = new TranslationFixture();
    fixture.apply(mesh);
    const all = (name: string): readonly AdsResource[] =>
      [xdsTypes.cluster, xdsTypes.endpoint, xdsTypes.route].flatMap((type) => [
        ...(fixture.snapshot(fixture.client(name)).types.get(type)?.values() ?? []),
      ]);
    const [first, second] = [all('one'), all('two')];
    expect(first.length).toBeGreaterThan(5);
    expect(first.every((resource, index) => resource === second[index])).toBe(true);
  });
});
