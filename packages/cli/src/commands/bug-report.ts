/** `sluice bug-report`: what somebody else needs to understand a problem, in one archive, without secrets. */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { parseYaml } from '@sluice/api';
import { sluiceVersion } from '@sluice/runtime';
import { stringify } from 'yaml';
import type { CommandContext } from '../context.ts';
import { cliError, exitStatus, isCliError } from '../errors.ts';
import { lookTimeoutMs, type ApiClient } from '../mesh/api-client.ts';
import type { FoundMesh } from '../mesh/find-mesh.ts';
import { localSidecars } from '../mesh/local-sidecars.ts';
import { stateFiles } from '../mesh/state-dir.ts';
import { viewPaths, type InstanceView, type SummaryView } from '../mesh/views.ts';
import { redactJson, redactText } from '../output/redact.ts';
import { renderTar, type TarEntry } from '../output/tar.ts';
import { meshFileName } from '../up/mesh-file.ts';
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
    ...(await describeMesh(client, mesh.stateDir, known)),
    ...ownFiles(mesh, known),
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

/** The control plane's views, and the pages of every sidecar that it or the state directory knows of. */
async function describeMesh(
  client: ApiClient,
  stateDir: string | undefined,
  known: readonly string[],
): Promise<readonly TarEntry[]> {
  const limit = { timeoutMs: lookTimeoutMs };
  const views = await Promise.all(
    Object.entries(viewPaths).map(async ([name, path]) => ({
      name,
      view: await attempt(() => client.get<object>(path, limit)),
    })),
  );
  const reply = views.find(({ name }) => name === 'instances')?.view ?? {};
  const instances = 'instances' in reply ? (reply.instances as readonly InstanceView[]) : [];
  const summary = views.find(({ name }) => name === 'summary')?.view as Partial<SummaryView> | undefined;
  const metrics = summary?.addresses?.metrics;
  const sidecars = new Map(localSidecars(stateDir).map(({ name, adminPort }) => [adminPort, name]));
  for (const { instance, registration } of instances) sidecars.set(registration.adminPort, instance);
  const pages = await Promise.all(
    [...sidecars].map(([adminPort, name]) => proxyPages(name, adminPort, known)),
  );
  return [
    ...views.map(({ name, view }) => jsonFile(`control/${name}.json`, view, known)),
    ...(metrics === undefined
      ? []
      : [
          {
            name: 'control/metrics.txt',
            content: redactText(await fetchText(`http://${metrics}/metrics`), known),
          },
        ]),
    ...pages.flat(),
  ];
}

/** What `up` was told, and what it has noted of ports and processes. */
function ownFiles({ record, stateDir }: FoundMesh, known: readonly string[]): readonly TarEntry[] {
  const noted =
    stateDir === undefined
      ? []
      : [stateFiles.mesh, stateFiles.ports, 'processes.json'].map((name) => join(stateDir, name));
  const meshFile = record === undefined ? '' : join(record.dir, meshFileName);
  return [
    ...noted
      .filter((path) => existsSync(path))
      .map((path) => ({
        name: `files/${basename(path)}`,
        content: redactText(readFileSync(path, 'utf8'), known),
      })),
    ...(existsSync(meshFile)
      ? [{ name: `files/${meshFileName}`, content: withoutValues(readFileSync(meshFile, 'utf8'), known) }]
      : []),
  ];
}

/** sluice.yaml without the environments of workloads: any of their values may be a secret, whatever its name. */
export function withoutValues(text: string, known: readonly string[]): string {
  const { documents } = parseYaml(text, meshFileName);
  const [document] = documents;
  // What cannot be understood cannot be searched for secrets, either.
  if (document === undefined) return 'it is not YAML\n';
  return stringify(redactJson(emptyEnvironments(document.value), known));
}

function emptyEnvironments(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(emptyEnvironments);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => {
      if (name !== 'env' || typeof item !== 'object' || item === null) return [name, emptyEnvironments(item)];
      return [name, Object.fromEntries(Object.keys(item).map((key) => [key, '[removed]']))];
    }),
  );
}

async function proxyPages(
  instance: string,
  adminPort: number,
  known: readonly string[],
): Promise<readonly TarEntry[]> {
  return Promise.all(
    adminPages.map(async (page): Promise<TarEntry> => {
      const name = `proxies/${instance.slice(0, 60)}/${page.replace(/\?.*/, '')}`;
      const text = await fetchText(`http://127.0.0.1:${adminPort}/${page}`);
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
    (entry) => entry.isFile() && /\.log(?:\.1)?$/.test(entry.name),
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
