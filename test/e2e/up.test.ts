/** `sluice up` on real processes: what comes back after a kill, and what is left after the end (nothing). */
import { afterEach, expect, test } from 'bun:test';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cleanUp, makeTempDir, waitFor } from '@sluice/testkit';
import { makeSmallMesh, MeshUnderTest, runCli } from './up-mesh.ts';

const isLinux = process.platform === 'linux';
const timeoutMs = 90_000;

// A mesh that its test leaves running would cost the next ones their time.
afterEach(cleanUp, timeoutMs);

async function text(url: string): Promise<string> {
  const response = await fetch(url, { keepalive: false, signal: AbortSignal.timeout(5000) });
  return `${response.status} ${await response.text()}`;
}

/** Requests one after the other until stopped; gives what was not answered by 200. */
function load(url: string): { stop(): Promise<{ readonly good: number; readonly bad: readonly string[] }> } {
  let isOver = false;
  let good = 0;
  const bad: string[] = [];
  const run = (async () => {
    while (!isOver) {
      const answer = await text(url).catch(String);
      if (answer.startsWith('200 ')) good++;
      else bad.push(answer);
    }
    return { good, bad };
  })();
  return {
    stop: () => {
      isOver = true;
      return run;
    },
  };
}

test.if(isLinux)(
  'starts everything with the environment promised, and leaves nothing behind after Ctrl-C',
  async () => {
    const mesh = await MeshUnderTest.start(makeSmallMesh());
    const web = await mesh.url('web');
    expect(await text(`${web}/hop`)).toMatch(/^200 web > api-[01] \/from-web$/);
    const env = (await (await fetch(`${web}/env`)).json()) as Record<string, string>;
    expect(env).toMatchObject({
      SLUICE_WORKLOAD: 'web',
      SLUICE_INSTANCE: 'web',
      API_SERVICE_HOST: '127.0.0.1',
      NO_PROXY: 'localhost,127.0.0.1,::1',
    });
    expect(env['API_SERVICE_PORT_HTTP']).toBe(env['API_SERVICE_PORT'] ?? '');
    expect(env['HTTP_PROXY']).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    // Health and metrics of each sidecar are on ports of their own.
    const given = mesh.processes().find(({ command }) => command.includes('web.json'))?.command ?? '';
    const [, health, metrics] = /--health-address (\S+) --prometheus-address (\S+)/.exec(given) ?? [];
    expect(await text(`http://${health}/healthz/ready`)).toStartWith('200');
    expect(await text(`http://${metrics}/stats/prometheus`)).toContain('istio_requests_total');
    // One control plane, three sidecars, three applications.
    expect(mesh.processes()).toHaveLength(7);
    expect(mesh.up.output).toContain('does not isolate processes of this machine from each other');
    mesh.up.kill('SIGINT');
    expect(await mesh.up.exited).toBe(0);
    expect(mesh.processes()).toEqual([]);
    expect((await runCli(['status', '--state-dir', mesh.stateDir], mesh.env())).code).toBe(1);
  },
  timeoutMs,
);

test.if(isLinux)(
  'reaches services by name through the forward proxy, and nobody’s admin page or health port',
  async () => {
    const mesh = await MeshUnderTest.start(makeSmallMesh());
    const env = (await (await fetch(`${await mesh.url('web')}/env`)).json()) as Record<string, string>;
    const proxied = await fetch('http://api:8089/by-name', { proxy: env['HTTP_PROXY'] ?? '' });
    expect(`${proxied.status} ${await proxied.text()}`).toMatch(/^200 api-[01] \/by-name$/);
    const sidecars = mesh.processes().filter(({ command }) => command.includes('--health-address'));
    expect(sidecars).toHaveLength(3);
    for (const { command } of sidecars) {
      const health = /--health-address (\S+)/.exec(command)?.[1] ?? '';
      expect(await text(`http://${health}/healthz/ready`)).toStartWith('200');
      const refused = await fetch(`http://${health}/healthz/ready`, { proxy: env['HTTP_PROXY'] ?? '' });
      expect([refused.status, refused.headers.get('x-sluice-reason')]).toEqual([403, 'destination-refused']);
    }
  },
  timeoutMs,
);

test.if(isLinux)(
  'brings back an application, a sidecar and the control plane after kill -9, with the same ports',
  async () => {
    const mesh = await MeshUnderTest.start(makeSmallMesh());
    const web = await mesh.url('web');

    const app = await mesh.pidOf(/serve\.ts/);
    process.kill(app, 'SIGKILL');
    await mesh.up.waitForLine(/was killed by SIGKILL: starting it again/);
    await waitFor(async () => (await text(`${web}/hop`)).startsWith('200 web > api'), { timeoutMs: 20_000 });

    const sidecar = await mesh.pidOf(/(?:proxy\/src\/main\.ts|proxy-\w+\/main\.js).*web\.json/);
    process.kill(sidecar, 'SIGKILL');
    await mesh.up.waitForLine(/its sidecar was killed by SIGKILL: starting it again/);
    await waitFor(async () => (await text(`${web}/hop`)).startsWith('200 web > api'), { timeoutMs: 20_000 });
    expect(await mesh.pidOf(/(?:proxy\/src\/main\.ts|proxy-\w+\/main\.js).*web\.json/)).not.toBe(sidecar);

    const during = load(`${web}/hop`);
    process.kill(await mesh.pidOf(/control\/src\/main\.ts/), 'SIGKILL');
    await mesh.up.waitForLine(/the control plane was killed by SIGKILL/);
    await waitFor(async () => (await mesh.cli('status')).code === 0, {
      timeoutMs: 20_000,
      what: 'all proxies synced again',
    });
    const { good, bad } = await during.stop();
    expect(bad).toEqual([]);
    expect(good).toBeGreaterThan(0);
  },
  timeoutMs,
);

test.if(isLinux)(
  'a replica that is killed costs no request',
  async () => {
    const mesh = await MeshUnderTest.start(makeSmallMesh());
    const web = await mesh.url('web');
    const during = load(`${web}/hop`);
    for (let round = 0; round < 3; round++) {
      const answered = await waitFor(
        async () => (await mesh.cli('get', 'workloadentry', '-o', 'wide')).out.match(/True/g)?.length === 3,
        { timeoutMs: 20_000 },
      );
      expect(answered).toBe(true);
      const pid = await pidOfInstance(mesh, 'api-1');
      process.kill(pid, 'SIGKILL');
    }
    await waitFor(async () => (await mesh.cli('status')).code === 0, { timeoutMs: 20_000 });
    const { good, bad } = await during.stop();
    expect(bad).toEqual([]);
    expect(good).toBeGreaterThan(0);
  },
  timeoutMs,
);

test.if(isLinux)(
  'applications, sidecars and the control plane may be killed one at a time under parallel load, and no other request fails',
  async () => {
    const mesh = await MeshUnderTest.start(makeSmallMesh());
    const web = await mesh.url('web');
    const isServing = async (health: string): Promise<boolean> =>
      (await text(`http://${health}/healthz/ready`).catch(String)).startsWith('200');
    const isWhole = async (): Promise<boolean> => {
      const sidecars = mesh
        .processes()
        .flatMap(({ command }) => / --health-address (\S+)/.exec(command)?.[1] ?? []);
      const serving = await Promise.all(sidecars.map(isServing));
      return (
        serving.filter(Boolean).length === 3 &&
        (await mesh.cli('proxy-config', 'endpoints', 'web')).out.match(/ HEALTHY .*outbound\|8089/g)
          ?.length === 2 &&
        (await mesh.cli('status')).code === 0
      );
    };
    const loads = Array.from({ length: 6 }, () => load(`${web}/hop`));
    const sidecarOf = (instance: string): RegExp =>
      new RegExp(`(?:proxy/src/main\\.ts|proxy-\\w+/main\\.js).*/${instance}\\.json`);
    const victims = [
      () => pidOfInstance(mesh, 'api-0'),
      () => mesh.pidOf(sidecarOf('api-1')),
      () => mesh.pidOf(/control\/src\/main\.ts/),
      () => mesh.pidOf(sidecarOf('api-0')),
      () => pidOfInstance(mesh, 'api-1'),
    ];
    for (const victim of victims) {
      await waitFor(isWhole, { timeoutMs: 30_000, what: 'all instances healthy, all proxies synced' });
      const pid = await victim();
      process.kill(pid, 'SIGKILL');
      await waitFor(async () => (await victim()) !== pid, { timeoutMs: 30_000, what: 'its successor' });
    }
    await waitFor(isWhole, { timeoutMs: 30_000, what: 'a whole mesh at the end' });
    const results = await Promise.all(loads.map((one) => one.stop()));
    // What was with the killed process at that moment may be lost where the retry budget is spent; nothing else.
    const failed = results
      .flatMap(({ bad }) => bad)
      .filter((one) => !one.includes('"reason":"upstream-reset"'));
    expect(failed).toEqual([]);
    for (const { good } of results) expect(good).toBeGreaterThan(0);
  },
  2 * timeoutMs,
);

test.if(isLinux)(
  'starts after its own kill -9, which commands tell meanwhile, ending what was left behind',
  async () => {
    const dir = makeSmallMesh();
    const first = await MeshUnderTest.start(dir);
    const before = await first.url('web');
    first.up.kill('SIGKILL');
    await first.up.exited;
    const left = first.processes().length;
    expect(left).toBeGreaterThan(0);
    const listed = await first.cli('get', 'svc');
    expect(listed).toMatchObject({ code: 0, err: expect.stringContaining(`was killed and left ${left} `) });
    const check = await first.cli('check');
    expect(check).toMatchObject({ code: 1, out: expect.stringContaining('× something restarts and probes') });
    const second = await MeshUnderTest.start(dir, { stateDir: first.stateDir, runtimeDir: first.runtimeDir });
    expect(second.up.output).toContain('ended what an earlier run had left behind');
    expect(await second.url('web')).toBe(before);
    expect(await text(`${before}/hop`)).toMatch(/^200 web > api-/);
    await second.up.stop();
    expect(second.processes()).toEqual([]);
  },
  timeoutMs,
);

test.if(isLinux)(
  'two meshes run side by side; a second one of the same folder is refused by name',
  async () => {
    const runtimeDir = makeTempDir();
    const [one, two] = await Promise.all([
      MeshUnderTest.start(makeSmallMesh(), { runtimeDir }),
      MeshUnderTest.start(makeSmallMesh(), { runtimeDir }),
    ]);
    for (const mesh of [one, two])
      expect(await text(`${await mesh.url('web')}/hop`)).toMatch(/^200 web > api-/);
    expect(await one.url('web')).not.toBe(await two.url('web'));
    const again = await MeshUnderTest.start(one.dir, {
      stateDir: one.stateDir,
      runtimeDir,
      waitsUntilUp: false,
    });
    expect(await again.up.exited).toBe(1);
    expect(again.up.output).toContain(
      `this mesh runs already (process ${one.up.pid}, with its page at http://127.0.0.1:`,
    );
    // Without a folder or flag, a command cannot know which of the two is meant.
    const { code, err } = await runCli(['status'], {
      XDG_RUNTIME_DIR: runtimeDir,
      SLUICE_STATE_DIR: undefined as unknown as string,
    });
    expect(code).toBe(1);
    expect(err).toContain('several meshes run: choose one');
  },
  timeoutMs,
);

test('a port that the file names and another program has is one clear sentence', async () => {
  const blocker = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => {} } });
  const dir = makeSmallMesh(`ports: { api: ${blocker.port} }\n`);
  const mesh = await MeshUnderTest.start(dir, { waitsUntilUp: false });
  expect(await mesh.up.exited).toBe(1);
  expect(mesh.up.output).toContain(
    `port ${blocker.port} (API and page) is in use: stop what uses it, or change ports.api in sluice.yaml`,
  );
  expect(mesh.processes()).toEqual([]);
  blocker.stop(true);
});

test('what cannot be run is said before anything starts', async () => {
  const dir = makeSmallMesh('  lost:\n    command: no-such-program-xyz\n    port: 8090\n');
  const mesh = await MeshUnderTest.start(dir, { waitsUntilUp: false });
  expect(await mesh.up.exited).toBe(1);
  expect(mesh.up.output).toContain('lost cannot be run here: PATH has no no-such-program-xyz');
  const nowhere = await runCli(['up', join(dir, 'none')], mesh.env());
  expect(nowhere).toMatchObject({ code: 1 });
  expect(nowhere.err).toContain('does not exist');
});

test.if(isLinux)(
  'a second Ctrl-C ends everything at once',
  async () => {
    const dir = makeSmallMesh(
      `  stubborn:\n    command: [sh, -c, "trap '' TERM; echo deaf; while :; do sleep 1; done"]\n    stopTimeout: 60s\n`,
    );
    const mesh = await MeshUnderTest.start(dir);
    await mesh.up.waitForLine('deaf');
    mesh.up.kill('SIGINT');
    await mesh.up.waitForLine('stopping (Ctrl-C again');
    // The pause tells the second Ctrl-C from an echo of the first.
    await Bun.sleep(600);
    mesh.up.kill('SIGINT');
    expect(await mesh.up.exited).toBe(130);
    await waitFor(() => mesh.processes().length === 0, { timeoutMs: 5000, what: 'no process left' });
  },
  timeoutMs,
);

test.if(isLinux)(
  'run joins one more workload, and ends with its status',
  async () => {
    const mesh = await MeshUnderTest.start(makeSmallMesh());
    const api = await mesh.cli(
      'run',
      '--name',
      'once',
      '--',
      'sh',
      '-c',
      'echo "api at $API_SERVICE_PORT"; exit 7',
    );
    expect(api).toMatchObject({ code: 7 });
    expect(api.out).toMatch(/once +│ api at \d+/);
    expect(await mesh.out('get', 'we', '-o', 'name')).not.toContain('/once');
    await mesh.up.stop();
    expect(mesh.processes()).toEqual([]);
  },
  timeoutMs,
);

test.if(isLinux)(
  'a workload waits for what it depends on, and a job takes its sidecar along when it ends',
  async () => {
    const dir = makeSmallMesh(`  migrate:
    command: [sh, -c, "echo migrating; exit 0"]
    restart: on-failure
    dependsOn: [api]
  after:
    command: [sh, -c, "echo after; exec sleep 1000"]
    dependsOn: [migrate]
`);
    const mesh = await MeshUnderTest.start(dir);
    const at = (pattern: RegExp): number => mesh.up.lines.findIndex((line) => pattern.test(line));
    expect(at(/migrate +│ migrating/)).toBeGreaterThan(Math.max(at(/api-0 +│ ready/), at(/api-1 +│ ready/)));
    expect(at(/after +│ after/)).toBeGreaterThan(at(/migrate +│ it exited with 0 and is not started again/));
    await waitFor(() => mesh.processes().every(({ command }) => !command.includes('migrate.json')), {
      what: 'no sidecar of the job',
    });
    expect(await mesh.out('get', 'we', '-o', 'name')).not.toContain('migrate');
    expect((await mesh.cli('status')).code).toBe(0);
  },
  timeoutMs,
);

test.if(isLinux)(
  'a broken file is said on the terminal with its place, and what it held before stays in use',
  async () => {
    const dir = makeSmallMesh();
    const route = join(dir, 'mesh', 'route.yaml');
    const redirect = (field: string): string =>
      `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: api }\nspec:\n  hosts: [api]\n  http:\n    - ${field}: { status: 418, body: { string: teapot } }\n`;
    writeFileSync(route, redirect('directResponse'));
    const mesh = await MeshUnderTest.start(dir);
    const web = await mesh.url('web');
    expect(await text(`${web}/hop`)).toBe('418 web > teapot');
    writeFileSync(route, redirect('directRespons'));
    await mesh.up.waitForLine(/route\.yaml:7:7: error \[unknown-field\] spec\.http\[0\]\.directRespons/);
    expect(await text(`${web}/hop`)).toBe('418 web > teapot');
    writeFileSync(route, redirect('directResponse').replace('418', '410'));
    await mesh.up.waitForLine(/resource file read.*route\.yaml/);
    await waitFor(async () => (await text(`${web}/hop`)).startsWith('410'));
  },
  timeoutMs,
);

test.if(isLinux)(
  'a mesh that was suspended finds its way back',
  async () => {
    // Two instances of three lease themselves out when up stands still; the control plane goes on without it.
    const mesh = await MeshUnderTest.start(makeSmallMesh());
    const web = await mesh.url('web');
    mesh.up.kill('SIGSTOP');
    await waitFor(async () => /silentMs: (?:[4-9]|\d\d)\d\d\d/.test(await instancesText(mesh)), {
      timeoutMs: 20_000,
      what: 'four seconds of silence',
    });
    expect(await text(`${web}/hop`)).toMatch(/^200 web > api-/);
    mesh.up.kill('SIGCONT');
    await waitFor(
      async () =>
        (await mesh.cli('check')).code === 0 && (await text(`${web}/hop`)).startsWith('200 web > api-'),
      { timeoutMs: 20_000 },
    );
  },
  timeoutMs,
);

async function instancesText(mesh: MeshUnderTest): Promise<string> {
  const record = (await Bun.file(join(mesh.stateDir, 'mesh.json')).json()) as { api: string };
  const token = (await Bun.file(join(mesh.stateDir, 'token')).text()).trim();
  const reply = await fetch(`http://${record.api}/sluice/v1/instances`, {
    headers: { authorization: `Bearer ${token}` },
  });
  return (await reply.text()).replaceAll('"', '').replaceAll(':', ': ');
}

async function pidOfInstance(mesh: MeshUnderTest, instance: string): Promise<number> {
  return waitFor(
    async () => {
      for (const { pid, command } of mesh.processes()) {
        if (!command.includes('serve.ts')) continue;
        const environ = await Bun.file(`/proc/${pid}/environ`).text();
        if (environ.includes(`SLUICE_INSTANCE=${instance}\0`)) return pid;
      }
      return undefined;
    },
    { what: `the process of ${instance}` },
  );
}
