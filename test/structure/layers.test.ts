/**
 * Reads every import of every package and refuses what the declared layers do not allow.
 * A failure names the rule, the file and line, and what to do instead.
 */
import { Glob } from 'bun';
import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { allow } from './layers.allow.ts';
import {
  environmentPlaces,
  environmentUse,
  ioGlobals,
  ioModules,
  layers,
  maxLines,
  sansIo,
  socketPlaces,
  socketUse,
  testOnly,
} from './layers.ts';

const root = normalize(join(import.meta.dir, '../..'));

interface SourceFile {
  path: string;
  packageName: string;
  text: string;
  isTest: boolean;
  imports: { specifier: string; line: number }[];
}

const files = readSources();

describe('layers', () => {
  test('packages import only what their layer declares, by package name', () => {
    expect(violations('layer', checkLayer)).toEqual([]);
  });

  test('relative imports stay inside their package', () => {
    expect(violations('escape', checkEscape)).toEqual([]);
  });

  test('other packages are entered through mod.ts or a declared export only', () => {
    expect(violations('entry', checkEntry)).toEqual([]);
  });

  test('no import cycles inside a package', () => {
    expect(findCycles()).toEqual([]);
  });

  test('wire and xds do no input or output and know no time or chance', () => {
    expect(violations('sans-io', checkSansIo)).toEqual([]);
  });

  test('sockets are opened in proxy/src/io and control/src/serve only', () => {
    expect(violations('socket', checkSockets)).toEqual([]);
  });

  test('environment and arguments are read in main.ts only', () => {
    expect(violations('environment', checkEnvironment)).toEqual([]);
  });

  test(`no file is longer than ${maxLines} lines without a reason`, () => {
    expect(violations('length', checkLength)).toEqual([]);
  });

  test('every exception is still needed', () => {
    const known = new Set(files.map((file) => file.path));
    expect(allow.filter((entry) => !known.has(entry.file)).map((entry) => entry.file)).toEqual([]);
  });

  test('the check itself sees the tree', () => {
    expect(files.length).toBeGreaterThan(20);
    expect(files.some((file) => file.imports.length > 0)).toBe(true);
  });
});

function violations(rule: string, check: (file: SourceFile) => string[]): string[] {
  return files
    .filter((file) => !allow.some((entry) => entry.rule === rule && entry.file === file.path))
    .flatMap((file) => check(file).map((message) => `[${rule}] ${message}`));
}

function checkLayer(file: SourceFile): string[] {
  const allowed = layers[file.packageName];
  if (!allowed)
    return [`${file.path}: package ${file.packageName} is not declared; add it to test/structure/layers.ts`];
  return file.imports.flatMap(({ specifier, line }) => {
    const target = /^@sluice\/([a-z]+)/.exec(specifier)?.[1];
    if (!target || target === file.packageName || allowed.includes(target)) return [];
    if (testOnly.has(target) && file.isTest) return [];
    return [
      `${file.path}:${line}: ${file.packageName} may not import ${target}; it may import ${allowed.join(', ') || 'nothing of ours'}. Move the shared part down a layer, or pass it in where stack.ts composes.`,
    ];
  });
}

function checkEscape(file: SourceFile): string[] {
  const home = `packages/${file.packageName}/`;
  return file.imports.flatMap(({ specifier, line }) => {
    if (!specifier.startsWith('.')) return [];
    const target = relative(root, join(root, dirname(file.path), specifier));
    if (target.startsWith(home)) return [];
    return [`${file.path}:${line}: "${specifier}" leaves ${home}; import the package by name instead.`];
  });
}

function checkEntry(file: SourceFile): string[] {
  return file.imports.flatMap(({ specifier, line }) => {
    const match = /^@sluice\/([a-z]+)\/(.+)$/.exec(specifier);
    if (!match) return [];
    const manifest = JSON.parse(readFileSync(join(root, `packages/${match[1]}/package.json`), 'utf8')) as {
      exports?: Record<string, string>;
    };
    if (manifest.exports?.[`./${match[2]}`]) return [];
    return [
      `${file.path}:${line}: "${specifier}" is not an export of @sluice/${match[1]}; export it from its mod.ts.`,
    ];
  });
}

function checkSansIo(file: SourceFile): string[] {
  if (!sansIo.has(file.packageName) || file.isTest) return [];
  const bad = file.imports
    .filter(({ specifier }) => ioModules.test(specifier))
    .map(
      ({ specifier, line }) =>
        `${file.path}:${line}: a sans-I/O package may not load ${specifier}; take bytes and times as arguments.`,
    );
  return [
    ...bad,
    ...codeLines(
      file,
      ioGlobals,
      'a sans-I/O package may not use this; take times and randomness as arguments.',
    ),
  ];
}

function checkSockets(file: SourceFile): string[] {
  if (
    file.isTest ||
    file.packageName === 'testkit' ||
    socketPlaces.some((place) => file.path.startsWith(place))
  )
    return [];
  return codeLines(
    file,
    socketUse,
    `sockets belong in ${socketPlaces.join(' or ')}; put an interface between.`,
  );
}

function checkEnvironment(file: SourceFile): string[] {
  if (file.isTest || file.packageName === 'testkit' || environmentPlaces.test(file.path)) return [];
  return codeLines(file, environmentUse, 'environment and arguments are read in main.ts and passed on.');
}

function checkLength(file: SourceFile): string[] {
  const count = file.text.split('\n').length - 1;
  return count > maxLines
    ? [`${file.path}: ${count} lines; split it by idea, or give a reason in layers.allow.ts.`]
    : [];
}

function codeLines(file: SourceFile, pattern: RegExp, remedy: string): string[] {
  return stripComments(file.text)
    .split('\n')
    .flatMap((text, index) =>
      pattern.test(text) ? [`${file.path}:${index + 1}: \`${text.trim()}\`: ${remedy}`] : [],
    );
}

function findCycles(): string[] {
  const graph = new Map<string, string[]>();
  for (const file of files) {
    if (file.isTest) continue;
    const targets = file.imports
      .filter(({ specifier }) => specifier.startsWith('.'))
      .map(({ specifier }) => relative(root, join(root, dirname(file.path), specifier)));
    graph.set(file.path, targets);
  }
  const state = new Map<string, 'open' | 'done'>();
  const cycles: string[] = [];
  const visit = (path: string, trail: string[]): void => {
    if (state.get(path) === 'done') return;
    if (state.get(path) === 'open') {
      cycles.push(
        `[cycle] ${[...trail.slice(trail.indexOf(path)), path].join(' → ')}: move what both need into a third file.`,
      );
      return;
    }
    state.set(path, 'open');
    for (const target of graph.get(path) ?? []) visit(target, [...trail, path]);
    state.set(path, 'done');
  };
  for (const path of graph.keys()) visit(path, []);
  return cycles;
}

function readSources(): SourceFile[] {
  const paths = [...new Glob('packages/*/src/**/*.ts').scanSync({ cwd: root })]
    .filter((path) => !path.includes('/gen/') && !path.includes('/testdata/'))
    .sort();
  return paths.map((path) => {
    const text = readFileSync(join(root, path), 'utf8');
    const packageName = path.split('/')[1] ?? '';
    const isTest =
      /\.(test|fuzz|suite|test-double|fixture)\./.test(path) ||
      /\/(testing|testdata|test-[^/]*)/.test(path) ||
      /\/[a-z-]*-suite\.ts$/.test(path);
    return { path, packageName, text, isTest, imports: readImports(text, path) };
  });
}

/**
 * Imports by Bun's own scanner, which drops type-only ones, plus a scan of the text, which keeps them.
 * Type imports are dependencies too: they decide what a reader must know.
 */
function readImports(text: string, path: string): { specifier: string; line: number }[] {
  const code = stripComments(text, true);
  const found: { specifier: string; line: number }[] = [];
  const pattern =
    /(?:^|[\s;}])(?:import|export)\s(?:[^'";]*?\sfrom\s*)?['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/g;
  for (const match of code.matchAll(pattern)) {
    const specifier = match[1] ?? match[2];
    if (!specifier) throw new Error(`unreadable import in ${path}`);
    found.push({ specifier, line: code.slice(0, match.index).split('\n').length });
  }
  return found;
}

/** Blanks comments, and string contents too unless `keepStrings`; line numbers stay as they are. */
function stripComments(text: string, keepStrings = false): string {
  const pattern = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"/g;
  return text.replace(pattern, (part) => {
    const isComment = part.startsWith('/*') || part.startsWith('//');
    if (!isComment && (keepStrings || part.startsWith("'node:"))) return part;
    return part.replace(/[^\n]/g, ' ');
  });
}
