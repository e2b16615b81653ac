/** Resources from `-f`: files, folders and standard input, read and validated as the control plane would. */
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import {
  formatProblem,
  hasErrors,
  readObjects,
  sortProblems,
  type Problem,
  type ReadObject,
} from '@sluice/api';
import type { CommandContext } from '../context.ts';
import { cliError } from '../errors.ts';
import { meshFileName } from '../up/mesh-file.ts';

export interface ReadFiles {
  readonly objects: readonly ReadObject[];
  readonly problems: readonly Problem[];
  readonly files: readonly string[];
}

const extensions = /\.(?:ya?ml|json)$/;

/** Reads everything; problems are the caller's to judge. Throws `file-unusable` for what is not there. */
export async function readFiles(
  context: CommandContext,
  paths: readonly string[],
  isRecursive: boolean,
): Promise<ReadFiles> {
  const address = paths.find((path) => /^https?:\/\//.test(path));
  if (address !== undefined)
    throw cliError('usage', `addresses are not fetched: curl -sfL ${address} | sluice … -f -`);
  const named = paths.flatMap((path) =>
    path === '-' ? ['-'] : filesOf(resolve(context.cwd, path), isRecursive),
  );
  const files = [...new Set(named)];
  const read = await Promise.all(
    files.map(async (file) => {
      const text = file === '-' ? await context.readStdin() : readFileSync(file, 'utf8');
      return readObjects(text, file === '-' ? 'stdin' : shorten(context.cwd, file));
    }),
  );
  return {
    files,
    objects: read.flatMap(({ objects }) => objects),
    problems: sortProblems(read.flatMap(({ problems }) => problems)),
  };
}

/** For commands that write: every file must be right before the first object is sent. */
export async function readUsableFiles(context: CommandContext): Promise<readonly ReadObject[]> {
  const { args, out } = context;
  const paths = args.list('filename');
  if (paths.length === 0)
    throw cliError('usage', 'say what to read with -f: a file, a folder, or - for standard input');
  const { objects, problems } = await readFiles(context, paths, args.has('recursive'));
  const lines = problems.map((problem) => formatProblem(problem));
  if (hasErrors(problems))
    throw cliError('file-unusable', `nothing was sent, because of\n${lines.join('\n')}`);
  for (const line of lines) out.writeError(`${line}\n`);
  if (objects.length === 0) {
    const hint = args.has('recursive') ? '' : ' (folders inside them are read with -R)';
    throw cliError('file-unusable', `there are no resources in ${paths.join(', ')}${hint}`);
  }
  const namespace = args.text('namespace');
  return namespace === undefined ? objects : objects.map((read) => inNamespace(read, namespace));
}

/** `-n` fills in what the file leaves open, and contradicts nothing. */
function inNamespace(read: ReadObject, namespace: string): ReadObject {
  const { metadata } = read.object;
  if (!read.kind.namespaced) return read;
  if (metadata.namespace !== undefined && metadata.namespace !== namespace) {
    throw cliError(
      'usage',
      `${read.origin.file}:${read.origin.line}: ${metadata.name} is in namespace ${metadata.namespace}, and -n says ${namespace}`,
    );
  }
  return { ...read, object: { ...read.object, metadata: { ...metadata, namespace } } };
}

function filesOf(path: string, isRecursive: boolean): readonly string[] {
  if (!existsSync(path)) throw cliError('file-unusable', `${path} does not exist`);
  if (!statSync(path).isDirectory()) return [path];
  const entries = readdirSync(path, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  return entries.flatMap((entry) => {
    if (entry.name.startsWith('.')) return [];
    if (entry.isDirectory()) return isRecursive ? filesOf(join(path, entry.name), true) : [];
    return extensions.test(entry.name) && entry.name !== meshFileName ? [join(path, entry.name)] : [];
  });
}

function shorten(cwd: string, file: string): string {
  const path = relative(cwd, file);
  return path === '' || path.startsWith('..') ? file : path;
}
