/** sluice.yaml as `up` needs it: settled, with what was written by hand told apart from defaults. */
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import {
  formatProblem,
  parseYaml,
  readObjects,
  readSluiceFile,
  sortProblems,
  type SluiceConfig,
} from '@sluice/api';
import { cliError } from '../errors.ts';
import type { ControlPort } from './control-addresses.ts';

export const meshFileName = 'sluice.yaml';

export interface MeshFile {
  readonly path: string;
  readonly dir: string;
  readonly name: string;
  readonly config: SluiceConfig;
  /** Control-plane ports that the file itself names. */
  readonly explicitPorts: ReadonlySet<ControlPort>;
  /** Absolute; those of the file, or the default folder where it exists. */
  readonly resources: readonly string[];
  /** The default folder where it does not exist yet: people make it when they write their first resource. */
  readonly optionalResources: readonly string[];
  readonly warnings: readonly string[];
}

/** Reads DIR/sluice.yaml, or the file itself. Throws `file-unusable` with every problem. */
export function readMeshFile(where: string): MeshFile {
  const path = findFile(where);
  const text = readFileSync(path, 'utf8');
  const { config, problems } = readSluiceFile(text, path);
  const lines = sortProblems(problems).map(formatProblem);
  if (config === undefined) throw cliError('file-unusable', `${path} cannot be used:\n${lines.join('\n')}`);
  const dir = resolve(path, '..');
  const written = parseYaml(text, path).documents[0]?.value ?? {};
  return {
    path,
    dir,
    name: config.name ?? basename(dir),
    config,
    explicitPorts: new Set(explicitPorts(written['ports'])),
    ...resourcePaths(config, dir, Object.hasOwn(written, 'resources')),
    warnings: lines,
  };
}

/** `namespace/name` of every Service that the folder defines itself. */
export function definedServices(resources: readonly string[]): ReadonlySet<string> {
  const names = new Set<string>();
  for (const file of resources.flatMap(yamlFilesBelow)) {
    for (const { object } of readObjects(readFileSync(file, 'utf8'), file).objects) {
      if (object.kind === 'Service' && object.apiVersion === 'v1')
        names.add(`${object.metadata.namespace ?? 'default'}/${object.metadata.name}`);
    }
  }
  return names;
}

/** YAML and JSON files of a folder and the folders inside it; a file stands for itself. */
export function yamlFilesBelow(path: string): readonly string[] {
  if (!statSync(path).isDirectory()) return [path];
  const entries = readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    if (entry.name.startsWith('.')) return [];
    if (entry.isDirectory()) return yamlFilesBelow(join(path, entry.name));
    return /\.(?:ya?ml|json)$/.test(entry.name) && entry.name !== meshFileName
      ? [join(path, entry.name)]
      : [];
  });
}

function findFile(where: string): string {
  const path = resolve(where);
  if (!existsSync(path))
    throw cliError('file-unusable', `${path} does not exist: name a folder with a ${meshFileName}`);
  const file = statSync(path).isDirectory() ? join(path, meshFileName) : path;
  if (!existsSync(file))
    throw cliError(
      'file-unusable',
      `there is no ${meshFileName} in ${path}: create one, or name another folder`,
    );
  return file;
}

function resourcePaths(
  config: SluiceConfig,
  dir: string,
  isWritten: boolean,
): Pick<MeshFile, 'resources' | 'optionalResources'> {
  const paths = config.resources.map((path) => resolve(dir, path));
  // Only the default folder may be missing: what somebody wrote is meant.
  if (isWritten) return { resources: paths, optionalResources: [] };
  return {
    resources: paths.filter((path) => existsSync(path)),
    optionalResources: paths.filter((path) => !existsSync(path)),
  };
}

function explicitPorts(ports: unknown): ControlPort[] {
  if (typeof ports !== 'object' || ports === null) return [];
  return (['xds', 'secure', 'metrics', 'api'] as const).filter((name) => Object.hasOwn(ports, name));
}
