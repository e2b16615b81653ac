import { describe, expect, test } from 'bun:test';
import * as fc from 'fast-check';
import { formatProblem } from '../problem.ts';
import { readObjects } from '../read.ts';
import { validateObject } from './object.ts';
import { validObjects as objects } from './valid-objects.ts';

const read = (text: string) => readObjects(text, 'f.yaml');
const problemsOf = (text: string) => read(text).problems.map(formatProblem);

describe('what is right', () => {
  test.each(objects)('%s', (text) => {
    const { objects, problems } = read(text);
    expect(problems).toEqual([]);
    expect(objects.map((object) => object.isUsable)).toEqual([true]);
  });

  test('members that are null are not there', () => {
    const result = validateObject({
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'a', creationTimestamp: null },
      spec: null,
    });
    expect(result.problems).toEqual([]);
    expect(result.value).toEqual({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'a' } });
  });
});

describe('what is wrong', () => {
  test('all problems of an object at once, each with place, path and remedy', () => {
    const text = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: Reviews
spec:
  hosts: [reviews]
  http:
  - mtach: []
    route:
    - destination: {host: reviews}
      weight: "90"
    retries: {attempts: -1, perTryTimeout: 2 seconds}
  - fault: {delay: {fixedDelay: 1s}}
    route:
    - destination: {subset: v1}
  - route:
    - destination: {host: a}
      weight: 0
    - destination: {host: b}
      weight: 0
`;
    expect(problemsOf(text)).toEqual([
      'f.yaml:11:15: error [wrong-type] spec.http[0].route[0].weight: must be a number, found the string "90"',
      'f.yaml:12:25: error [invalid-value] spec.http[0].retries.attempts: must not be negative',
      'f.yaml:12:44: error [invalid-value] spec.http[0].retries.perTryTimeout: must be a duration such as 10s, 250ms or 1h30m',
      'f.yaml:8:5: error [unknown-field] spec.http[0].mtach: there is no such field (did you mean match?)',
      'f.yaml:15:7: error [required] spec.http[1].route[0].destination.host: is required',
      'f.yaml:4:9: error [invalid-name] metadata.name: must be lower-case letters, digits, - and ., begin and end with a letter or digit, and have at most 253 characters',
      'f.yaml:13:5: error [not-supported-yet] spec.http[1].fault: is not supported yet',
      'f.yaml:16:5: error [zero-weights] spec.http[2].route: has weights that sum to 0, so that no destination takes traffic (give each destination a weight)',
    ]);
  });

  test('unknown kinds name the nearest known one', () => {
    expect(
      problemsOf('apiVersion: networking.istio.io/v1\nkind: VirtualServce\nmetadata: {name: a}\n'),
    ).toEqual([
      'f.yaml:2:7: error [unknown-kind] kind: the kind VirtualServce (networking.istio.io/v1) is not known (did you mean VirtualService?)',
    ]);
    expect(
      problemsOf('apiVersion: networking.istio.io/v9\nkind: VirtualService\nmetadata: {name: a}\n')[0],
    ).toContain('has no version');
    expect(problemsOf('apiVersion: istio.io/v1\nkind: VirtualService\nmetadata: {name: a}\n')[0]).toContain(
      'did you mean networking.istio.io/v1?',
    );
    expect(problemsOf('kind: Service\n')[0]).toContain('apiVersion: is required');
  });

  test('kinds for later are refused by name, cluster kinds are skipped with a notice', () => {
    expect(
      problemsOf('apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a}\n'),
    ).toEqual(['f.yaml:2:7: error [not-supported-yet] kind: AuthorizationPolicy is not supported yet']);
    const deployment = read(
      'apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {anything: 1}\n',
    );
    expect(deployment.objects).toEqual([]);
    expect(deployment.problems.map((problem) => [problem.severity, problem.code])).toEqual([
      ['notice', 'skipped-kind'],
    ]);
  });

  const spec = (kind: string, text: string) =>
    `apiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: {name: a}\nspec: ${text}\n`;
  const route = (text: string) =>
    `apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a}\nspec: ${text}\n`;
  const to = 'route: [{destination: {host: a}}]';

  test.each([
    ['no routes', spec('VirtualService', '{hosts: [a]}'), 'required', 'spec'],
    ['no hosts', spec('VirtualService', `{http: [{${to}}]}`), 'required', 'spec.hosts'],
    [
      'wildcard host in the mesh',
      spec('VirtualService', `{hosts: ["*"], http: [{${to}}]}`),
      'invalid-host',
      'spec.hosts[0]',
    ],
    [
      'wildcard within a name',
      spec('VirtualService', `{hosts: ["a*.b"], http: [{${to}}]}`),
      'invalid-host',
      'spec.hosts[0]',
    ],
    [
      'route and redirect',
      spec('VirtualService', `{hosts: [a], http: [{${to}, redirect: {uri: /}}]}`),
      'conflicting-fields',
      'spec.http[0]',
    ],
    [
      'an empty route',
      spec('VirtualService', '{hosts: [a], http: [{timeout: 1s}]}'),
      'required',
      'spec.http[0]',
    ],
    [
      'look-around',
      spec('VirtualService', `{hosts: [a], http: [{match: [{uri: {regex: "(?=a)"}}], ${to}}]}`),
      'invalid-regex',
      'spec.http[0].match[0].uri.regex',
    ],
    [
      'a back-reference',
      spec('VirtualService', `{hosts: [a], http: [{match: [{uri: {regex: '(a)\\1'}}], ${to}}]}`),
      'invalid-regex',
      'spec.http[0].match[0].uri.regex',
    ],
    [
      'two forms of a match',
      spec('VirtualService', `{hosts: [a], http: [{match: [{uri: {exact: /a, prefix: /b}}], ${to}}]}`),
      'conflicting-fields',
      'spec.http[0].match[0].uri',
    ],
    [
      'upper-case header',
      spec('VirtualService', `{hosts: [a], http: [{match: [{headers: {End-User: {exact: a}}}], ${to}}]}`),
      'invalid-header',
      'spec.http[0].match[0].headers.End-User',
    ],
    [
      'an unknown retry condition',
      spec('VirtualService', `{hosts: [a], http: [{retries: {retryOn: "5xx,conect-failure"}, ${to}}]}`),
      'invalid-value',
      'spec.http[0].retries.retryOn',
    ],
    [
      'a try longer than the request',
      spec('VirtualService', `{hosts: [a], http: [{timeout: 1s, retries: {perTryTimeout: 2s}, ${to}}]}`),
      'timeout-order',
      'spec.http[0].retries.perTryTimeout',
    ],
    [
      'a header with a line break',
      spec('VirtualService', `{hosts: [a], http: [{headers: {request: {set: {a: "x\\r\\ny"}}}, ${to}}]}`),
      'invalid-header',
      'spec.http[0].headers.request.set.a',
    ],
    [
      'a framing header',
      spec('VirtualService', `{hosts: [a], http: [{headers: {request: {remove: [Content-Length]}}, ${to}}]}`),
      'invalid-header',
      'spec.http[0].headers.request.remove[0]',
    ],
    [
      'a missing group',
      spec(
        'VirtualService',
        `{hosts: [a], http: [{rewrite: {uriRegexRewrite: {match: "/(a)", rewrite: '\\2'}}, ${to}}]}`,
      ),
      'invalid-value',
      'spec.http[0].rewrite.uriRegexRewrite.rewrite',
    ],
    [
      'a redirect status',
      spec('VirtualService', '{hosts: [a], http: [{redirect: {uri: /, redirectCode: 200}}]}'),
      'invalid-value',
      'spec.http[0].redirect.redirectCode',
    ],
    [
      'a gateway that does not run',
      spec('VirtualService', `{hosts: [a], gateways: [gw], http: [{${to}}]}`),
      'gateway-not-running',
      'spec.gateways[0]',
    ],
    [
      'two subsets of one name',
      spec('DestinationRule', '{host: a, subsets: [{name: v1}, {name: v1}]}'),
      'duplicate-name',
      'spec.subsets[1].name',
    ],
    [
      'a port with settings twice',
      spec(
        'DestinationRule',
        '{host: a, trafficPolicy: {portLevelSettings: [{port: {number: 1}}, {port: {number: 1}}]}}',
      ),
      'duplicate-port',
      'spec.trafficPolicy.portLevelSettings[1].port.number',
    ],
    [
      'an upgrade beside the protocol of the client',
      spec(
        'DestinationRule',
        '{host: a, trafficPolicy: {connectionPool: {http: {useClientProtocol: true, h2UpgradePolicy: UPGRADE}}}}',
      ),
      'ineffective-field',
      'spec.trafficPolicy.connectionPool.http.h2UpgradePolicy',
    ],
    [
      'a tunnel by another method',
      spec(
        'DestinationRule',
        '{host: a, trafficPolicy: {tunnel: {protocol: GET, targetHost: a.b, targetPort: 1}}}',
      ),
      'invalid-value',
      'spec.trafficPolicy.tunnel.protocol',
    ],
    [
      'a tunnel to no host',
      spec('DestinationRule', '{host: a, trafficPolicy: {tunnel: {targetHost: "*.b", targetPort: 1}}}'),
      'invalid-host',
      'spec.trafficPolicy.tunnel.targetHost',
    ],
    [
      'a tunnel to no port',
      spec(
        'DestinationRule',
        '{host: a, subsets: [{name: v, trafficPolicy: {tunnel: {targetHost: 1.2.3.4, targetPort: 0}}}]}',
      ),
      'invalid-value',
      'spec.subsets[0].trafficPolicy.tunnel.targetPort',
    ],
    [
      'a tunnel and a PROXY header',
      spec(
        'DestinationRule',
        '{host: a, trafficPolicy: {proxyProtocol: {version: V1}, tunnel: {targetHost: a.b, targetPort: 1}}}',
      ),
      'conflicting-fields',
      'spec.trafficPolicy.tunnel',
    ],
    [
      'outlier detection',
      spec(
        'DestinationRule',
        '{host: a, subsets: [{name: v1, trafficPolicy: {outlierDetection: {interval: 1s}}}]}',
      ),
      'not-supported-yet',
      'spec.subsets[0].trafficPolicy.outlierDetection',
    ],
    [
      'the interval of a retry budget',
      spec('DestinationRule', '{host: a, trafficPolicy: {retryBudget: {percent: 10, budgetInterval: 5s}}}'),
      'not-supported-yet',
      'spec.trafficPolicy.retryBudget.budgetInterval',
    ],
    [
      'STATIC without endpoints',
      spec('ServiceEntry', '{hosts: [a.b], ports: [{number: 1, name: a}], resolution: STATIC}'),
      'required',
      'spec.endpoints',
    ],
    [
      'STATIC with a name',
      spec(
        'ServiceEntry',
        '{hosts: [a.b], ports: [{number: 1, name: a}], resolution: STATIC, endpoints: [{address: a.b}]}',
      ),
      'invalid-value',
      'spec.endpoints[0].address',
    ],
    [
      'endpoints of NONE',
      spec('ServiceEntry', '{hosts: [a.b], ports: [{number: 1, name: a}], endpoints: [{address: 1.1.1.1}]}'),
      'conflicting-fields',
      'spec.resolution',
    ],
    [
      'DYNAMIC_DNS',
      spec('ServiceEntry', '{hosts: ["*.b"], ports: [{number: 1, name: a}], resolution: DYNAMIC_DNS}'),
      'not-supported-yet',
      'spec.resolution',
    ],
    [
      'a port out of range',
      spec('ServiceEntry', '{hosts: [a.b], ports: [{number: 70000, name: a}]}'),
      'invalid-value',
      'spec.ports[0].number',
    ],
    [
      'egress without namespace',
      spec('Sidecar', '{egress: [{hosts: [a.b]}]}'),
      'invalid-host',
      'spec.egress[0].hosts[0]',
    ],
    ['ingress', spec('Sidecar', '{ingress: [{port: {number: 1}}]}'), 'not-supported-yet', 'spec.ingress'],
    [
      'TLS of a gateway',
      spec(
        'Gateway',
        '{servers: [{port: {number: 443, name: a, protocol: HTTP}, hosts: ["*"], tls: {mode: SIMPLE}}]}',
      ),
      'not-supported-yet',
      'spec.servers[0].tls',
    ],
    [
      'a probe in two ways',
      spec('WorkloadGroup', '{template: {}, probe: {exec: {command: [a]}, tcpSocket: {port: 1}}}'),
      'conflicting-fields',
      'spec.probe',
    ],
    [
      'redirect and backends',
      route(
        '{rules: [{filters: [{type: RequestRedirect, requestRedirect: {hostname: a.b}}], backendRefs: [{name: a, port: 1}]}]}',
      ),
      'conflicting-fields',
      'spec.rules[0].backendRefs',
    ],
    [
      'a prefix replaced without prefix',
      route(
        '{rules: [{matches: [{path: {type: Exact, value: /a}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}}], backendRefs: [{name: a, port: 1}]}]}',
      ),
      'conflicting-fields',
      'spec.rules[0].filters[0].urlRewrite.path',
    ],
    [
      'a filter without settings',
      route('{rules: [{filters: [{type: URLRewrite}], backendRefs: [{name: a, port: 1}]}]}'),
      'required',
      'spec.rules[0].filters[0].urlRewrite',
    ],
    [
      'a mirror',
      route(
        '{rules: [{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: a}}}], backendRefs: [{name: a, port: 1}]}]}',
      ),
      'not-supported-yet',
      'spec.rules[0].filters[0].requestMirror',
    ],
    [
      'a duration of the other API',
      route('{rules: [{timeouts: {request: 1.5s}, backendRefs: [{name: a, port: 1}]}]}'),
      'invalid-value',
      'spec.rules[0].timeouts.request',
    ],
    [
      'a try longer than the request',
      route('{rules: [{timeouts: {request: 1s, backendRequest: 2s}, backendRefs: [{name: a, port: 1}]}]}'),
      'timeout-order',
      'spec.rules[0].timeouts.backendRequest',
    ],
    [
      'a backend without port',
      route('{rules: [{backendRefs: [{name: a}]}]}'),
      'required',
      'spec.rules[0].backendRefs[0].port',
    ],
    [
      'a path that is not one',
      route('{rules: [{matches: [{path: {value: a//b}}], backendRefs: [{name: a, port: 1}]}]}'),
      'invalid-value',
      'spec.rules[0].matches[0].path.value',
    ],
    [
      'seventeen rules',
      route(`{rules: [${Array(17).fill('{backendRefs: [{name: a, port: 1}]}').join(',')}]}`),
      'invalid-value',
      'spec.rules',
    ],
    [
      'a session',
      route('{rules: [{sessionPersistence: {type: Cookie}, backendRefs: [{name: a, port: 1}]}]}'),
      'not-supported-yet',
      'spec.rules[0].sessionPersistence',
    ],
    [
      'the same parent twice',
      route('{parentRefs: [{name: a}, {name: a}], rules: [{backendRefs: [{name: a, port: 1}]}]}'),
      'duplicate-parent',
      'spec.parentRefs[1]',
    ],
    [
      'ports without names',
      'apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 1}, {name: b, port: 2}]}',
      'required',
      'spec.ports[0].name',
    ],
    [
      'a label value',
      'apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {a: "b c"}}',
      'invalid-label',
      'metadata.labels.a',
    ],
    [
      'a namespaced namespace',
      'apiVersion: v1\nkind: Namespace\nmetadata: {name: a, namespace: b}',
      'invalid-name',
      'metadata.namespace',
    ],
  ])('%s', (_, text, code, path) => {
    expect(read(text).problems.map((problem) => [problem.code, problem.path])).toContainEqual([code, path]);
  });

  test('a deprecated field works and says what to write', () => {
    const text = 'apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {serviceAccount: x}\n';
    const result = read(text);
    expect(result.objects[0]?.isUsable).toBe(true);
    expect(result.problems.map(formatProblem)).toEqual([
      'f.yaml:4:8: warning [deprecated] spec.serviceAccount: is deprecated (use serviceAccountName)',
    ]);
  });
});

describe('any value', () => {
  const parsed = objects.map((text) => read(text).objects[0]!.object);

  test('in any place never makes validation throw, and every error has a place', () => {
    const intruder = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom('', 0, -1, [], {}, [[]], 'a/b', '*'),
      fc.string(),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...parsed),
        fc.array(fc.nat(), { minLength: 1, maxLength: 8 }),
        intruder,
        (object, steps, value) => {
          const changed = structuredClone(object) as unknown as Record<string, unknown>;
          plant(changed, steps, value);
          const { problems, isUsable } = validateObject(changed, () => ({ line: 1, column: 1 }));
          expect(isUsable).toBe(!problems.some((problem) => problem.severity === 'error'));
          for (const problem of problems) expect(problem.line).toBe(1);
        },
      ),
      { numRuns: 3000, seed: 3 },
    );
  });

  test('of any shape is answered with problems', () => {
    fc.assert(
      fc.property(fc.anything(), (value) => {
        expect(validateObject(value).isUsable).toBe(false);
      }),
      { numRuns: 300, seed: 5 },
    );
  });
});

/** Replaces what is found by following the steps, each taken modulo the number of members. */
function plant(root: Record<string, unknown>, steps: readonly number[], value: unknown): void {
  let at = root;
  for (const [depth, step] of steps.entries()) {
    const keys = Object.keys(at).filter((key) => depth > 0 || (key !== 'apiVersion' && key !== 'kind'));
    const key = keys[step % Math.max(1, keys.length)];
    if (key === undefined) return;
    const next = at[key];
    if (depth === steps.length - 1 || typeof next !== 'object' || next === null) {
      at[key] = value;
      return;
    }
    at = next as Record<string, unknown>;
  }
}
