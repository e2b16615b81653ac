/**
 * The proxy as a few minified files instead of 700 modules, made once from source and kept by content: a sidecar
 * loads it twice (main thread and data loop), which costs 7 MB and a third of its start otherwise (ADR 0021).
 *
 * A bundle appears by rename, whole or not at all, so processes that make it at the same time do not disturb each
 * other. Where none can be made the proxy runs from source, as tests do, and the user is told why.
 */
import {
  mkdirSync,
  existsSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { identify, isAlive, type ProcessIdentity } from './identity.ts';
import { sourceKey } from './proxy-sources.ts';
import { isCompiled, selfCommand } from './self-command.ts';

export interface ProxyBundleOptions {
  /** The project: packages/ and node_modules/ are in it. */
  readonly root: string;
  /** A sentence for the user. */
  readonly warn: (text: string) => void;
}

/** Whoever starts proxies may start them again: the bundles of living processes stay. */
const usersFolder = 'users';
/** Bundles kept whoever used them: the present one, and that of the tree's other state. */
const keptBundles = 2;
/** A process of another container cannot be asked whether it lives. */
const keptMs = 24 * 3600 * 1000;
/** Time after which a folder that a build left behind is nobody's. */
const abandonedMs = 3600 * 1000;

const projectRoot = join(import.meta.dir, '..', '..', '..', '..');

const buildOptions = {
  target: 'bun',
  format: 'esm',
  splitting: true,
  minify: true,
  sourcemap: 'linked',
  env: 'disable',
  // All in one folder: spawn-worker.ts looks for the worker beside itself.
  naming: { entry: '[name].js', chunk: 'chunk-[hash].js' },
} as const;

/** The argv to which the proxy's own arguments are appended. Never rejects. */
export async function proxyCommand(warn: (text: string) => void): Promise<readonly string[]> {
  if (isCompiled) return selfCommand('proxy');
  const bundle = await proxyBundle({ root: projectRoot, warn });
  return bundle === null ? selfCommand('proxy') : [process.execPath, bundle];
}

/** The entry file of the bundle, made if need be; null when there can be none, which `warn` was told. */
export async function proxyBundle({ root, warn }: ProxyBundleOptions): Promise<string | null> {
  const cache = join(root, 'node_modules', '.cache', 'sluice');
  try {
    const key = sourceKey(root, buildOptions);
    const folder = join(cache, `proxy-${key}`);
    if (!isWhole(folder)) {
      await build(root, cache, key);
      removeOld(cache, folder);
    }
    markUsed(folder);
    return join(folder, 'main.js');
  } catch (error) {
    warn(`${describe(error, cache)}: the proxy runs from source, which takes more memory`);
    return null;
  }
}

function isWhole(folder: string): boolean {
  return existsSync(join(folder, 'main.js')) && existsSync(join(folder, 'worker.js'));
}

/** Beside its place, so that source maps, whose paths are relative, hold there too. */
async function build(root: string, cache: string, key: string): Promise<void> {
  const incoming = join(cache, `.build-${process.pid}-${crypto.randomUUID()}`);
  mkdirSync(incoming, { recursive: true });
  try {
    const source = join(root, 'packages', 'proxy', 'src');
    await Bun.build({
      ...buildOptions,
      entrypoints: [join(source, 'main.ts'), join(source, 'workers', 'worker.ts')],
      outdir: incoming,
    });
    if (!isWhole(incoming)) throw new Error('the bundler gave no entry files');
    // An editor saved meanwhile: what was read may be neither of the two.
    if (sourceKey(root, buildOptions) !== key) throw new Error('its sources changed meanwhile');
    putInPlace(incoming, join(cache, `proxy-${key}`));
  } finally {
    rmSync(incoming, { recursive: true, force: true });
  }
}

function putInPlace(incoming: string, folder: string): void {
  try {
    renameSync(incoming, folder);
  } catch (error) {
    if (isWhole(folder)) return; // Another process was faster, with the same content.
    if (codeOf(error) !== 'ENOTEMPTY' && codeOf(error) !== 'EEXIST') throw error;
    rmSync(folder, { recursive: true, force: true }); // Somebody took files out of it.
    renameSync(incoming, folder);
  }
}

/** A tree that only its owner may write serves others all the same: they leave no mark. */
function markUsed(folder: string): void {
  const own = identify(process.pid);
  if (own === undefined) return;
  try {
    const users = join(folder, usersFolder);
    mkdirSync(users, { recursive: true });
    for (const name of readdirSync(users))
      if (!isAlive(parseUser(name))) rmSync(join(users, name), { force: true });
    writeFileSync(join(users, `${own.pid} ${encodeURIComponent(own.startedAt)}`), '');
    const now = new Date();
    utimesSync(folder, now, now);
  } catch (error) {
    if (!isDenied(error)) throw error;
  }
}

function removeOld(cache: string, present: string): void {
  const nowMs = Date.now();
  const folders = readdirSync(cache).map((name) => ({ path: join(cache, name), name }));
  for (const { path, name } of folders)
    if (name.startsWith('.build-') && ageMs(path, nowMs) > abandonedMs)
      rmSync(path, { recursive: true, force: true });
  const bundles = folders
    .filter(({ name, path }) => name.startsWith('proxy-') && path !== present)
    .map(({ path }) => ({ path, ageMs: ageMs(path, nowMs) }))
    .sort((a, b) => a.ageMs - b.ageMs)
    .slice(keptBundles - 1);
  for (const bundle of bundles)
    if (bundle.ageMs > keptMs && !hasUsers(bundle.path))
      rmSync(bundle.path, { recursive: true, force: true });
}

/** Since its last use; 0 for what has gone meanwhile. */
function ageMs(path: string, nowMs: number): number {
  return nowMs - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? nowMs);
}

function hasUsers(folder: string): boolean {
  const users = join(folder, usersFolder);
  return existsSync(users) && readdirSync(users).some((name) => isAlive(parseUser(name)));
}

function parseUser(name: string): ProcessIdentity {
  const [pid = '', startedAt = ''] = name.split(' ');
  return { pid: Number(pid), startedAt: decodeURIComponent(startedAt) };
}

function describe(error: unknown, cache: string): string {
  if (isDenied(error)) return `${cache} cannot be written`;
  const problems = error instanceof AggregateError ? error.errors : [error];
  const words = problems.slice(0, 3).map((one) => (one instanceof Error ? one.message : String(one)));
  return `the proxy could not be bundled (${words.join('; ')})`;
}

function isDenied(error: unknown): boolean {
  return ['EACCES', 'EPERM', 'EROFS'].includes(codeOf(error));
}

function codeOf(error: unknown): string {
  return String((error as { code?: unknown } | null)?.code ?? '');
}
