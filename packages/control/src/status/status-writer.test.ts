import { describe, expect, test } from 'bun:test';
import { createLogger } from '@sluice/runtime';
import { fakeTime } from '@sluice/testkit';
import { xdsTypes } from '@sluice/xds';
import type { TypeStatus } from '@sluice/xds';
import type { ResourceKey } from '@sluice/api';
import { keyOfYaml, TranslationFixture } from '../translate/translation-fixture.ts';
import type { ProxyNode } from '../translate/node.ts';
import type { ProxyProgress } from './programmed.ts';
import { StatusWriter } from './status-writer.ts';

interface ConditionText {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
  readonly lastTransitionTime: string;
}

const settled: TypeStatus = {
  state: 'SYNCED',
  ackedVersion: 'x',
  sentVersion: '',
  errorDetail: '',
  rejected: new Map(),
  heldCount: 1,
  pendingCount: 0,
};
const sharedTypes = [xdsTypes.cluster, xdsTypes.endpoint, xdsTypes.listener, xdsTypes.route];

/** A mesh with a status writer, and proxies that say what they are told to. */
class StatusMesh extends TranslationFixture {
  readonly time = fakeTime();
  readonly logged: string[] = [];
  readonly progress: { node: ProxyNode; types: Map<string, TypeStatus> }[] = [];
  readonly writer = new StatusWriter({
    store: this.store,
    model: this.model,
    proxies: () => this.#proxies(),
    wheel: this.time.wheel,
    wallMs: () => this.time.clock.wallMs(),
    log: createLogger({ component: 'status', write: (line) => this.logged.push(line) }),
  });

  constructor() {
    super();
    this.writer.begin();
  }

  connect(name: string): Map<string, TypeStatus> {
    const node = this.client(name);
    this.snapshot(node);
    const types = new Map(sharedTypes.map((type) => [type, settled]));
    this.progress.push({ node, types });
    return types;
  }

  /** What is written once everything that waits has been. */
  written(key: ResourceKey): Record<string, unknown> {
    this.writer.contentChanged();
    this.time.advance(1000);
    return (this.store.get(key)?.object.status ?? {}) as Record<string, unknown>;
  }

  condition(yaml: string, type: string): ConditionText | undefined {
    const status = this.written(keyOfYaml(yaml));
    const parents = (status['parents'] ?? []) as { conditions: ConditionText[] }[];
    const all = [
      ...((status['conditions'] ?? []) as ConditionText[]),
      ...parents.flatMap((one) => one.conditions),
    ];
    return all.find((condition) => condition.type === type);
  }

  /** `status reason: message` */
  said(yaml: string, type: string): string {
    const found = this.condition(yaml, type);
    return found ? `${found.status} ${found.reason}: ${found.message}` : 'none';
  }

  *#proxies(): Iterable<ProxyProgress> {
    for (const { node, types } of this.progress) {
      this.snapshot(node);
      yield { provenance: this.translator.provenance(node), types };
    }
  }
}

const service = `
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {clusterIP: 10.0.0.1, selector: {app: reviews}, ports: [{name: http, port: 9080}]}
`;
const virtualService = (name: string, http: string): string => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}}
spec: {hosts: [reviews], http: ${http}}
`;
const toReviews = '[{route: [{destination: {host: reviews}}]}]';
const httpRoute = (name: string, parent: string, backend: string): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: ${name}}
spec: {parentRefs: [{${parent}}], rules: [{backendRefs: [{${backend}}]}]}
`;

test('rules for an alias say that those of its service hold, as long as it is one', () => {
  const mesh = new StatusMesh();
  const alias =
    'apiVersion: v1\nkind: Service\nmetadata: {name: alias}\nspec: {type: ExternalName, externalName: reviews.default.svc.cluster.local, ports: [{name: http, port: 9080}]}\n';
  const rule =
    'apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: r}\nspec: {host: alias}\n';
  const route = virtualService('a', toReviews).replace('hosts: [reviews]', 'hosts: [alias]');
  const attached = httpRoute('h', 'group: "", kind: Service, name: alias', 'name: alias, port: 9080');
  mesh.apply([service, alias, rule, route, attached].join('---\n'));
  const words =
    'alias.default.svc.cluster.local is an alias of reviews.default.svc.cluster.local, whose rules hold for it: this one has no effect on it';
  expect(mesh.said(rule, 'ResolvedRefs')).toBe(`False HostIsAlias: ${words}`);
  expect(mesh.said(route, 'ResolvedRefs')).toBe(`False HostIsAlias: ${words}`);
  expect(mesh.said(attached, 'Accepted')).toBe(
    'False NoMatchingParent: Service default/alias is an alias of reviews.default.svc.cluster.local, whose routes hold for it',
  );
  expect(mesh.said(attached, 'ResolvedRefs')).toStartWith('True');
  mesh.delete(keyOfYaml(service));
  expect(mesh.said(rule, 'ResolvedRefs')).toStartWith('True');
  expect(mesh.said(attached, 'Accepted')).toStartWith('True');
});

describe('a VirtualService', () => {
  test('that is valid and resolved says so, and how many proxies have it', () => {
    const mesh = new StatusMesh();
    const route = virtualService('a', toReviews);
    mesh.apply(service + '---' + route);
    expect(mesh.said(route, 'Accepted')).toBe('True Accepted: the resource is valid');
    expect(mesh.said(route, 'ResolvedRefs')).toBe('True ResolvedRefs: everything it refers to exists');
    expect(mesh.said(route, 'Programmed')).toBe('Unknown NoProxies: no connected proxy has a use for it');
    mesh.connect('one');
    mesh.connect('two').set(xdsTypes.route, { ...settled, state: 'STALE' });
    expect(mesh.said(route, 'Programmed')).toBe('False Pending: 1 of 2 proxies');
    mesh.progress[1]?.types.set(xdsTypes.route, settled);
    expect(mesh.said(route, 'Programmed')).toBe('True Programmed: 2 of 2 proxies');
    expect(mesh.said(route, 'Conflicted')).toBe('none');
  });

  test.each([
    [
      'host',
      '{host: nobody}',
      'BackendNotFound: no service nobody.default.svc.cluster.local is visible from namespace default',
    ],
    [
      'port',
      '{host: reviews, port: {number: 1}}',
      'BackendNotFound: service reviews.default.svc.cluster.local has no port 1',
    ],
    [
      'subset',
      '{host: reviews, subset: v9}',
      'SubsetNotFound: no DestinationRule defines subset v9 of reviews.default.svc.cluster.local: its requests get 503',
    ],
  ])('whose %s does not exist is not resolved', (_what, destination, words) => {
    const mesh = new StatusMesh();
    const route = virtualService('a', `[{route: [{destination: ${destination}}]}]`);
    mesh.apply(service + '---' + route);
    expect(mesh.said(route, 'ResolvedRefs')).toBe(`False ${words}`);
  });

  test('that loses to an older one, or to a route of the Service, names the winner', () => {
    const mesh = new StatusMesh();
    const older = virtualService('older', toReviews);
    const younger = virtualService('younger', toReviews);
    mesh.apply(service + '---' + older + '---' + younger);
    expect(mesh.said(older, 'Conflicted')).toBe('none');
    expect(mesh.said(younger, 'Conflicted')).toBe(
      'True HostConflict: reviews.default.svc.cluster.local:9080 is routed by networking.istio.io/VirtualService/default/older',
    );
    mesh.apply(httpRoute('best', 'group: "", kind: Service, name: reviews', 'name: reviews, port: 9080'));
    expect(mesh.said(older, 'Conflicted')).toEndWith(
      'is routed by gateway.networking.k8s.io/HTTPRoute/default/best',
    );
    mesh.delete(keyOfYaml(httpRoute('best', 'name: x', 'name: x')));
    expect(mesh.said(older, 'Conflicted')).toBe('none');
  });

  test('that a proxy refuses has its words', () => {
    const mesh = new StatusMesh();
    const route = virtualService('a', toReviews);
    mesh.apply(service + '---' + route);
    mesh.connect('good');
    mesh.connect('bad').set(xdsTypes.route, {
      ...settled,
      state: 'NACK',
      errorDetail: '9080: routes[0]: too odd\n80: something else',
      rejected: new Map([['9080', 'v']]),
    });
    expect(mesh.said(route, 'Programmed')).toBe(
      'False Invalid: 1 of 2 proxies; 1 refused it: 9080: routes[0]: too odd',
    );
  });

  test('whose present generation is broken says which one still serves', () => {
    const mesh = new StatusMesh();
    const route = virtualService('a', toReviews);
    mesh.save('a.yaml', service + '---' + route);
    mesh.written(keyOfYaml(route));
    mesh.save(
      'a.yaml',
      service + '---' + virtualService('a', '[{route: [{destination: {host: reviews}, weight: many}]}]'),
    );
    expect(mesh.said(route, 'Accepted')).toStartWith(
      'False Invalid: generation 2 is invalid, generation 1 still serves: spec.http[0].route[0].weight',
    );
    expect(mesh.condition(route, 'Accepted')?.observedGeneration).toBe(2);
  });

  test('whose written conditions may repeat requests is warned of', () => {
    const mesh = new StatusMesh();
    const route = virtualService(
      'a',
      '[{retries: {attempts: 2, retryOn: "5xx"}, route: [{destination: {host: reviews}}]}]',
    );
    mesh.apply(service + '---' + route);
    const { validationMessages } = mesh.written(keyOfYaml(route)) as {
      validationMessages: { level: string; message: string }[];
    };
    expect(validationMessages[0]).toMatchObject({ level: 'WARNING', type: { code: 'SL9004' } });
    expect(validationMessages[0]?.message).toStartWith('spec.http[0].retries.retryOn: ');
  });
});

describe('mutual TLS', () => {
  const peers = (name: string, spec: string): string =>
    `apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: ${name}}\nspec: ${spec}\n`;

  test('a PeerAuthentication counts the proxies it holds for, and a younger one names the winner', () => {
    const mesh = new StatusMesh();
    const [older, younger] = [peers('z', '{mtls: {mode: STRICT}}'), peers('a', '{mtls: {mode: DISABLE}}')];
    mesh.apply(older);
    mesh.apply(younger);
    mesh.connect('web');
    expect(mesh.said(older, 'Programmed')).toBe('True Programmed: 1 of 1 proxy');
    expect(mesh.said(younger, 'Conflicted')).toBe(
      'True OlderExists: security.istio.io/PeerAuthentication/default/z is older and holds for the same workloads: this one has no effect',
    );
    mesh.delete(keyOfYaml(older));
    expect(mesh.said(younger, 'Conflicted')).toBe('none');
  });

  test('a DestinationRule without its Secret says what fails, until the Secret has what it needs', () => {
    const mesh = new StatusMesh();
    mesh.apply(service);
    const rule =
      'apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec: {host: reviews, trafficPolicy: {tls: {mode: MUTUAL, credentialName: c}}}\n';
    const secret = (data: object): string =>
      JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'c' }, data });
    mesh.apply(rule);
    expect(mesh.said(rule, 'ResolvedRefs')).toStartWith('False CredentialNotFound: there is no Secret c');
    mesh.apply(secret({ cacert: btoa('A') }));
    expect(mesh.said(rule, 'ResolvedRefs')).toContain('has no certificate with its key');
    mesh.apply(secret({ cacert: btoa('A'), cert: btoa('C'), key: btoa('K') }));
    expect(mesh.said(rule, 'ResolvedRefs')).toStartWith('True');
  });
});

describe('other kinds of Istio', () => {
  test('a ServiceEntry beaten by a Service names it', () => {
    const mesh = new StatusMesh();
    const entry = `
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: late}
spec: {hosts: [reviews.default.svc.cluster.local], resolution: STATIC, ports: [{number: 80, name: http}], endpoints: [{address: 10.0.0.2}]}
`;
    mesh.apply(service + '---' + entry);
    expect(mesh.said(entry, 'Conflicted')).toBe(
      'True HostConflict: reviews.default.svc.cluster.local is defined by Service/default/reviews, which comes first',
    );
  });

  test('a DestinationRule for a host that nobody has is not resolved', () => {
    const mesh = new StatusMesh();
    const rule =
      'apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: r}\nspec: {host: nobody}\n';
    mesh.apply(rule);
    expect(mesh.said(rule, 'ResolvedRefs')).toBe('False HostNotFound: no service has the host nobody');
  });

  test('a Sidecar counts the proxies it narrows', () => {
    const mesh = new StatusMesh();
    const sidecar =
      'apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s}\nspec: {egress: [{hosts: ["./*"]}]}\n';
    mesh.apply(service + '---\n' + sidecar);
    mesh.connect('one');
    expect(mesh.said(sidecar, 'Programmed')).toBe('True Programmed: 1 of 1 proxy');
  });

  test('the registry’s condition of a WorkloadEntry stays', () => {
    const mesh = new StatusMesh();
    const entry =
      'apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: w}\nspec: {address: 10.0.0.1}\n';
    mesh.apply(entry);
    const healthy = { type: 'Healthy', status: 'True' };
    mesh.store.putStatus(keyOfYaml(entry), { conditions: [healthy] });
    expect(mesh.condition(entry, 'Healthy')).toMatchObject(healthy);
    expect(mesh.said(entry, 'Accepted')).toStartWith('True');
  });
});

describe('an HTTPRoute', () => {
  const attached = 'group: "", kind: Service, name: reviews';

  test('attached to a Service is accepted, resolved and counted', () => {
    const mesh = new StatusMesh();
    const route = httpRoute('r', attached, 'name: reviews, port: 9080');
    mesh.apply(service + '---' + route);
    mesh.connect('one');
    const { parents } = mesh.written(keyOfYaml(route)) as {
      parents: { parentRef: unknown; controllerName: string; conditions: ConditionText[] }[];
    };
    expect(parents.map((parent) => [parent.parentRef, parent.controllerName])).toEqual([
      [{ group: '', kind: 'Service', name: 'reviews' }, 'sluice.dev/gateway-controller'],
    ]);
    expect(parents[0]?.conditions.map((one) => `${one.type}=${one.status}`)).toEqual([
      'Accepted=True',
      'ResolvedRefs=True',
      'Programmed=True',
    ]);
  });

  test.each([
    [
      'group: "", kind: Service, name: nobody',
      'False NoMatchingParent: Service default/nobody does not exist',
    ],
    [
      'group: "", kind: Service, name: reviews, port: 1',
      'False NoMatchingParent: Service default/reviews has no such port',
    ],
    ['name: nowhere', 'False NoMatchingParent: Gateway default/nowhere does not exist'],
    ['name: edge, sectionName: other', 'False NoMatchingParent: Gateway default/edge has no such listener'],
    [
      'name: edge, sectionName: closed',
      'False NotAllowedByListeners: no listener of Gateway default/edge allows routes of this namespace and kind',
    ],
    ['name: edge, sectionName: web', 'True Accepted: the route is attached to the Gateway'],
    ['name: foreign', 'none'],
  ])('with parent {%s}', (parent, words) => {
    const mesh = new StatusMesh();
    const route = httpRoute('r', parent, 'name: reviews, port: 9080');
    mesh.apply(`${service}---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: sluice
  listeners:
  - {name: web, port: 80, protocol: HTTP}
  - {name: closed, port: 81, protocol: HTTP, allowedRoutes: {namespaces: {from: Selector, selector: {matchLabels: {team: x}}}}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: foreign}
spec: {gatewayClassName: somebody-elses, listeners: [{name: web, port: 80, protocol: HTTP}]}
---
${route}`);
    expect(mesh.said(route, 'Accepted')).toBe(words);
  });

  test.each([
    ['name: nobody, port: 80', 'False BackendNotFound: Service default/nobody does not exist'],
    [
      'name: reviews, namespace: vault, port: 80',
      'False RefNotPermitted: no ReferenceGrant in vault lets HTTPRoutes of default refer to Service reviews',
    ],
  ])('with backend {%s}', (backend, words) => {
    const mesh = new StatusMesh();
    const route = httpRoute('r', attached, backend);
    mesh.apply(service + '---' + route);
    expect(mesh.said(route, 'ResolvedRefs')).toBe(words);
  });
});

describe('gateways', () => {
  const gateway = (className: string): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec: {gatewayClassName: ${className}, listeners: [{name: web, port: 80, protocol: HTTP}]}
`;

  test('of our classes are accepted, not programmed, and count their routes', () => {
    for (const name of ['sluice', 'istio']) {
      const mesh = new StatusMesh();
      mesh.apply(gateway(name) + '---' + httpRoute('r', 'name: edge', 'name: x, port: 80'));
      expect(mesh.said(gateway(name), 'Accepted')).toStartWith('True Accepted');
      expect(mesh.said(gateway(name), 'Programmed')).toBe('False Pending: this version runs no gateways yet');
      const { listeners } = mesh.written(keyOfYaml(gateway(name))) as {
        listeners: { name: string; attachedRoutes: number }[];
      };
      expect(listeners.map((one) => [one.name, one.attachedRoutes])).toEqual([['web', 1]]);
    }
  });

  test('of other controllers are left alone, their classes too', () => {
    const mesh = new StatusMesh();
    const ours =
      'apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: mine}\nspec: {controllerName: sluice.dev/gateway-controller}\n';
    const other = ours.replace('mine', 'other').replace('sluice.dev/', 'example.com/');
    mesh.apply(`${ours}---\n${other}---${gateway('other')}`);
    expect(mesh.said(ours, 'Accepted')).toStartWith('True');
    expect(mesh.written(keyOfYaml(other))).toEqual({});
    expect(mesh.written(keyOfYaml(gateway('other')))).toEqual({});
  });
});

test('a WorkloadGroup is taken, and says that nothing comes of it', () => {
  const mesh = new StatusMesh();
  const group =
    'apiVersion: networking.istio.io/v1\nkind: WorkloadGroup\nmetadata: {name: vms}\nspec: {template: {serviceAccount: a}}\n';
  mesh.apply(group);
  expect(mesh.said(group, 'Accepted')).toStartWith('True');
  expect(mesh.said(group, 'Programmed')).toBe(
    'False Pending: workloads register with everything of their own in this version: the resource is kept and has no effect',
  );
});

describe('writing', () => {
  test('waits, coalesces, and writes only what differs', () => {
    const mesh = new StatusMesh();
    const route = virtualService('a', toReviews);
    mesh.apply(service + '---' + route);
    const before = mesh.store.revision;
    mesh.writer.contentChanged();
    mesh.writer.contentChanged();
    mesh.time.advance(100);
    expect(mesh.store.revision).toBe(before);
    mesh.time.advance(200);
    expect(mesh.store.revision).toBe(before + 1);
    mesh.written(keyOfYaml(route));
    mesh.writer.progressChanged();
    mesh.time.advance(1000);
    expect(mesh.store.revision).toBe(before + 1);
  });

  test('is a leader’s: a follower writes nothing, and who takes the duty over judges everything', () => {
    const mesh = new StatusMesh();
    const route = virtualService('a', toReviews);
    mesh.writer.end();
    mesh.apply(service + '---' + route);
    const before = mesh.store.revision;
    mesh.writer.contentChanged();
    mesh.time.advance(10_000);
    expect(mesh.store.revision).toBe(before);
    mesh.writer.begin();
    mesh.time.advance(300);
    expect(mesh.condition(route, 'Accepted')).toMatchObject({ status: 'True' });
    expect(mesh.store.revision).toBe(before + 1);
  });

  test('changes no generation, no transition time without a transition, and nothing for proxies', () => {
    const mesh = new StatusMesh();
    const route = virtualService('a', toReviews);
    mesh.apply(service + '---' + route);
    const node = mesh.client('one');
    const snapshot = mesh.snapshot(node);
    const first = mesh.condition(route, 'Accepted');
    mesh.connect('two');
    mesh.time.advance(60_000);
    const programmed = mesh.condition(route, 'Programmed');
    expect(mesh.condition(route, 'Accepted')).toEqual(first);
    expect(programmed?.lastTransitionTime).not.toBe(first?.lastTransitionTime);
    expect(mesh.store.get(keyOfYaml(route))?.generation).toBe(1);
    expect(mesh.snapshot(node)).toBe(snapshot);
  });
});
