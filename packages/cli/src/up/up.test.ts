/** What `up` decides before and while it runs things: ports, commands, environment, services, readiness. */
import { describe, expect, test } from 'bun:test';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readObjects, settleWorkload, type OutboundBinding, type SluiceWorkload } from '@sluice/api';
import { makeTempDir } from '@sluice/testkit';
import { appEnv, type AppEnvOptions } from './app-env.ts';
import { chooseCommand } from './choose-command.ts';
import { chooseControlAddresses } from './control-addresses.ts';
import { expandArgs } from './expand-args.ts';
import { lockFolder } from './folder-lock.ts';
import { renderServices } from './generated-services.ts';
import { definedServices, readMeshFile } from './mesh-file.ts';
import { namesOf, planInstances, workloadKey } from './plan-instances.ts';
import { PortBook } from './port-book.ts';
import { LineCutter } from './reporter.ts';

const range = { from: 20_000, to: 20_999 };

function plan(
  workloads: readonly SluiceWorkload[],
  options: { path?: string; taken?: ReadonlySet<number>; seed?: string; notices?: string[] },
) {
  const canBind = (port: number): boolean => options.taken?.has(port) !== true;
  const book = new PortBook({ path: options.path, range, canBind, seed: options.seed ?? 'a' });
  const command = { argv: ['x'], cwd: '/', env: {}, program: 'x', wasChosen: false };
  const commands = new Map(workloads.map((workload) => [workloadKey(workload), command]));
  const plans = planInstances({ workloads, services: [], commands, book });
  options.notices?.push(...book.notices);
  return plans;
}

function allPorts(plans: ReturnType<typeof plan>): number[] {
  return plans.flatMap(({ ports: { admin, health, metrics, ports, outbound } }) => [
    admin,
    health,
    metrics,
    ...ports.flatMap(({ app, inbound }) => [app, inbound]),
    ...Array.from({ length: outbound[1] - outbound[0] + 1 }, (_, index) => outbound[0] + index),
  ]);
}

describe('ports', () => {
  const shop = settleWorkload('shop', { command: 'x', port: 8080, replicas: 3 });
  const tool = settleWorkload('tool', { command: 'x' });

  test('are each given once, and the first replica is where people look first', () => {
    const plans = plan([shop, tool], {});
    expect(plans.map(({ name }) => name)).toEqual(['shop-0', 'shop-1', 'shop-2', 'tool']);
    const ports = allPorts(plans);
    expect(new Set(ports).size).toBe(ports.length);
    expect(plans[0]?.ports.ports[0]?.inbound).toBe(8080);
    for (const port of ports.filter((port) => port !== 8080))
      expect(port >= range.from && port <= range.to).toBe(true);
    const [low = 0, high = 0] = plans[0]?.ports.outbound ?? [];
    expect(high - low + 1).toBeGreaterThanOrEqual(24);
  });

  test('are the same after a restart, also with more workloads', () => {
    const path = join(makeTempDir(), 'ports.json');
    const before = plan([shop], { path });
    const after = plan([tool, shop], { path, seed: 'elsewhere' });
    expect(after.slice(1).map(({ ports }) => ports)).toEqual(before.map(({ ports }) => ports));
  });

  test('that somebody else has taken are given up, for that instance alone', () => {
    const path = join(makeTempDir(), 'ports.json');
    const before = plan([shop], { path });
    const taken = new Set([before[1]?.ports.admin ?? 0, 8080]);
    const after = plan([shop], { path, taken });
    expect(after[0]?.ports.admin).toBe(before[0]?.ports.admin ?? 0);
    expect(after[0]?.ports.ports[0]?.inbound).not.toBe(8080);
    expect(after[1]?.ports.admin).not.toBe(before[1]?.ports.admin ?? 0);
    expect(after[2]?.ports).toEqual(before[2]?.ports as never);
    expect(allPorts(after).some((port) => taken.has(port))).toBe(false);
  });

  test('people look for and others have are told, with those that are used', () => {
    const notices: string[] = [];
    const [first] = plan([shop], { taken: new Set([8080]), notices });
    expect(notices).toEqual([
      `port 8080 (shop-0.default) is taken by another program: using ${first?.ports.ports[0]?.inbound}`,
    ]);
    const small = settleWorkload('small', { command: 'x', port: 80 });
    const quiet: string[] = [];
    plan([shop, small], { notices: quiet });
    expect(quiet).toEqual([]);
  });

  test('of a damaged memory are given anew', () => {
    const path = join(makeTempDir(), 'ports.json');
    writeFileSync(path, '{"shop-0.default": {"first": "x"}');
    expect(plan([shop], { path })).toHaveLength(3);
  });

  test('an application may insist on one, and is told who has it', () => {
    const fixed = settleWorkload('fixed', {
      command: 'x',
      ports: [{ name: 'http', port: 80, targetPort: 9000 }],
    });
    expect(plan([fixed], {})[0]?.ports.ports[0]?.app).toBe(9000);
    expect(() => plan([fixed], { taken: new Set([9000]) })).toThrow(
      'fixed.default wants port 9000 (http) for itself, but something else has it',
    );
    const other = settleWorkload('other', {
      command: 'x',
      ports: [{ name: 'http', port: 80, targetPort: 9000 }],
    });
    expect(() => plan([fixed, other], {})).toThrow('but another instance has it');
  });

  test('of a range that is used up are missing by name', () => {
    const many = settleWorkload('many', { command: 'x', replicas: 50 });
    expect(() => plan([many], {})).toThrow(
      /no \d+ free ports in a row are left in 20000-20999.*widen ports\.sidecars/,
    );
  });
});

describe('addresses of the control plane', () => {
  const ports = { xds: 15_010, secure: 15_012, metrics: 15_014, api: 15_080, sidecars: undefined };

  test('are the usual ones where they are free', () => {
    const { addresses, notices } = chooseControlAddresses({
      ports,
      explicit: new Set(),
      canBind: () => true,
      range,
      seed: 'a',
    });
    expect(addresses).toEqual({
      xds: '127.0.0.1:15010',
      secure: '127.0.0.1:15012',
      api: '127.0.0.1:15080',
      metrics: '127.0.0.1:15014',
    });
    expect(notices).toEqual([]);
  });

  test('give way when taken, and say so; not when the file names them', () => {
    const canBind = (port: number): boolean => port < 15_000 || port > 16_000;
    const { addresses, notices } = chooseControlAddresses({
      ports,
      explicit: new Set(),
      canBind,
      range,
      seed: 'a',
    });
    expect(new Set(Object.values(addresses)).size).toBe(4);
    expect(notices).toHaveLength(4);
    expect(notices[0]).toMatch(
      /^port 15010 \(configuration of proxies\) is taken by another program: using 20\d\d\d$/,
    );
    expect(() =>
      chooseControlAddresses({ ports, explicit: new Set(['api']), canBind, range, seed: 'a' }),
    ).toThrow('port 15080 (API and page) is in use');
  });
});

describe('commands', () => {
  const workload = settleWorkload('catalog', {
    alternatives: [{ requires: 'python3', command: 'python3 catalog.py', env: { A: 'python' } }],
    command: 'bun catalog.ts',
    cwd: 'services',
    env: { A: 'all', B: 'b' },
  });
  const choose = (present: readonly string[], usesPlainCommand = false) =>
    chooseCommand(workload, {
      dir: '/shop',
      usesPlainCommand,
      which: (name) => (present.includes(name) ? `/bin/${name}` : undefined),
    });

  test('are the first whose programs are there', () => {
    expect(choose(['python3'])).toMatchObject({
      argv: ['/bin/python3', 'catalog.py'],
      cwd: '/shop/services',
      env: { A: 'python', B: 'b' },
      program: 'python3',
      wasChosen: true,
    });
    expect(choose(['python3'], true).program).toBe('bun');
  });

  test('bun is always our own, since PATH may hold a placeholder', () => {
    expect(choose(['bun']).argv).toEqual([process.execPath, 'catalog.ts']);
    expect(choose([]).argv[0]).toBe(process.execPath);
  });

  test('that are nowhere are named', () => {
    const lost = settleWorkload('lost', {
      alternatives: [{ requires: ['ruby', 'bundle'], command: 'ruby x' }],
      command: 'perl x',
    });
    const options = { dir: '/', usesPlainCommand: false, which: () => undefined };
    expect(() => chooseCommand(lost, options)).toThrow(
      'lost cannot be run here: PATH has no ruby and bundle, and no perl',
    );
  });
});

describe('environment', () => {
  const binding = (
    service: string,
    localPort: number,
    more: Partial<OutboundBinding> = {},
  ): OutboundBinding => ({
    service,
    namespace: 'default',
    hostname: `${service}.default.svc.cluster.local`,
    port: 80,
    address: '127.0.0.1',
    localPort,
    ...more,
  });
  const options: AppEnvOptions = {
    base: { PATH: '/bin', HTTPS_PROXY: 'http://corporate', http_proxy: 'http://corporate', EMPTY: undefined },
    configured: { COLOUR: 'red', PORT_HTTP: '1', SLUICE_INSTANCE: 'forged' },
    namespace: 'default',
    workload: 'shop',
    instance: 'shop-0',
    version: 'v2',
    ports: [
      { name: 'http', app: 5001 },
      { name: 'grpc-admin', app: 5002 },
    ],
    outbound: [
      binding('book-reviews', 6001),
      binding('book-reviews', 6002, { port: 81 }),
      binding('elsewhere', 6003, { namespace: 'other' }),
      binding('http_proxy', 6004, { namespace: '', hostname: '', port: 0 }),
    ],
    portNames: new Map([
      ['default/book-reviews:80', 'http'],
      ['default/book-reviews:81', 'grpc-api'],
    ]),
    workDir: '/state/shop',
  };

  test('has Kubernetes’ variables for services of its namespace', () => {
    const env = appEnv(options);
    expect(env).toMatchObject({
      BOOK_REVIEWS_SERVICE_HOST: '127.0.0.1',
      BOOK_REVIEWS_SERVICE_PORT: '6001',
      BOOK_REVIEWS_SERVICE_PORT_HTTP: '6001',
      BOOK_REVIEWS_SERVICE_PORT_GRPC_API: '6002',
    });
    expect(
      Object.keys(env).filter(
        (name) => name.startsWith('ELSEWHERE') || name.startsWith('HTTP_PROXY_SERVICE'),
      ),
    ).toEqual([]);
  });

  test('has its own ports, the sidecar as proxy, and nobody else’s proxy', () => {
    const env = appEnv(options);
    expect(env).toMatchObject({
      PORT: '5001',
      PORT_GRPC_ADMIN: '5002',
      HTTP_PROXY: 'http://127.0.0.1:6004',
      http_proxy: 'http://127.0.0.1:6004',
    });
    expect(env['NO_PROXY']).toContain('127.0.0.1');
    expect(env).not.toHaveProperty('HTTPS_PROXY');
    expect(env).not.toHaveProperty('EMPTY');
    expect(appEnv({ ...options, outbound: [] })).not.toHaveProperty('http_proxy');
  });

  test('sluice.yaml wins, but not over who the instance is', () => {
    expect(appEnv(options)).toMatchObject({
      COLOUR: 'red',
      PORT_HTTP: '1',
      SLUICE_INSTANCE: 'shop-0',
      SLUICE_VERSION: 'v2',
      PATH: '/bin',
    });
  });
});

test('variables in a command are filled in once, unless a shell does it', () => {
  const env = { PORT: '5001', NAME: '$PORT' };
  expect(
    expandArgs(['/bin/x', '--port=$PORT', '${PORT}', '$(PORT)', '$NAME', '$MISSING', '$PORTS', '100$'], env),
  ).toEqual(['/bin/x', '--port=5001', '5001', '5001', '$PORT', '$MISSING', '$PORTS', '100$']);
  expect(expandArgs(['/bin/sh', '-c', 'exec x $PORT'], env)).toEqual(['/bin/sh', '-c', 'exec x $PORT']);
});

describe('files', () => {
  test('services are made for workloads whose folder defines none', () => {
    const reviews = ['v1', 'v2'].map((version) =>
      settleWorkload(`reviews-${version}`, { command: 'x', port: 9003, labels: { app: 'reviews', version } }),
    );
    const none = settleWorkload('none', { command: 'x', port: 9004, service: false });
    const text = renderServices(
      [...reviews, none, settleWorkload('given', { command: 'x', port: 9005 })],
      new Set(['default/given']),
    );
    const { objects, problems } = readObjects(text, 'services.yaml');
    expect(problems).toEqual([]);
    expect(objects.map(({ object }) => [object.metadata.name, object.spec])).toEqual([
      [
        'reviews',
        {
          selector: { app: 'reviews' },
          ports: [{ name: 'http', port: 9003, targetPort: 'http', appProtocol: 'http' }],
        },
      ],
    ]);
    expect(renderServices([none], new Set())).toBe('');
  });

  test('sluice.yaml is read with what was written by hand told apart, and every problem is said', () => {
    const dir = makeTempDir();
    mkdirSync(join(dir, 'mesh', 'deep'), { recursive: true });
    writeFileSync(
      join(dir, 'mesh', 'deep', 'a.yaml'),
      'apiVersion: v1\nkind: Service\nmetadata: { name: a }\nspec: { ports: [{ port: 80 }] }\n',
    );
    writeFileSync(join(dir, 'sluice.yaml'), 'ports: { api: 15080 }\n');
    const file = readMeshFile(dir);
    expect([...file.explicitPorts]).toEqual(['api']);
    expect(file.resources).toEqual([join(dir, 'mesh')]);
    expect([...definedServices(file.resources)]).toEqual(['default/a']);
    writeFileSync(
      join(dir, 'sluice.yaml'),
      'workloads:\n  a: { comand: x }\n  b: { command: x, port: 99999 }\n',
    );
    expect(() => readMeshFile(dir)).toThrow(
      /sluice\.yaml:2:\d+: error[^\n]*comand[\s\S]*sluice\.yaml:3:\d+: error/,
    );
    expect(() => readMeshFile(join(dir, 'mesh'))).toThrow('there is no sluice.yaml in');
  });

  test('a folder is locked by one process at a time, and by nobody who is gone', () => {
    const dir = makeTempDir();
    const lock = lockFolder(dir);
    expect(() => lockFolder(dir)).toThrow(`this mesh runs already (process ${process.pid})`);
    lock.release();
    writeFileSync(join(dir, 'up.lock'), JSON.stringify({ pid: process.pid, startedAt: 'in another life' }));
    lockFolder(dir).release();
    writeFileSync(join(dir, 'up.lock'), '{"pid":');
    lockFolder(dir).release();
    expect(() => readFileSync(join(dir, 'up.lock'))).toThrow();
  });
});

test('replicas are numbered where there are several', () => {
  expect(namesOf({ name: 'a', replicas: 1 })).toEqual(['a']);
  expect(namesOf({ name: 'a', replicas: 2 })).toEqual(['a-0', 'a-1']);
  expect(namesOf({ name: 'a', replicas: 0 })).toEqual([]);
});

test('lines are whole, however the text was cut', () => {
  const text = 'one\r\ntwo\n\nthree';
  for (const size of [1, 2, 7, 100]) {
    const lines: string[] = [];
    const cutter = new LineCutter((line) => lines.push(line));
    for (let at = 0; at < text.length; at += size) cutter.push(text.slice(at, at + size));
    cutter.flush();
    expect(lines).toEqual(['one', 'two', '', 'three']);
  }
});
