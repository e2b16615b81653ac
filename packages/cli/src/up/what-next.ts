/** What `up` says once everything runs: where to look, what to type, and what this mode does not protect. */
import { existsSync, readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { viewPaths, type ProxyView } from '../mesh/views.ts';
import type { Palette } from '../output/palette.ts';
import type { MeshFile } from './mesh-file.ts';
import type { MeshRunner } from './mesh-runner.ts';
import type { Reporter } from './reporter.ts';

export interface WhatNextOptions {
  readonly mesh: MeshRunner;
  readonly file: MeshFile;
  readonly reporter: Reporter;
  readonly stateDir: string;
  readonly invokedAs: string;
  readonly cwd: string;
  readonly palette: Palette;
}

/** Who is not ready by then is named, and no longer waited for. */
const patienceMs = 45_000;

export async function sayWhatNext(options: WhatNextOptions): Promise<void> {
  const { mesh, file, reporter } = options;
  for (const line of chosenPrograms(mesh)) reporter.say(line);
  const isAllReady = await areReadyInTime(mesh);
  for (const line of await refusals(mesh)) reporter.warn(line);
  const { link } = await mesh.client.post<{ link: string }>('/sluice/v1/login-link', {});
  const { palette } = options;
  reporter.say('');
  if (isAllReady) reporter.say(palette.bold(`${file.name} is up`));
  else reporter.warn(`${file.name} is up, but for ${lateOnes(mesh)}: see "${options.invokedAs} logs"`);
  const front = frontUrl(mesh);
  if (front !== undefined) reporter.say(`  ${front.workload.padEnd(12)} ${palette.bold(front.url)}`);
  reporter.say(
    `  ${'mesh page'.padEnd(12)} ${palette.bold(link)}   (this link works once, within ten minutes)`,
  );
  reporter.say('');
  reporter.say('try next, in another terminal:');
  for (const command of suggestions(options, front?.workload)) reporter.say(`  ${palette.good(command)}`);
  const scenarios = firstScenario(file.dir);
  if (scenarios !== undefined) reporter.say(`then follow ${relative(options.cwd, scenarios)}`);
  reporter.say('');
  if (file.config.mesh.autoMtls)
    reporter.say('Between sidecars everything is mutual TLS: "status --edges" shows each edge, and why.');
  reporter.say(
    'Interception mode NONE: applications reach each other through ports of their sidecars. It needs no',
  );
  reporter.say(
    'privileges, and it does not isolate processes of this machine from each other: whatever runs here can',
  );
  reporter.say('reach the applications’ own ports and pass the sidecars by.');
  reporter.say('Ctrl-C stops all of it.');
}

/** A configuration that a sidecar refuses leaves the mesh running in part: it is not left to be found out. */
async function refusals({ client }: MeshRunner): Promise<readonly string[]> {
  const { proxies } = await client.get<{ proxies: readonly ProxyView[] }>(viewPaths.proxies);
  return proxies.flatMap(({ instance, nodeId, types }) =>
    types
      .filter(({ state }) => state === 'NACK')
      .map(
        ({ type, error }) => `the sidecar of ${instance ?? nodeId} refuses ${type.toUpperCase()}: ${error}`,
      ),
  );
}

async function areReadyInTime(mesh: MeshRunner): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), patienceMs);
  // A mesh that is stopped meanwhile is not kept from ending.
  timer.unref();
  void Promise.all(mesh.instances.map((instance) => instance.firstReady)).then(() => resolve(true));
  const isInTime = await promise;
  clearTimeout(timer);
  return isInTime;
}

function lateOnes(mesh: MeshRunner): string {
  return mesh.instances
    .filter(({ wasReady }) => !wasReady)
    .map(({ plan }) => plan.name)
    .join(', ');
}

/** The first workload of the file is the one that people look at. */
function frontUrl(mesh: MeshRunner): { readonly workload: string; readonly url: string } | undefined {
  const plan = mesh.instances[0]?.plan;
  const port = plan?.ports.ports[0];
  if (plan === undefined || port === undefined) return undefined;
  return {
    workload: plan.workload.name,
    url: `http://127.0.0.1:${plan.workload.hasSidecar ? port.inbound : port.app}/`,
  };
}

function chosenPrograms(mesh: MeshRunner): readonly string[] {
  const chosen = new Map<string, string>();
  for (const { plan } of mesh.instances)
    if (plan.command.wasChosen) chosen.set(plan.workload.name, plan.command.program);
  if (chosen.size === 0) return [];
  return [
    `found on this machine and used: ${[...chosen].map(([name, program]) => `${program} for ${name}`).join(', ')}`,
  ];
}

function suggestions({ invokedAs }: WhatNextOptions, front: string | undefined): readonly string[] {
  return [
    `${invokedAs} status`,
    `${invokedAs} status --edges`,
    `${invokedAs} get services,virtualservices,destinationrules`,
    `${invokedAs} proxy-config routes ${front ?? 'WORKLOAD'}`,
  ];
}

function firstScenario(dir: string): string | undefined {
  const scenarios = join(dir, 'scenarios');
  if (!existsSync(scenarios)) return undefined;
  const [first] = readdirSync(scenarios).sort();
  return first === undefined ? undefined : join(scenarios, first, 'README.md');
}
