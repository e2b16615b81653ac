/** Parts of commands that need no mesh: who is meant, what is shown, and the scripts for shells. */
import { describe, expect, test } from 'bun:test';
import { appendFileSync, mkdirSync, renameSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Registration } from '@sluice/api';
import { makeTempDir } from '@sluice/testkit';
import { parseArgs } from '../args/parse.ts';
import type { EdgeView, IdentityView, InstanceView, ProxyView } from '../mesh/views.ts';
import { renderEdges } from '../output/edge-rows.ts';
import { readObserved } from '../output/observed-calls.ts';
import { createPalette } from '../output/palette.ts';
import { maskSecrets } from '../output/secret-text.ts';
import { checkCertificates } from './check.ts';
import { renderCompletion, shells } from './completion.ts';
import { renderDescription } from './describe.ts';
import { pickInstance } from './find-instance.ts';
import { commands } from './list.ts';
import { LogTail } from '../up/log-tail.ts';
import { chooseLogs } from './logs.ts';
import { readResourceRefs } from './resource-args.ts';
import { readWorkload } from './run.ts';
import { configurationTroubles, isTroubled, statusCells, statusRows } from './status.ts';

function instance(name: string, more: Partial<Registration> = {}): InstanceView {
  const registration = {
    name,
    namespace: 'default',
    labels: {},
    ports: [],
    adminPort: 1,
    ...more,
  } as unknown as Registration;
  return {
    instance: `${name}.${registration.namespace}`,
    registration,
    isHealthy: true,
    healthMessage: '',
    isRevoked: false,
    registeredAt: '',
    silentMs: 0,
  };
}

function proxy(name: string, state: 'SYNCED' | 'NACK' | 'STALE', error = ''): ProxyView {
  const type = { type: 'rds', state, sentVersion: '2', ackedVersion: '1', error, nackedResources: ['80'] };
  return {
    nodeId: `sidecar~${name}`,
    instance: name,
    namespace: 'default',
    workload: 'w',
    version: '0.1.0',
    userAgent: '',
    adminPort: 9,
    protocol: 'sotw',
    types: [type],
  };
}

describe('resources', () => {
  const names = (...words: string[]) =>
    readResourceRefs(words).map(({ kind, name }) => `${kind.kind} ${name ?? '*'}`);

  test('go by plural, singular, short name, group, lists and pairs', () => {
    expect(names('vs')).toEqual(['VirtualService *']);
    expect(names('virtualservice', 'a', 'b')).toEqual(['VirtualService a', 'VirtualService b']);
    expect(names('svc,dr')).toEqual(['Service *', 'DestinationRule *']);
    expect(names('vs/a', 'dr/b')).toEqual(['VirtualService a', 'DestinationRule b']);
    expect(readResourceRefs(['gateways.gateway.networking.k8s.io'])[0]?.kind.group).toBe(
      'gateway.networking.k8s.io',
    );
    expect(names('all')).toContain('HTTPRoute *');
  });

  test.each([
    [[], /say which kind/],
    [['vz'], /did you mean vs\?/],
    [['qqqqqqqqqqqq'], /there are services, (?!.*(gateways,).*\1)/],
    [['deployments'], /a mesh has no use/],
    [['authorizationpolicies'], /not supported yet/],
    [['vs/a', 'dr'], /then every argument must be/],
    [['vs/'], /lacks a name/],
  ] as const)('%p is a mistake', (words, message) => expect(() => readResourceRefs(words)).toThrow(message));
});

describe('instances', () => {
  const all = [
    instance('api-1', { replicaOf: 'api' }),
    instance('api-0', { replicaOf: 'api' }),
    instance('web'),
    instance('web', { namespace: 'shop' }),
  ];

  test('go by name, by workload (the first replica), and by both', () => {
    expect(pickInstance(all, 'web', undefined).instance).toBe('web.default');
    expect(pickInstance(all, 'web', 'shop').instance).toBe('web.shop');
    expect(pickInstance(all, 'web.shop', undefined).instance).toBe('web.shop');
    expect(pickInstance(all, 'api', undefined).instance).toBe('api-0.default');
    expect(pickInstance(all, 'api/api-1', undefined).instance).toBe('api-1.default');
    expect(() => pickInstance(all, 'wbe', undefined)).toThrow('did you mean web?');
    expect(() => pickInstance([], 'web', undefined)).toThrow('nothing is registered');
  });

  test('are shown by one word of state, or by what each type lacks', () => {
    const rows = statusRows(
      [proxy('web.default', 'SYNCED'), proxy('api-0.default', 'NACK')],
      all.slice(1, 3),
    );
    expect(rows.map((row) => statusCells(row, false).slice(0, 3))).toEqual([
      ['api-0', 'default', 'NACK RDS'],
      ['web', 'default', 'SYNCED'],
    ]);
    expect(rows.map((row) => statusCells(row, true).slice(2, 6))[0]).toEqual([
      'NOT SENT',
      'NOT SENT',
      'NOT SENT',
      'NACK',
    ]);
    const missing = statusRows([], all.slice(2, 3));
    expect(missing.map((row) => statusCells(row, false)[2])).toEqual(['NOT CONNECTED']);
  });

  test('without a certificate in force are told; those without a sidecar, and the revoked, are not', () => {
    const certificate = { identity: 'i', instance: 'web.default', renewalBy: '2030-01-01', revokedAt: null };
    const view = {
      now: '2026-01-01',
      expiring: [],
      certificates: [
        certificate,
        { ...certificate, instance: '', namespace: 'default', serviceAccount: 'shared' },
      ],
    } as unknown as IdentityView;
    const living = [
      instance('web'),
      instance('late'),
      { ...instance('gone'), isRevoked: true },
      instance('envoy'),
      instance('pod', { serviceAccount: 'shared' }),
      instance('bare', { labels: { 'sidecar.istio.io/inject': 'false' } }),
    ];
    const [has] = checkCertificates(view, living, new Set(['envoy.default']));
    expect(has).toMatchObject({ state: 'failed' });
    expect(has?.hint).toContain('late.default has no certificate in force');
    expect(has?.hint).not.toMatch(/web|gone|bare|envoy|pod/);
    expect(checkCertificates(view, living.slice(0, 1), new Set()).map(({ state }) => state)).toEqual([
      'fine',
      'fine',
      'fine',
    ]);
  });

  test('what files and resources have wrong is told, the first ten of it', () => {
    const trouble = (name: string) => ({
      name: `networking.istio.io/VirtualService/default/${name}`,
      origin: 'API',
      condition: 'ResolvedRefs',
      reason: 'SubsetNotFound',
      message: 'no subset v9',
    });
    const shown = Array.from({ length: 12 }, (_, at) => trouble(`r${at}`));
    const lines = configurationTroubles(
      {
        fileProblems: [
          { code: 'syntax', severity: 'error', message: 'is broken', path: '', file: '/m/a.yaml', line: 3 },
          { code: 'x', severity: 'notice', message: 'is odd', path: '', file: '/m/a.yaml', line: 4 },
        ],
        troubles: { total: 40, shown },
      },
      createPalette(false),
    );
    expect(lines.slice(0, 2)).toEqual([
      'file /m/a.yaml:3:1: error [syntax] is broken',
      'resource networking.istio.io/VirtualService/default/r0: SubsetNotFound: no subset v9',
    ]);
    expect(lines).toHaveLength(11);
    expect(lines.at(-1)).toStartWith('and 31 more');
  });

  test('are in trouble while their certificate is revoked', () => {
    const rows = statusRows([proxy('web.default', 'SYNCED')], [{ ...instance('web'), isRevoked: true }]);
    expect(rows.map((row) => isTroubled(row))).toEqual([true]);
  });

  test('are in trouble when their proxy refuses or is missing; STALE passes by itself', () => {
    const rows = statusRows(
      [
        proxy('web.default', 'SYNCED'),
        proxy('api-0.default', 'NACK', 'no such cluster'),
        proxy('foreign', 'STALE'),
      ],
      [...all.slice(0, 3), instance('bare', { labels: { 'sidecar.istio.io/inject': 'false' } })],
    );
    expect(rows.map((row) => [row.name, isTroubled(row)])).toEqual([
      ['api-0', true],
      ['api-1', true],
      ['foreign', false],
      ['web', false],
    ]);
  });
});

test('a description says where a resource comes from, what became of it, and who refuses it', () => {
  const text = renderDescription({
    object: {
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: {
        name: 'reviews',
        namespace: 'default',
        annotations: { 'kubectl.kubernetes.io/last-applied-configuration': 'x' },
      },
      spec: { hosts: ['reviews'] },
    },
    view: {
      key: { group: 'networking.istio.io', kind: 'VirtualService', namespace: 'default', name: 'reviews' },
      origin: 'mesh/a.yaml:3:1',
      generation: 2,
      isCurrent: false,
      isServing: true,
      problems: [
        { code: 'SL0101', severity: 'error', message: 'there is no service', path: 'spec.hosts[0]' },
      ],
      conditions: [{ type: 'Accepted', status: 'False', reason: 'Invalid', message: 'see problems' }],
    },
    service: undefined,
    proxies: [
      proxy('web.default', 'NACK', 'route reviews: cluster is missing'),
      proxy('api.default', 'NACK', 'something else'),
    ],
    edges: [],
  });
  expect(text).toContain('Origin:      mesh/a.yaml:3:1');
  expect(text).toContain('an older generation than 2');
  expect(text).toContain('error [SL0101] spec.hosts[0]: there is no service');
  expect(text).toMatch(/Accepted +False +Invalid: see problems/);
  expect(text).toContain('web.default (RDS): route reviews: cluster is missing');
  expect(text).not.toContain('something else');
  expect(text).not.toContain('last-applied');
});

test('a Secret is described by its sizes, and a policy by what it decides', () => {
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'db', namespace: 'default' },
    type: 'kubernetes.io/tls',
    data: { 'tls.key': btoa('secret text') },
  };
  const edge = {
    client: { workload: 'web', namespace: 'default', account: 'web' },
    service: 'api.default.svc.cluster.local',
    port: 80,
    subset: '',
    security: 'mutual-tls' as const,
    reason: 'STRICT',
  };
  const text = renderDescription({
    object: secret,
    view: undefined,
    service: undefined,
    proxies: [],
    edges: [edge],
  });
  expect(text).toContain('tls.key: 11 bytes');
  expect(text).not.toContain(secret.data['tls.key']);
  expect(text).toContain('web.default → api.default.svc.cluster.local:80  mutual TLS: STRICT');
  const { before, after } = maskSecrets(secret, { ...secret, data: { 'tls.key': btoa('other'), x: 'eA==' } });
  expect(before).toMatchObject({ data: { 'tls.key': '*** (before)' } });
  expect(after).toMatchObject({ data: { 'tls.key': '*** (after)', x: '*** (after)' } });
});

describe('edges', () => {
  const edge = (workload: string, security: 'mutual-tls' | 'plaintext'): EdgeView => ({
    client: { workload, namespace: 'default', account: `${workload}-account` },
    service: 'api.default.svc.cluster.local',
    port: 80,
    subset: '',
    security,
    reason: 'because',
  });
  const labels = (reporter: string, principal: string, policy: string): string =>
    `{reporter="${reporter}",source_principal="${principal}",destination_service="api.default.svc.cluster.local",connection_security_policy="${policy}"}`;
  const caller = 'spiffe://cluster.local/ns/default/sa/web-account';

  test('say what sidecars saw beside what is configured, and count clients that are alike', () => {
    const page = [
      `istio_requests_total${labels('destination', caller, 'mutual_tls')} 12`,
      `istio_requests_total${labels('source', 'unknown', 'unknown')} 13`,
      `istio_tcp_connections_opened_total${labels('destination', 'unknown', 'none')} 7`,
      'sluice_unmatched_connections_total{listener="in",destination_port="8080",transport="raw_buffer"} 2',
      'sluice_unmatched_connections_total{listener="in",destination_port="8080",transport="tls"} 1',
    ].join('\n');
    const others = ['job', 'cron', 'batch', 'test'].map((name) => edge(name, 'plaintext'));
    const text = renderEdges(
      [edge('web', 'mutual-tls'), ...others],
      readObserved([{ instance: 'api-0.default', text: page }]),
      { palette: createPalette(false), columns: 0 },
    );
    expect(text).toMatch(/web\.default +api\S+:80 +mutual TLS +12 +because/);
    expect(text).toMatch(/job\.default, cron\.default and 2 more +api\S+:80 +plaintext +- +because/);
    expect(text).toContain('1 of 5 edges are mutual TLS');
    expect(text).toContain('plaintext: api.default.svc.cluster.local took 7 calls of unknown callers');
    expect(text).toContain(
      'refused: api-0.default closed 2 plaintext connections to port 8080 that it does not take',
    );
    expect(text).toContain(
      'refused: api-0.default closed 1 TLS connection to port 8080 that it does not take',
    );
  });
});

describe('run', () => {
  const flags = commands.find(({ name }) => name === 'run')?.flags ?? [];
  const read = (...words: string[]) => readWorkload(parseArgs(words, flags));

  test('takes its workload from flags', () => {
    const workload = read(
      '--name',
      'shop',
      '-n',
      'books',
      '--port',
      'http:8080,grpc',
      '--labels',
      'app=store,tier=front',
      '--readiness',
      'http:/up',
      '--',
      'bun',
      'shop.ts',
    );
    expect(workload).toMatchObject({
      name: 'shop',
      namespace: 'books',
      restart: 'never',
      labels: { app: 'store', tier: 'front', version: 'v1' },
    });
    expect(workload.ports.map(({ name, targetPort }) => [name, targetPort])).toEqual([
      ['http', 8080],
      ['grpc', undefined],
    ]);
    expect(workload.readiness.check).toMatchObject({ type: 'http', path: '/up' });
    expect(read('--', '/usr/bin/My_Tool').name).toBe('my-tool');
  });

  test.each([
    [[], /after two dashes/],
    [['--port', 'x:y', '--', 'a'], /is not a port/],
    [['--labels', 'x', '--', 'a'], /is not KEY=VALUE/],
    [['--readiness', 'maybe', '--', 'a'], /is not understood/],
  ] as const)('%p is a mistake', (words, message) => expect(() => read(...words)).toThrow(message));
});

describe('logs', () => {
  test('are chosen by instance, workload, or all of them', () => {
    const logs = makeTempDir();
    for (const kind of ['apps', 'proxies']) mkdirSync(join(logs, kind));
    for (const name of ['api-0', 'api-1', 'web']) writeFileSync(join(logs, 'apps', `${name}.log`), '');
    const names = (word?: string) => chooseLogs(logs, word, false).map(({ name }) => name);
    expect(names()).toEqual(['api-0', 'api-1', 'web']);
    expect(names('api')).toEqual(['api-0', 'api-1']);
    expect(names('api/api-1')).toEqual(['api-1']);
    expect(names('control')).toEqual(['control']);
    expect(() => names('wbe')).toThrow('did you mean web?');
    expect(() => chooseLogs(join(logs, 'none'), undefined, true)).toThrow('there are no logs');
    // What an application never wrote is not there; that it runs is known from its sidecar.
    writeFileSync(join(logs, 'proxies', 'silent.log'), '');
    expect(names('silent')).toEqual(['silent']);
    expect(names()).toContain('silent');
  });

  test('are followed across growth, emptying and replacement', () => {
    const path = join(makeTempDir(), 'a.log');
    writeFileSync(path, 'one\ntwo\nthree\n');
    const lines: string[] = [];
    const tail = new LogTail({ name: 'a', path }, (_, line) => lines.push(line));
    tail.begin(2);
    expect(lines).toEqual(['two', 'three']);
    appendFileSync(path, 'fo');
    tail.look();
    appendFileSync(path, 'ur\n');
    tail.look();
    truncateSync(path, 0);
    tail.look();
    appendFileSync(path, 'five\n');
    tail.look();
    renameSync(path, `${path}.1`);
    writeFileSync(path, 'six is longer than before\n');
    tail.look();
    expect(lines.slice(2)).toEqual(['four', 'five', 'six is longer than before']);
  });
});

describe('completion', () => {
  for (const shell of shells) {
    const check = { bash: ['bash', '-n'], zsh: ['zsh', '-n'], fish: ['fish', '-n'] }[shell];
    test.if(Bun.which(check[0] ?? '') !== null)(`the script for ${shell} is one`, () => {
      const path = join(makeTempDir(), 'completion');
      writeFileSync(path, renderCompletion(shell, commands));
      const result = Bun.spawnSync([...check, path]);
      expect(result.stderr.toString()).toBe('');
      expect(result.exitCode).toBe(0);
    });
  }

  test('bash completes commands, flags, values and kinds', () => {
    const complete = (...words: string[]): string[] => {
      const script = `${renderCompletion('bash', commands)}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _sluice; echo "\${COMPREPLY[@]}"`;
      return Bun.spawnSync(['bash', '-c', script]).stdout.toString().trim().split(' ');
    };
    expect(complete('sluice', 'proxy-')).toEqual(['proxy-config']);
    expect(complete('sluice', 'get', 'virt')).toEqual(['virtualservices']);
    expect(complete('sluice', 'get', '--wat')).toEqual(['--watch']);
    expect(complete('sluice', 'get', 'vs', '-o', 'ya')).toEqual(['yaml']);
    expect(complete('sluice', 'proxy-config', 'cl')).toEqual(['clusters']);
  });
});

test('every command has a summary, and flags that do not contradict each other', () => {
  for (const { name, summary, flags } of commands) {
    expect(summary.length).toBeGreaterThan(10);
    const words = flags.flatMap((flag) => [flag.name, ...(flag.short === undefined ? [] : [flag.short])]);
    expect([name, new Set(words).size]).toEqual([name, words.length]);
  }
});
