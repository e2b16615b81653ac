import { describe, expect, test } from 'bun:test';
import { formatProblem } from '../problem.ts';
import { readObjects } from '../read.ts';
import { analyze } from './analyze.ts';

const base = `
apiVersion: v1
kind: Service
metadata: {name: reviews}
spec: {selector: {app: reviews}, ports: [{name: http, port: 9080}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: reviews-1}
spec: {address: 10.0.0.1, labels: {app: reviews, version: v1}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}]}
`;
const istio = (kind: string, name: string, spec: string, annotations = '{}') =>
  `---\napiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: ${name}, annotations: ${annotations}}\nspec: ${spec}\n`;
const route = (spec: string) =>
  `---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec: ${spec}\n`;

const tunnel = (host: string): string => `tunnel: {targetHost: ${host}, targetPort: 443}`;
const full = (name: string): string => `${name}.default.svc.cluster.local`;
const externalName = (name: string, to: string, ports = '[]'): string =>
  `---\napiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {type: ExternalName, externalName: ${to}, ports: ${ports}}\n`;

function codesOf(text: string): string[] {
  const { objects, problems } = readObjects(text, 'f.yaml');
  expect(problems.filter((problem) => problem.severity === 'error')).toEqual([]);
  const entries = objects.map(({ object, locate, origin }) => ({ object, locate, file: origin.file }));
  return analyze(entries).map((problem) => `${problem.code} ${problem.path}`);
}

const to = (destination: string) => `route: [{destination: ${destination}}]`;
const good = istio(
  'VirtualService',
  'reviews',
  `{hosts: [reviews], http: [{${to('{host: reviews, subset: v1}')}}]}`,
);

const peers = (name: string, namespace: string, spec: string): string =>
  `---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: ${spec}\n`;
const tlsRule = (tls: string): string =>
  istio('DestinationRule', 'tls', `{host: reviews, trafficPolicy: {tls: ${tls}}}`);
const strict = peers('mesh', 'istio-system', '{mtls: {mode: STRICT}}');

describe('mutual TLS', () => {
  test.each([
    [
      'a rule of plaintext under STRICT',
      strict + tlsRule('{mode: DISABLE}'),
      ['SL0113 spec.trafficPolicy.tls.mode'],
    ],
    ['the mesh’s TLS under STRICT', strict + tlsRule('{mode: ISTIO_MUTUAL}'), []],
    [
      'the mesh’s TLS where it is disabled',
      peers('a', 'default', '{selector: {matchLabels: {app: reviews}}, mtls: {mode: DISABLE}}') +
        tlsRule('{mode: ISTIO_MUTUAL}'),
      ['SL0113 spec.trafficPolicy.tls.mode'],
    ],
    [
      'a port that takes plaintext under STRICT',
      strict +
        peers(
          'a',
          'default',
          '{selector: {matchLabels: {app: reviews}}, portLevelMtls: {9080: {mode: DISABLE}}}',
        ) +
        istio(
          'DestinationRule',
          'tls',
          '{host: reviews, trafficPolicy: {portLevelSettings: [{port: {number: 9080}, tls: {mode: DISABLE}}]}}',
        ),
      [],
    ],
    [
      'a missing Secret',
      tlsRule('{mode: SIMPLE, credentialName: x}'),
      ['SL0101 spec.trafficPolicy.tls.credentialName'],
    ],
    [
      'two policies for one namespace',
      strict + peers('two', 'istio-system', '{mtls: {mode: DISABLE}}'),
      ['SL9005 metadata.name'],
    ],
    [
      'a selector in the root namespace',
      peers('a', 'istio-system', '{selector: {matchLabels: {app: reviews}}}'),
      ['SL9006 spec.selector'],
    ],
    [
      'a selector of nothing',
      peers('a', 'default', '{selector: {matchLabels: {app: gone}}}'),
      ['SL0127 spec.selector.matchLabels'],
    ],
    [
      'TLS to a wildcard without a name',
      istio('DestinationRule', 'w', '{host: "*.example.com", trafficPolicy: {tls: {mode: SIMPLE}}}'),
      ['SL9008 spec.trafficPolicy.tls'],
    ],
    [
      'tcp routes of a port that is read',
      istio('VirtualService', 'a', `{hosts: [reviews], tcp: [{${to('{host: reviews}')}}]}`),
      ['SL9007 spec.tcp'],
    ],
    [
      'tcp routes to nowhere',
      istio('VirtualService', 'a', `{hosts: [reviews], tcp: [{${to('{host: revews}')}}]}`),
      ['SL0101 spec.tcp[0].route[0].destination.host', 'SL9007 spec.tcp'],
    ],
  ])('%s', (_, text, expected) => {
    expect(codesOf(base + text).sort()).toEqual(expected);
  });
});

describe('analysis', () => {
  test('finds nothing where nothing is wrong', () => {
    expect(codesOf(base + good)).toEqual([]);
  });

  test.each([
    [
      'an unknown service',
      istio('VirtualService', 'a', `{hosts: [reviews], http: [{${to('{host: revews}')}}]}`),
      ['SL0101 spec.http[0].route[0].destination.host'],
    ],
    [
      'an unknown port',
      istio(
        'VirtualService',
        'a',
        `{hosts: [reviews], http: [{${to('{host: reviews, port: {number: 80}}')}}]}`,
      ),
      ['SL0101 spec.http[0].route[0].destination.port.number'],
    ],
    [
      'an unknown subset',
      istio('VirtualService', 'a', `{hosts: [reviews], http: [{${to('{host: reviews, subset: v9}')}}]}`),
      ['SL1107 spec.http[0].route[0].destination.subset'],
    ],
    [
      'two owners of a host, by short and full name',
      good +
        istio(
          'VirtualService',
          'b',
          `{hosts: [reviews.default.svc.cluster.local], http: [{${to('{host: reviews}')}}]}`,
        ),
      ['SL0109 spec.hosts[0]'],
    ],
    [
      'an unreachable route',
      istio(
        'VirtualService',
        'a',
        `{hosts: [reviews], http: [{${to('{host: reviews}')}}, {match: [{uri: {prefix: /x}}], ${to('{host: reviews}')}}]}`,
      ),
      ['SL0130 spec.http[1]'],
    ],
    [
      'an ineffective match',
      istio(
        'VirtualService',
        'a',
        `{hosts: [reviews], http: [{match: [{uri: {prefix: /a}}], ${to('{host: reviews}')}}, {match: [{uri: {exact: /a/b}}, {uri: {exact: /c}}], ${to('{host: reviews}')}}]}`,
      ),
      ['SL0131 spec.http[1].match[0]'],
    ],
    [
      'an unsafe retry',
      istio(
        'VirtualService',
        'a',
        `{hosts: [reviews], http: [{retries: {attempts: 2, retryOn: "5xx,connect-failure"}, ${to('{host: reviews}')}}]}`,
      ),
      ['SL9004 spec.http[0].retries.retryOn'],
    ],
    [
      'a missing gateway',
      istio('VirtualService', 'a', `{hosts: [reviews], gateways: [gw], http: [{${to('{host: reviews}')}}]}`),
      ['SL0101 spec.gateways[0]'],
    ],
    [
      'a host no gateway serves',
      istio(
        'Gateway',
        'gw',
        '{servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [a.example.com]}]}',
      ) +
        istio(
          'VirtualService',
          'a',
          `{hosts: [b.example.com], gateways: [gw], http: [{${to('{host: reviews}')}}]}`,
        ),
      ['SL0132 spec.hosts[0]'],
    ],
    [
      'a subset of nothing',
      istio('DestinationRule', 'b', '{host: reviews, subsets: [{name: v7, labels: {version: v7}}]}'),
      ['SL0173 spec.subsets[0].labels'],
    ],
    ['a rule for nothing', istio('DestinationRule', 'b', '{host: nobody}'), ['SL0174 spec.host']],
    [
      'a subset defined twice',
      istio(
        'DestinationRule',
        'b',
        '{host: reviews.default.svc.cluster.local, subsets: [{name: v1, labels: {version: v1}}]}',
      ),
      ['SL0201 spec.subsets[0].name'],
    ],
    [
      'a port name without protocol',
      '---\napiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {selector: {app: reviews}, ports: [{name: web, port: 80}]}\n',
      ['SL0118 spec.ports[0].name'],
    ],
    [
      'a service of nobody',
      '---\napiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {selector: {app: nobody}, ports: [{name: http, port: 80}]}\n',
      ['SL0127 spec.selector'],
    ],
    [
      'a tunnel for requests, which nobody connects to',
      istio('DestinationRule', 'b', `{host: reviews, trafficPolicy: {${tunnel('x.test')}}}`),
      ['SL9015 spec.trafficPolicy.tunnel'],
    ],
    [
      'a tunnel for the connections that a route leads there',
      istio('DestinationRule', 'b', `{host: reviews, trafficPolicy: {${tunnel('x.test')}}}`) +
        istio('VirtualService', 'a', `{hosts: [x.test], tcp: [{${to('{host: reviews}')}}]}`),
      [],
    ],
    [
      'two tunnels in one route',
      istio(
        'DestinationRule',
        'b',
        `{host: reviews, trafficPolicy: {${tunnel('x.test')}}, subsets: [{name: y, labels: {version: v1}, trafficPolicy: {${tunnel('y.test')}}}, {name: x, labels: {version: v1}, trafficPolicy: {${tunnel('x.test')}}}]}`,
      ) +
        istio(
          'VirtualService',
          'a',
          '{hosts: [x.test], tcp: [{route: [{destination: {host: reviews, subset: y}, weight: 1}, {destination: {host: reviews}, weight: 1}]}, {route: [{destination: {host: reviews, subset: x}, weight: 1}, {destination: {host: reviews}, weight: 1}]}]}',
        ),
      ['SL9014 spec.tcp[0].route'],
    ],
    ['an alias of a service of the mesh', externalName('b', full('reviews')), []],
    [
      'a route to an alias, by a port and a subset of its service',
      externalName('b', full('reviews')) +
        istio(
          'VirtualService',
          'a',
          `{hosts: [x.example.com], http: [{${to('{host: b, subset: v1, port: {number: 9080}}')}}]}`,
        ),
      [],
    ],
    [
      'a route to an alias, by a port that is only its own',
      externalName('b', full('reviews'), '[{name: http, port: 80}]') +
        istio(
          'VirtualService',
          'a',
          `{hosts: [x.example.com], http: [{${to('{host: b, port: {number: 80}}')}}]}`,
        ),
      ['SL0101 spec.http[0].route[0].destination.port.number', 'SL9012 spec.ports[0].port'],
    ],
    [
      'a backend that is an alias',
      externalName('b', full('reviews')) +
        route(
          '{parentRefs: [{group: "", kind: Service, name: reviews}], rules: [{backendRefs: [{name: b, port: 9080}]}]}',
        ),
      [],
    ],
    [
      'rules for an alias',
      externalName('b', full('reviews')) +
        istio('VirtualService', 'a', `{hosts: [b], http: [{${to('{host: reviews}')}}]}`) +
        istio('DestinationRule', 'b', '{host: b, subsets: [{name: v9, labels: {version: v9}}]}') +
        route(
          '{parentRefs: [{group: "", kind: Service, name: b, port: 80}], rules: [{backendRefs: [{name: reviews, port: 9080}]}]}',
        ),
      ['SL9010 spec.hosts[0]', 'SL9010 spec.host', 'SL9010 spec.parentRefs[0].name', 'SL9001 spec.hosts[0]'],
    ],
    [
      'aliases in a circle, and one that leads into it',
      externalName('b', full('c')) + externalName('c', full('d')) + externalName('d', full('c')),
      ['SL9011 spec.externalName', 'SL9011 spec.externalName', 'SL9011 spec.externalName'],
    ],
    [
      'an alias of an alias',
      externalName('b', full('c')) + externalName('c', full('reviews').toUpperCase()),
      [],
    ],
    ['an alias by a short form', externalName('b', 'reviews.default'), ['SL9013 spec.externalName']],
    [
      'an ExternalName of the world outside',
      '---\napiVersion: v1\nkind: Service\nmetadata: {name: b}\nspec: {type: ExternalName, externalName: db.example.com}\n',
      [],
    ],
    [
      'two sidecars of a namespace',
      istio('Sidecar', 'a', '{egress: [{hosts: ["./*"]}]}') +
        istio('Sidecar', 'b', '{egress: [{hosts: ["./*"]}]}'),
      ['SL0111 metadata.name'],
    ],
    ['a name used twice', good + good, ['SL0109 spec.hosts[0]', 'SL9003 metadata.name']],
    [
      'a shadowed VirtualService',
      good +
        route(
          '{parentRefs: [{group: "", kind: Service, name: reviews}], rules: [{backendRefs: [{name: reviews, port: 9080}]}]}',
        ),
      ['SL9001 spec.hosts[0]'],
    ],
    [
      'a backend that is not there',
      route(
        '{parentRefs: [{group: "", kind: Service, name: reviews}], rules: [{backendRefs: [{name: review, port: 9080}]}]}',
      ),
      ['SL0101 spec.rules[0].backendRefs[0].name'],
    ],
    [
      'a reference that is not granted',
      '---\napiVersion: v1\nkind: Service\nmetadata: {name: x, namespace: other}\nspec: {ports: [{name: http, port: 80}]}\n' +
        route(
          '{parentRefs: [{group: "", kind: Service, name: reviews}], rules: [{backendRefs: [{name: x, namespace: other, port: 80}]}]}',
        ),
      ['SL9002 spec.rules[0].backendRefs[0].namespace'],
    ],
    [
      'an alias of a service that grants nothing',
      '---\napiVersion: v1\nkind: Service\nmetadata: {name: x, namespace: other}\nspec: {ports: [{name: http, port: 80}]}\n' +
        externalName('b', 'x.other.svc.cluster.local') +
        route(
          '{parentRefs: [{group: "", kind: Service, name: reviews}], rules: [{backendRefs: [{name: b, port: 80}]}]}',
        ),
      ['SL9002 spec.rules[0].backendRefs[0].name'],
    ],
  ])('%s', (_, text, codes) => {
    expect(codesOf(base + text).toSorted()).toEqual([...codes].toSorted());
  });

  test('says where, and what to do', () => {
    const { objects } = readObjects(
      base + istio('VirtualService', 'a', `{hosts: [reviews], http: [{${to('{host: revews}')}}]}`),
      'f.yaml',
    );
    const entries = objects.map(({ object, locate, origin }) => ({ object, locate, file: origin.file }));
    expect(analyze(entries).map(formatProblem)).toEqual([
      'f.yaml:20:63: error [SL0101] spec.http[0].route[0].destination.host: there is no service revews in namespace default (did you mean reviews?)',
    ]);
  });

  test.each([
    ['api', 'there is no service api in namespace default (did you mean api.shop?)'],
    ['cart', 'there is no service cart in namespace default (did you mean cart.shop or cart.store?)'],
    ['catr', 'there is no service catr in namespace default (did you mean cart.shop?)'],
    [
      'api.default',
      'there is no service api.default, nor api.default.svc.cluster.local (did you mean api.shop?)',
    ],
    [
      'api.default.svc.cluster.local',
      'there is no service api.default.svc.cluster.local (did you mean api.shop?)',
    ],
    ['revews', 'there is no service revews in namespace default (did you mean reviews?)'],
    ['zzzzzz', 'there is no service zzzzzz in namespace default (create the Service or a ServiceEntry)'],
    ['api.example.com', 'there is no service api.example.com (create the Service or a ServiceEntry)'],
  ])('says where %s was looked for, and in which namespace it is', (host, words) => {
    const elsewhere = (name: string, namespace: string): string =>
      `---\napiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: {ports: [{name: http, port: 80}]}\n`;
    const text =
      base +
      elsewhere('api', 'shop') +
      elsewhere('cart', 'store') +
      elsewhere('cart', 'shop') +
      istio('DestinationRule', 'r', `{host: ${host}}`) +
      istio('VirtualService', 'v', `{hosts: [reviews], http: [{${to(`{host: ${host}}`)}}]}`);
    const { objects } = readObjects(text, 'f.yaml');
    const problems = analyze(objects.map(({ object }) => ({ object })));
    expect(problems.map((one) => [one.code, `${one.message} (${one.suggestion})`]).toSorted()).toEqual([
      ['SL0101', words],
      ['SL0174', words],
    ]);
  });

  test.each([
    'galley.istio.io/analyze-suppress: IST0174',
    'sluice.dev/analyze-suppress: "SL0109, SL0174"',
    'sluice.dev/analyze-suppress: "*"',
  ])('is silenced by %s', (annotation) => {
    expect(codesOf(base + istio('DestinationRule', 'b', '{host: nobody}', `{${annotation}}`))).toEqual([]);
  });
});
