/** Bundles of small trees that are laid out as ours is. */
import { afterEach, describe, expect, test } from 'bun:test';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { cleanUp, makeTempDir } from '@sluice/testkit';
import { identify } from './identity.ts';
import { proxyBundle } from './proxy-bundle.ts';
import { sourceKey } from './proxy-sources.ts';

afterEach(cleanUp);

const refuse = (text: string): never => {
  throw new Error(`unexpected warning: ${text}`);
};

function write(root: string, path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

function makeTree(): string {
  const root = makeTempDir();
  write(root, 'package-lock.json', '{}');
  for (const name of ['identity', 'proxy', 'runtime', 'wire', 'xds']) {
    write(root, `packages/${name}/package.json`, `{"name":"@sluice/${name}","type":"module"}`);
    write(root, `packages/${name}/src/mod.ts`, 'export {};\n');
  }
  write(root, 'packages/proxy/src/shared.ts', 'export const greeting = "hello";\n');
  for (const path of ['main.ts', 'workers/worker.ts']) {
    const shared = path === 'main.ts' ? './shared.ts' : '../shared.ts';
    write(
      root,
      `packages/proxy/src/${path}`,
      `import { greeting } from '${shared}'; console.log(greeting);\n`,
    );
  }
  mkdirSync(join(root, 'node_modules'));
  return root;
}

const cacheOf = (root: string): string => join(root, 'node_modules', '.cache', 'sluice');

/** As if it had been used last so many days ago, by nobody who lives. */
function age(bundle: string | null, days: number): string {
  const folder = dirname(bundle ?? '');
  rmSync(join(folder, 'users'), { recursive: true });
  const time = new Date(Date.now() - days * 24 * 3600 * 1000);
  utimesSync(folder, time, time);
  return basename(folder);
}

describe('the key of the sources', () => {
  const change = (path: string, text: string, options: object = {}): [string, string] => {
    const root = makeTree();
    const before = sourceKey(root, {});
    write(root, path, text);
    return [before, sourceKey(root, options)];
  };

  test.each([
    ['a changed file', 'packages/wire/src/mod.ts', 'export const a = 1;\n'],
    ['a new file', 'packages/xds/src/gen/tables.ts', 'export {};\n'],
    ['the version of a package', 'packages/proxy/package.json', '{"version":"2"}'],
    ['the versions of dependencies', 'package-lock.json', '{"a":1}'],
  ])('changes with %s', (_what, path, text) => {
    const [before, after] = change(path, text);
    expect(after).not.toBe(before);
  });

  test.each([
    ['a test', 'packages/wire/src/a.test.ts'],
    ['a test double', 'packages/wire/src/a.test-double.ts'],
    ['what is no source', 'packages/wire/README.md'],
    ['another package', 'packages/control/src/mod.ts'],
  ])('does not change with %s', (_what, path) => {
    const [before, after] = change(path, 'throw new Error();\n');
    expect(after).toBe(before);
  });

  test('changes with options, not with times or the place of the tree', () => {
    const root = makeTree();
    const before = sourceKey(root, {});
    utimesSync(join(root, 'packages/wire/src/mod.ts'), 1, 1);
    expect(sourceKey(root, {})).toBe(before);
    expect(sourceKey(makeTree(), {})).toBe(before);
    expect(sourceKey(root, { minify: true })).not.toBe(before);
  });
});

describe('a bundle', () => {
  test('is made once, runs, and is made anew for changed sources', async () => {
    const root = makeTree();
    const first = await proxyBundle({ root, warn: refuse });
    const made = statSync(first ?? '').mtimeMs;
    expect(await proxyBundle({ root, warn: refuse })).toBe(first);
    expect(statSync(first ?? '').mtimeMs).toBe(made);
    expect(Bun.spawnSync([process.execPath, first ?? '']).stdout.toString()).toBe('hello\n');
    expect(existsSync(join(dirname(first ?? ''), 'worker.js'))).toBe(true);
    write(root, 'packages/proxy/src/shared.ts', 'export const greeting = "good day";\n');
    const second = await proxyBundle({ root, warn: refuse });
    expect(second).not.toBe(first);
    expect(Bun.spawnSync([process.execPath, second ?? '']).stdout.toString()).toBe('good day\n');
  });

  test('names source files that exist in its source maps', async () => {
    const main = (await proxyBundle({ root: makeTree(), warn: refuse })) ?? '';
    const { sources } = JSON.parse(readFileSync(`${main}.map`, 'utf8')) as { sources: string[] };
    expect(sources.filter((path) => !existsSync(join(dirname(main), path)))).toEqual([]);
    expect(sources.map((path) => basename(path))).toContain('main.ts');
  });

  test('is one when several make it at the same time', async () => {
    const root = makeTree();
    const made = await Promise.all(Array.from({ length: 4 }, () => proxyBundle({ root, warn: refuse })));
    expect(new Set(made).size).toBe(1);
    expect(readdirSync(cacheOf(root))).toEqual([basename(dirname(made[0] ?? ''))]);
  });

  test('is put together again when files of it are gone', async () => {
    const root = makeTree();
    const first = (await proxyBundle({ root, warn: refuse })) ?? '';
    rmSync(join(dirname(first), 'worker.js'));
    expect(await proxyBundle({ root, warn: refuse })).toBe(first);
    expect(existsSync(join(dirname(first), 'worker.js'))).toBe(true);
  });

  test('is not had from sources that do not compile, which is told, and nothing stays behind', async () => {
    const root = makeTree();
    write(root, 'packages/proxy/src/shared.ts', 'export const = ;\n');
    const warnings: string[] = [];
    expect(await proxyBundle({ root, warn: (text) => warnings.push(text) })).toBeNull();
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toStartWith('the proxy could not be bundled');
    expect(warnings[0]).toEndWith('the proxy runs from source, which takes more memory');
    expect(readdirSync(cacheOf(root))).toEqual([]);
  });

  test('is not had from sources that change while it is made', async () => {
    const root = makeTree();
    const warnings: string[] = [];
    const made = proxyBundle({ root, warn: (text) => warnings.push(text) });
    write(root, 'packages/proxy/src/shared.ts', 'export const greeting = "good day";\n');
    expect(await made).toBeNull();
    expect(warnings[0]).toContain('its sources changed meanwhile');
    expect(readdirSync(cacheOf(root))).toEqual([]);
  });

  test.skipIf(process.platform !== 'linux')('is not had where nobody may write, which is told', async () => {
    const root = makeTree();
    rmSync(join(root, 'node_modules'), { recursive: true });
    symlinkSync('/sys', join(root, 'node_modules')); // Refuses new folders, whoever asks.
    const warnings: string[] = [];
    expect(await proxyBundle({ root, warn: (text) => warnings.push(text) })).toBeNull();
    expect(warnings).toEqual([
      `${cacheOf(root)} cannot be written: the proxy runs from source, which takes more memory`,
    ]);
  });

  test('of an older tree stays while it is the one before, was used lately, or has a living user', async () => {
    const root = makeTree();
    const bundles: (string | null)[] = [];
    const next = async (): Promise<void> => {
      write(root, 'packages/wire/src/mod.ts', `export const a = ${bundles.length};\n`);
      bundles.push(await proxyBundle({ root, warn: refuse }));
    };
    for (let i = 0; i < 4; i++) await next();
    const [gone, used, before] = [age(bundles[0]!, 9), age(bundles[1]!, 8), age(bundles[3]!, 2)];
    const lately = age(bundles[2]!, 0.5);
    const own = identify(process.pid)!;
    const users = join(cacheOf(root), used, 'users');
    mkdirSync(users);
    writeFileSync(join(users, `${own.pid} ${encodeURIComponent(own.startedAt)}`), '');
    const time = new Date(Date.now() - 8 * 24 * 3600 * 1000);
    utimesSync(dirname(users), time, time);
    await next();
    const left = readdirSync(cacheOf(root)).sort();
    expect(left).not.toContain(gone);
    expect(left).not.toContain(before); // The one before is the one that was used last.
    expect(left).toEqual([used, lately, basename(dirname(bundles[4] ?? ''))].sort());
  });
});
