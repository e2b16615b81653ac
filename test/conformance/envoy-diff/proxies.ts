/** The two processes under comparison, each with the same bootstrap. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { freePort, spawnBun, spawnCommand, waitFor, type TestProcess } from '@sluice/testkit';
import { findEnvoy } from '../../find-envoy.ts';
import { bootstrapOf, type BootstrapFacts } from './bootstrap.ts';
import type { Section } from './section.ts';

export interface RunningProxy {
  readonly name: 'envoy' | 'sluice';
  readonly process: TestProcess;
  readonly listenerPorts: ReadonlyMap<string, number>;
  readonly accessLogPath: string;
}

const main = join(import.meta.dir, '../../../packages/proxy/src/main.ts');
const envoyFlags = '--disable-hot-restart --log-level error --file-flush-interval-msec 20'.split(' ');

type Upstreams = Pick<BootstrapFacts, 'originPorts' | 'refusingPort' | 'blackholePort'>;

/** Starts both with the bootstrap of these sections, the same but for the ports. */
export async function startSections(
  name: RunningProxy['name'],
  sections: readonly Section[],
  upstreams: Upstreams,
  folder: string,
): Promise<RunningProxy> {
  const listenerPorts = new Map(sections.map((section) => [section.name, freePort()]));
  const adminPort = freePort();
  const accessLogPath = join(folder, name, 'access.log');
  mkdirSync(dirname(accessLogPath));
  const bootstrap = bootstrapOf(sections, { ...upstreams, adminPort, listenerPorts, accessLogPath });
  const process = await launch(name, bootstrap, adminPort, accessLogPath);
  return { name, process, listenerPorts, accessLogPath };
}

/** Starts one of the two; answers when it is ready, and throws with its words if it ends before. */
export async function launch(
  name: RunningProxy['name'],
  bootstrap: object,
  adminPort: number,
  accessLogPath: string,
): Promise<TestProcess> {
  const config = join(dirname(accessLogPath), 'bootstrap.json');
  writeFileSync(config, JSON.stringify(bootstrap, null, 2));
  const flags = ['-c', config, '--concurrency', '1'];
  const process =
    name === 'envoy'
      ? spawnCommand([findEnvoy() ?? '', ...flags, ...envoyFlags])
      : spawnBun(main, [...flags, '--log-level', 'warning', '--allow-access-log-path', accessLogPath]);
  const ended = process.exited.then((code) => {
    throw new Error(`${name} ended with ${code}: ${process.output}`);
  });
  await Promise.race([waitFor(() => isReady(adminPort), { what: `${name} to be ready` }), ended]);
  ended.catch(() => undefined);
  return process;
}

async function isReady(adminPort: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${adminPort}/ready`);
  return response.status === 200;
}
