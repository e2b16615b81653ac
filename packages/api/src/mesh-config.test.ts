import { describe, expect, test } from 'bun:test';
import { renderConfigDocs } from './config-docs.ts';
import { withDefaults } from './defaults/apply.ts';
import { meshSettings, readSluiceFile } from './mesh-config.ts';
import { formatProblem } from './problem.ts';
import { readObjects } from './read.ts';
import { supportTable } from './support/lookup.ts';
import { laterFields } from './support/table.ts';
import { regexProblem } from './validate/regex.ts';
import { splitCommand } from './workload-config.ts';

describe('sluice.yaml', () => {
  test('is settled with every default', () => {
    const { config, problems } = readSluiceFile(
      'workloads:\n  a: {command: "bun run \'x y\'", port: 9080, env: {N: 1}, alternatives: [{requires: go, command: [go, run]}]}\n',
      's.yaml',
    );
    expect(problems).toEqual([]);
    expect(config?.mesh).toEqual(meshSettings());
    expect(config?.workloads[0]).toMatchObject({
      name: 'a',
      namespace: 'default',
      commands: [
        { argv: ['go', 'run'], requires: ['go'], env: { N: '1' } },
        { argv: ['bun', 'run', 'x y'], requires: [] },
      ],
      ports: [{ name: 'http', port: 9080, protocol: 'http' }],
      labels: { app: 'a', version: 'v1' },
      readiness: { check: { type: 'tcp' }, periodMs: 750, failureThreshold: 3 },
    });
  });

  test("a port's name tells its protocol up to the first dash, gRPC-Web's with one", () => {
    const ports =
      '[{name: grpc-web, port: 1}, {name: grpc-web-shop, port: 2}, {name: grpc-a, port: 3}, {name: tcp, port: 4}]';
    const { config } = readSluiceFile(`workloads: {a: {command: x, ports: ${ports}}}`, 's.yaml');
    expect(config?.workloads[0]?.ports.map(({ protocol }) => protocol)).toEqual([
      'grpc-web',
      'grpc-web',
      'grpc',
      'tcp',
    ]);
  });

  test('gRPC readiness is given as true, a port, a service, or both', () => {
    const checkOf = (grpc: string): unknown =>
      readSluiceFile(`workloads: {a: {command: x, port: 1, readiness: {grpc: ${grpc}}}}`, 's.yaml').config
        ?.workloads[0]?.readiness.check;
    expect(checkOf('true')).toEqual({ type: 'grpc', port: undefined, service: '' });
    expect(checkOf('9000')).toEqual({ type: 'grpc', port: 9000, service: '' });
    expect(checkOf('shop.Cart')).toEqual({ type: 'grpc', port: undefined, service: 'shop.Cart' });
    expect(checkOf('{port: 9000, service: shop.Cart}')).toEqual({
      type: 'grpc',
      port: 9000,
      service: 'shop.Cart',
    });
  });

  test('an empty file is a mesh without workloads', () => {
    expect(readSluiceFile('', 's.yaml').config).toMatchObject({
      resources: ['mesh'],
      workloads: [],
      ports: { api: 15080 },
    });
  });

  test('an application that may start before its sidecar is refused by name, not given another meaning', () => {
    const text = 'meshConfig: {defaultConfig: {holdApplicationUntilProxyStarts: false}}\n';
    expect(readSluiceFile(text, 's.yaml').problems.map(formatProblem)).toEqual([
      's.yaml:1:63: error [not-supported-yet] meshConfig.defaultConfig.holdApplicationUntilProxyStarts: false is not supported yet',
    ]);
    expect(readSluiceFile(text.replace('false', 'true'), 's.yaml').problems).toEqual([]);
  });

  test('reports everything that is wrong, with places', () => {
    const text =
      'meshConfig: {enableTracing: true, acessLogFile: x}\nworkloads:\n- {name: a, port: 99999}\n- {command: x}\n- {name: c, command: x, dependsOn: [c, zz]}\nports: {api: 15010}\n';
    const { config, problems } = readSluiceFile(text, 's.yaml');
    expect(config).toBeUndefined();
    expect(problems.map(formatProblem)).toEqual([
      's.yaml:1:35: error [unknown-field] meshConfig.acessLogFile: there is no such field (did you mean accessLogFile?)',
      's.yaml:3:19: error [invalid-value] workloads[0].port: must be a port number from 1 to 65535',
      's.yaml:4:3: error [required] workloads[1].name: is required',
      's.yaml:1:14: error [not-supported-yet] meshConfig.enableTracing: is not supported yet',
      's.yaml:3:1: error [unknown-workload] workloads: c depends on zz, which there is not',
      's.yaml:3:1: error [cyclic-dependency] workloads: c depends on itself',
      's.yaml:6:14: error [duplicate-port] ports.api: 15010 is the port of xds already',
    ]);
  });

  test('command lines are split as a shell would', () => {
    expect(splitCommand(`a "b c" 'd "e' f\\ g h="i j"`)).toEqual(['a', 'b c', 'd "e', 'f g', 'h=i j']);
  });
});

describe('TLS of the mesh', () => {
  const read = (meshConfig: string) => readSluiceFile(`meshConfig: ${meshConfig}`, 's.yaml');

  test('has its defaults, and takes what is written', () => {
    expect(read('{}').config?.mesh).toMatchObject({
      autoMtls: true,
      meshTls: { minVersion: 'TLSv1_2', cipherSuites: [], ecdhCurves: [] },
      trustDomainAliases: [],
      protocolDetectionTimeoutMs: 50,
    });
    const written = read(
      '{enableAutoMtls: false, meshMTLS: {minProtocolVersion: TLSV1_3}, tlsDefaults: {cipherSuites: [AES128-SHA], ecdhCurves: [P-256]}, trustDomainAliases: [old.example], protocolDetectionTimeout: 0s}',
    );
    expect(written.config?.mesh).toMatchObject({
      autoMtls: false,
      meshTls: { minVersion: 'TLSv1_3' },
      tlsDefaults: { cipherSuites: ['AES128-SHA'], ecdhCurves: ['P-256'] },
      trustDomainAliases: ['old.example'],
      protocolDetectionTimeoutMs: 0,
    });
  });

  test.each([
    ['{meshMTLS: {cipherSuites: [TLS_AES_128_GCM_SHA256]}}', 'the suites of TLS 1.3 cannot be chosen'],
    ['{tlsDefaults: {cipherSuites: [RC4-MD5]}}', 'RC4-MD5 is not a suite of the proxies'],
    ['{tlsDefaults: {ecdhCurves: [B-571]}}', 'B-571 is not a curve of the proxies'],
    ['{trustDomainAliases: ["a b"]}', 'is not a host name'],
  ])('%s is refused', (text, words) => {
    expect(read(text).problems.map((problem) => problem.message)).toEqual([expect.stringContaining(words)]);
  });
});

test('every entry of the support table names a field that exists', () => {
  const known = new Set(supportTable().map((entry) => `${entry.kind}#${entry.path}`));
  const listed = Object.entries(laterFields).flatMap(([kind, fields]) =>
    fields.map((field) => `${kind}#${field.path}`),
  );
  expect(listed.filter((field) => !known.has(field))).toEqual([]);
});

test('the support table says what is honoured, what is not yet, and what is not ours', () => {
  const of = (kind: string, path: string) =>
    supportTable().find((entry) => entry.kind === kind && entry.path === path)?.support;
  expect(of('networking.istio.io/VirtualService', 'spec.http[].timeout')).toBe('honoured');
  expect(of('networking.istio.io/VirtualService', 'spec.http[].fault.delay.fixedDelay')).toBe('later');
  expect(of('networking.istio.io/VirtualService', 'spec.tcp[].route')).toBe('honoured');
  expect(of('/Pod', 'spec.containers[].image')).toBe('unused');
  expect(of('security.istio.io/AuthorizationPolicy', '')).toBe('later');
});

test('the reference names every field once, in tables that hold', () => {
  const docs = renderConfigDocs();
  expect(docs).toContain('| `spec.http[].retries.attempts` | integer | 2 |');
  expect(docs).toContain('| `spec.http[].fault` | object |  | not yet |');
  const rows = docs.split('\n').filter((line) => line.startsWith('| `'));
  expect(rows.every((line) => line.replaceAll('\\|', '').split('|').length === 7)).toBe(true);
});

test('defaults are filled in on a copy', () => {
  const text =
    'apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: a}\nspec: {parentRefs: [{name: g}], rules: [{backendRefs: [{name: b, port: 1}]}]}\n';
  const object = readObjects(text, 'f').objects[0]!.object;
  const before = structuredClone(object);
  const once = withDefaults(object);
  expect(object).toEqual(before);
  expect(once).toMatchObject({
    metadata: { namespace: 'default' },
    spec: {
      parentRefs: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway' }],
      rules: [
        {
          matches: [{ path: { type: 'PathPrefix', value: '/' } }],
          backendRefs: [{ kind: 'Service', weight: 1 }],
        },
      ],
    },
  });
  expect(withDefaults(once)).toEqual(once);
});

test.each([
  ['^/api/v[0-9]+/.*$', undefined],
  ['(?i)(?P<name>a|b)*?[[:alpha:]]\\pN\\Qa(b\\E', undefined],
  ['a{2,3}{', undefined],
  ['(?=a)', 'look-around'],
  ['(?<!a)b', 'look-around'],
  ['(a)\\1', 'back-reference'],
  ['(?>a)', 'atomic'],
  ['a++', 'repetition'],
  ['*a', 'nothing before'],
  ['(a', 'without its )'],
  ['a)', 'without its ('],
  ['[a', 'without its ]'],
  ['a{1001}', 'more than 1000'],
  ['a\\', 'backslash'],
  ['[z-a]', 'reversed range'],
])('the regular expression %s', (pattern, words) => {
  const problem = regexProblem(pattern);
  if (words === undefined) expect(problem).toBeUndefined();
  else expect(problem).toContain(words);
});
