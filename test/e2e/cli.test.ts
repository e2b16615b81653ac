/** The commands that read and change a running mesh, on a real one. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, makeTempDir, waitFor } from '@sluice/testkit';
import { makeSmallMesh, MeshUnderTest, runCli } from './up-mesh.ts';

const timeoutMs = 90_000;

const route = (weight: string): string => `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: api
  labels: { team: a }
spec:
  hosts: [api]
  http:
    - name: main
      ${weight}
      route:
        - destination: { host: api }
`;

afterAll(cleanUp, timeoutMs);

describe.if(process.platform === 'linux')('commands on a running mesh', () => {
  let mesh: MeshUnderTest;
  let folder: string;
  const file = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };

  beforeAll(async () => {
    mesh = await MeshUnderTest.start(makeSmallMesh());
    folder = makeTempDir();
  }, timeoutMs);

  afterAll(async () => {
    await mesh.up.stop();
    expect(mesh.processes()).toEqual([]);
  }, timeoutMs);

  test('apply creates, changes, removes what a file no longer says, and keeps what others wrote', async () => {
    const path = file('api.yaml', route('timeout: 3s'));
    expect(await mesh.out('apply', '-f', path)).toBe('virtualservice.networking.istio.io/api created');
    expect(await mesh.out('apply', '-f', path)).toBe('virtualservice.networking.istio.io/api unchanged');
    file('api.yaml', route('retries: { attempts: 1 }'));
    expect((await mesh.cli('diff', '-f', path)).code).toBe(1);
    expect((await mesh.cli('diff', '-f', path)).out).toMatch(/^- +timeout: 3s$/m);
    expect(await mesh.out('apply', '-f', path)).toBe('virtualservice.networking.istio.io/api configured');
    const live = JSON.parse(await mesh.out('get', 'vs', 'api', '-o', 'json')) as { spec: { http: object[] } };
    expect(live.spec.http[0]).toMatchObject({ name: 'main', retries: { attempts: 1 } });
    expect(live.spec.http[0]).not.toHaveProperty('timeout');
    expect(await mesh.cli('diff', '-f', path)).toMatchObject({ code: 0, out: '' });
    expect(await mesh.out('delete', 'vs/api')).toBe('virtualservice.networking.istio.io "api" deleted');
    expect((await mesh.cli('get', 'vs', 'api')).code).toBe(1);
  });

  test('apply reads standard input, sends nothing when a file is wrong, and dry runs change nothing', async () => {
    const piped = await runCli(['apply', '-f', '-', '--dry-run', 'server'], mesh.env(), route('timeout: 1s'));
    expect(piped).toMatchObject({
      code: 0,
      out: 'virtualservice.networking.istio.io/api created (server dry run)\n',
    });
    const wrong = await runCli(
      ['apply', '-f', '-'],
      mesh.env(),
      `${route('timeout: 1s')}---\n${route('timeot: 1s')}`,
    );
    expect(wrong.code).toBe(1);
    expect(wrong.err).toContain('nothing was sent');
    expect(wrong.err).toMatch(/stdin:\d+:\d+: error \[unknown-field\] spec\.http\[0\]\.timeot/);
    expect(await mesh.out('get', 'vs', '-o', 'name')).toBe('');
  });

  test('an object that a file of the mesh owns is refused with its place, and adopted when asked', async () => {
    const service = (port: number): string =>
      `apiVersion: v1\nkind: Service\nmetadata: { name: extra }\nspec:\n  selector: { app: api }\n  ports: [{ name: http, port: ${port} }]\n`;
    writeFileSync(join(mesh.dir, 'mesh', 'extra.yaml'), service(9));
    await waitFor(async () => (await mesh.cli('get', 'svc', 'extra')).code === 0, {
      what: 'the file is read',
    });
    const path = file('extra.yaml', service(10));
    const refused = await mesh.cli('apply', '-f', path);
    expect(refused.code).toBe(1);
    expect(refused.err).toMatch(/mesh\/extra\.yaml:1.*--adopt takes it over/);
    expect((await mesh.cli('delete', 'svc', 'extra')).code).toBe(1);
    expect(await mesh.out('apply', '-f', path, '--adopt')).toBe('service/extra configured');
    expect(await mesh.out('get', 'svc', 'extra', '-o', 'yaml')).toContain('port: 10');
  });

  test('get, describe, status and proxy-config agree on what runs', async () => {
    expect(await mesh.out('get', 'svc')).toMatch(/^NAME +TYPE +CLUSTER-IP +PORT\(S\) +AGE\napi +ClusterIP/);
    expect(await mesh.out('get', 'we', '-A', '-l', 'app=web')).toMatch(
      /^NAMESPACE +NAME .*\ndefault +web +127\.0\.0\.1 +True/,
    );
    expect(await mesh.out('get', 'svc,we', '-o', 'name')).toContain(
      'workloadentry.networking.istio.io/api-1',
    );
    expect(await mesh.out('get', 'svc', 'web', 'api')).toMatch(/^NAME [^\n]*\nweb [^\n]*\napi [^\n]*$/);
    const some = await mesh.cli('get', 'svc', 'api', 'gone');
    expect(some).toMatchObject({ code: 1, out: expect.stringMatching(/^NAME [^\n]*\napi [^\n]*\n?$/) });
    expect(some.err).toContain('Service/default/gone does not exist');
    expect(await mesh.out('describe', 'svc', 'api')).toMatch(
      /Endpoints:\n +127\.0\.0\.1:\d+ +api[^\n]*healthy/,
    );
    const status = await mesh.out('status');
    expect(status).toMatch(/^NAME +NAMESPACE +SYNC +HEALTHY +VERSION +ADMIN\n/);
    expect(status).toMatch(/^web +default +SYNCED +yes/m);
    expect(await mesh.out('proxy-config', 'endpoints', 'web')).toMatch(
      /outbound\|8089\|\|api\.default\.svc\.cluster\.local/,
    );
    expect(await mesh.out('proxy-config', 'cluster', 'web', '--fqdn', 'api.default')).toMatch(
      /^api\.default\.svc\.cluster\.local +8089 +- +outbound +EDS/m,
    );
    expect(await mesh.out('proxy-config', 'l', 'api/api-0')).toContain(
      'Route: api.default.svc.cluster.local:8089',
    );
    expect((await mesh.cli('proxy-config', 'routes', 'wbe')).err).toContain('did you mean web?');
    expect(await mesh.out('check')).toContain('all 3 proxies are connected');
    expect(await mesh.out('version')).toContain('proxies  ');
  });

  test('get -w shows changes as they come', async () => {
    const child = Bun.spawn(
      [
        process.execPath,
        join(import.meta.dir, '../../packages/cli/src/main.ts'),
        'get',
        'vs',
        '-w',
        '-o',
        'name',
      ],
      {
        env: { ...process.env, ...mesh.env() },
        stdout: 'pipe',
      },
    );
    const reader = child.stdout.getReader();
    const path = file('watched.yaml', route('timeout: 2s'));
    await mesh.out('apply', '-f', path);
    expect(new TextDecoder().decode((await reader.read()).value)).toContain(
      'virtualservice.networking.istio.io/api',
    );
    child.kill('SIGINT');
    expect(await child.exited).toBe(0);
    await mesh.out('delete', '-f', path);
  });

  test('analyze judges files with the running mesh', async () => {
    const path = file('lost.yaml', route('timeout: 1s').replace('host: api', 'host: nowhere'));
    const { code, out } = await mesh.cli('analyze', path, '--live');
    expect(code).toBe(1);
    expect(out).toMatch(/lost\.yaml:12:\d+: error \[SL0101\].*nowhere/);
    expect((await mesh.cli('analyze', file('fine.yaml', route('timeout: 1s')), '--live')).code).toBe(0);
  });

  test('logs of an application, its sidecar and the control plane', async () => {
    expect(await mesh.out('logs', 'web')).toBe('web serves');
    expect((await mesh.out('logs', 'api')).split('\n').sort()).toEqual([
      'api-0 │ web serves',
      'api-1 │ web serves',
    ]);
    await (await fetch(`${await mesh.url('web')}/logged`)).text();
    await waitFor(async () => (await mesh.out('logs', 'web', '--proxy')).includes('/logged'), {
      what: 'the access log',
    });
    expect(await mesh.out('logs', 'control')).toContain('control plane ready');
    expect((await mesh.cli('logs', 'wep')).err).toContain('did you mean web?');
  });

  test('a bug report holds states and logs, and no secret', async () => {
    const path = join(folder, 'report.tar.gz');
    expect(await mesh.out('bug-report', path)).toContain('Tokens, keys and passwords are taken out');
    const text = new TextDecoder().decode(Bun.gunzipSync(readFileSync(path)));
    for (const part of [
      'control/proxies.json',
      'proxies/web.default/config_dump.json',
      'logs/control.log',
      'machine.json',
    ])
      expect(text).toContain(part);
    const token = readFileSync(join(mesh.stateDir, 'token'), 'utf8').trim();
    const bootstrap = readFileSync(join(mesh.stateDir, 'bootstrap', 'web.json'), 'utf8');
    const instanceToken = /Bearer ([\w-]+)/.exec(bootstrap)?.[1] ?? 'no token';
    expect(text).not.toContain(token);
    expect(text).not.toContain(instanceToken);
    // An existing file is not written over.
    await expect(mesh.out('bug-report', path)).rejects.toThrow('exists already');
  });

  test('backup works beside the mesh, restore asks for it to be stopped', async () => {
    const path = join(folder, 'backup.db');
    expect(await mesh.out('backup', path)).toMatch(/: \d+ resources, revision \d+/);
    expect(existsSync(path)).toBe(true);
    const { code, err } = await mesh.cli('restore', path);
    expect(code).toBe(1);
    expect(err).toContain('stop it first');
    expect(
      await runCli(['restore', path, '--state-dir', join(folder, 'restored')], mesh.env()),
    ).toMatchObject({ code: 0 });
  });

  test('a mesh is reached by address and token file too, and not without', async () => {
    const record = JSON.parse(readFileSync(join(mesh.stateDir, 'mesh.json'), 'utf8')) as { api: string };
    const server = ['--server', record.api];
    const withToken = await runCli(
      ['get', 'svc', '-o', 'name', ...server, '--token-file', join(mesh.stateDir, 'token')],
      {},
    );
    expect(withToken.out).toContain('service/api');
    expect((await runCli(['get', 'svc', ...server], { SLUICE_TOKEN_FILE: '' })).code).not.toBe(0);
    const wrong = await runCli(
      ['get', 'svc', ...server, '--token-file', file('wrong-token', 'nonsense')],
      {},
    );
    expect(wrong.err).toContain('token');
    expect(wrong.code).toBe(1);
    const link = await mesh.out('dashboard');
    const page = await fetch(link, { redirect: 'manual' });
    expect(page.status).toBe(303);
  });
});

test('mistakes on the command line are answered with what was probably meant', async () => {
  const env = { XDG_RUNTIME_DIR: makeTempDir(), NO_COLOR: '1' };
  expect(await runCli(['gett'], env)).toMatchObject({
    code: 2,
    err: 'error: there is no command "gett": did you mean get?\n',
  });
  expect((await runCli(['get', 'vz'], env)).err).toContain('did you mean vs?');
  expect((await runCli(['get', 'vs', '--namspace', 'x'], env)).err).toContain('did you mean --namespace?');
  expect((await runCli(['status', '--state-dir', join(makeTempDir(), 'none')], env)).err).toContain(
    'start the mesh with "sluice up"',
  );
  const empty = ['apply', '--dry-run', 'client', '-f', makeTempDir()];
  expect((await runCli(empty, env)).err).toContain('(folders inside them are read with -R)');
  expect((await runCli([], env)).code).toBe(2);
  expect((await runCli(['help'], env)).code).toBe(0);
  for (const shell of ['bash', 'zsh', 'fish'])
    expect((await runCli(['completion', shell], env)).out).toContain('proxy-config');
});
