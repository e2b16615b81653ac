/** `sluice bug-report`: what somebody else needs to understand a problem, in one archive, without secrets. */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { sluiceVersion } from '@sluice/runtime';
import type { CommandContext } from '../context.ts';
import { cliError, exitStatus, isCliError } from '../errors.ts';
import type { ApiClient } from '../mesh/api-client.ts';
import type { FoundMesh } from '../mesh/find-mesh.ts';
import { stateFiles } from '../mesh/state-dir.ts';
import { viewPaths, type InstanceView } from '../mesh/views.ts';
import { redactJson, redactText } from '../output/redact.ts';
import { renderTar, type TarEntry } from '../output/tar.ts';
import { checkEnvironment } from '../up/environment-checks.ts';
import { connect } from './connect.ts';

/** Characters of each log that go in, from its end. */
const maxLogLength = 1024 * 1024;
const adminPages = [
  'server_info',
  'config_dump?include_eds',
  'clusters?format=json',
  'listeners?format=json',
  'certs',
  'stats',
  'ready',
] as const;
const adminTimeoutMs = 5000;

export async function run(context: CommandContext): Promise<number> {
  const { args, out, cwd } = context;
  const { mesh, client } = connect(context);
  const known = knownSecrets(mesh);
  const files = [
    ...describeMachine(context),
    ...(await describeMesh(client, known)),
    ...logFiles(mesh.stateDir, known),
  ];
  const stamp = new Date().toISOString().replaceAll(/[:.]/g, '-');
  const path = resolve(cwd, args.positional[0] ?? `sluice-bug-report-${stamp}.tar.gz`);
  if (existsSync(path))
    throw cliError('file-unusable', `${path} exists already: name another file, or move it away`);
  const folder = 'sluice-bug-report';
  const entries = files.map(({ name, content }) => ({ name: `${folder}/${name}`, content }));
  writeFileSync(path, Bun.gzipSync(renderTar(entries, Date.now()) as Uint8Array<ArrayBuffer>), {
    mode: 0o600,
    flag: 'wx',
  });
  out.write(
    `${path}: ${files.length} files\nTokens, keys and passwords are taken out; names, addresses and configuration are in it: look before you share it.\n`,
  );
  return exitStatus.done;
}

/** Values that must not leave, as the state directory holds them. */
export function knownSecrets({ token, stateDir }: Pick<FoundMesh, 'token' | 'stateDir'>): readonly string[] {
  const bootstraps = stateDir === undefined ? '' : join(stateDir, stateFiles.bootstraps);
  if (bootstraps === '' || !existsSync(bootstraps)) return [token];
  const texts = readdirSync(bootstraps).map((file) => readFileSync(join(bootstraps, file), 'utf8'));
  return [
    token,
    ...texts.flatMap((text) => [...text.matchAll(/Bearer ([\w.~+/=-]+)/g)].map(([, secret = '']) => secret)),
  ];
}

function describeMachine(context: CommandContext): readonly TarEntry[] {
  const machine = {
    version: sluiceVersion,
    bun: Bun.version,
    platform: process.platform,
    arch: process.arch,
    at: new Date().toISOString(),
  };
  return [jsonFile('machine.json', machine, []), jsonFile('environment.json', checkEnvironment(context), [])];
}

async function describeMesh(client: ApiClient, known: readonly string[]): Promise<readonly TarEntry[]> {
  const views = await Promise.all(
    Object.entries(viewPaths).map(async ([name, path]) =>
      jsonFile(`control/${name}.json`, await attempt(() => client.get(path)), known),
    ),
  );
  const reply = await attempt(() => client.get<{ instances: readonly InstanceView[] }>(viewPaths.instances));
  const instances = 'instances' in reply ? reply.instances : [];
  const pages = await Promise.all(instances.map((instance) => proxyPages(instance, known)));
  return [...views, ...pages.flat()];
}

async function proxyPages(
  { instance, registration }: InstanceView,
  known: readonly string[],
): Promise<readonly TarEntry[]> {
  return Promise.all(
    adminPages.map(async (page): Promise<TarEntry> => {
      const name = `proxies/${instance.slice(0, 60)}/${page.replace(/\?.*/, '')}`;
      const text = await fetchText(`http://127.0.0.1:${registration.adminPort}/${page}`);
      return text.trimStart().startsWith('{')
        ? jsonFile(`${name}.json`, JSON.parse(text), known)
        : { name: `${name}.txt`, content: redactText(text, known) };
    }),
  );
}

function logFiles(stateDir: string | undefined, known: readonly string[]): readonly TarEntry[] {
  const logs = stateDir === undefined ? '' : join(stateDir, stateFiles.logs);
  if (logs === '' || !existsSync(logs)) return [];
  const names = readdirSync(logs, { recursive: true, withFileTypes: true }).filter(
    (entry) => entry.isFile() && entry.name.endsWith('.log'),
  );
  return names.map((entry) => {
    const path = join(entry.parentPath, entry.name);
    return {
      name: `logs/${path.slice(logs.length + 1).slice(-70)}`,
      content: redactText(readFileSync(path, 'utf8').slice(-maxLogLength), known),
    };
  });
}

/** A report is made when things are broken: what cannot be had is said in its place. */
async function attempt<T>(work: () => Promise<T>): Promise<T | { readonly error: string }> {
  try {
    return await work();
  } catch (error) {
    if (isCliError(error)) return { error: error.message };
    throw error;
  }
}

async function fetchText(url: string): Promise<string> {
  try {
    return await (await fetch(url, { signal: AbortSignal.timeout(adminTimeoutMs) })).text();
  } catch (error) {
    return `not to be had: ${error instanceof Error ? error.message : String(error)}\n`;
  }
}

function jsonFile(name: string, value: unknown, known: readonly string[]): TarEntry {
  return { name, content: `${JSON.stringify(redactJson(value, known), null, 2)}\n` };
}
