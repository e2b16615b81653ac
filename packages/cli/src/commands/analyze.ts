/** `sluice analyze`: what is wrong in files before they go anywhere, each with its place and a stable code. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import {
  analyze,
  formatKey,
  formatProblem,
  honouredKinds,
  isKind,
  keyOf,
  readObjects,
  readSluiceFile,
  sortProblems,
  type AnalyzedObject,
  type Instance,
  type Problem,
  type Severity,
  type WorldOptions,
} from '@sluice/api';
import type { CommandContext } from '../context.ts';
import { cliError, exitStatus } from '../errors.ts';
import { viewPaths, type InstanceView } from '../mesh/views.ts';
import { renderAs } from '../output/structured.ts';
import { renderServices } from '../up/generated-services.ts';
import { meshFileName } from '../up/mesh-file.ts';
import { connect } from './connect.ts';
import { readFiles } from './read-files.ts';

const ranks: Readonly<Record<Severity, number>> = { notice: 0, warning: 1, error: 2 };

export async function run(context: CommandContext): Promise<number> {
  const { args } = context;
  const paths = [...args.positional, ...args.list('filename')];
  if (paths.length === 0)
    throw cliError('usage', 'say what to analyze: files, folders, or - for standard input');
  const { objects, problems, files } = await readFiles(context, paths, args.has('recursive'));
  const own: AnalyzedObject[] = objects
    .filter(({ isUsable }) => isUsable)
    .map(({ object, origin, locate }) => ({ object, file: origin.file, locate }));
  const described = meshFiles(context, paths, own);
  const world = args.has('live') ? await readLive(context, own) : described;
  const found = analyze([...own, ...world.others], optionsOf(args.text('namespace'), world));
  // What is live was judged when it went there.
  const ofFiles = found.filter((problem) => problem.file !== undefined);
  const all = sortProblems([...described.problems, ...problems, ...ofFiles]);
  report(context, all, `${counted(files.length, 'file')}, ${counted(objects.length, 'resource')}`);
  const limit = (args.text('fail-on') ?? 'error') as Severity;
  return all.some(({ severity }) => ranks[severity] >= ranks[limit]) ? exitStatus.failed : exitStatus.done;
}

function optionsOf(
  namespace: string | undefined,
  { instances, knowsAllInstances }: World,
): Partial<WorldOptions> {
  return {
    instances,
    knowsAllInstances,
    ...(namespace === undefined ? {} : { defaultNamespace: namespace }),
  };
}

function report({ args, out }: CommandContext, problems: readonly Problem[], what: string): void {
  const format = args.text('output');
  if (format === 'json' || format === 'yaml') {
    out.write(renderAs(format, problems));
    return;
  }
  out.write(problems.map((problem) => `${colour(problem, out.palette)}\n`).join(''));
  const count = (severity: Severity): number =>
    problems.filter((problem) => problem.severity === severity).length;
  out.writeError(`${what}: ${counted(count('error'), 'error')}, ${counted(count('warning'), 'warning')}\n`);
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

interface World {
  readonly others: readonly AnalyzedObject[];
  readonly instances: readonly Instance[];
  readonly knowsAllInstances: boolean;
}

/** Everything the running mesh has, less what the files replace. */
async function readLive(context: CommandContext, own: readonly AnalyzedObject[]): Promise<World> {
  const { client, kube } = connect(context);
  const replaced = new Set(own.map(({ object }) => formatKey(keyOf(object))));
  const lists = await Promise.all(honouredKinds.map((kind) => kube.list(kind, { namespace: undefined })));
  const others = lists
    .flatMap(({ items }) => items)
    .filter((object) => !replaced.has(formatKey(keyOf(object))));
  const { instances } = await client.get<{ instances: readonly InstanceView[] }>(viewPaths.instances);
  return {
    others: others.map((object) => ({ object })),
    instances: instances.map(({ registration }) => ({
      namespace: registration.namespace,
      labels: registration.labels,
    })),
    knowsAllInstances: true,
  };
}

/**
 * A sluice.yaml among what is analyzed, or beside it, tells which instances there will be, and which Services `up`
 * makes for workloads that have none.
 */
function meshFiles(
  { cwd }: CommandContext,
  paths: readonly string[],
  own: readonly AnalyzedObject[],
): World & { readonly problems: readonly Problem[] } {
  const files = new Set(paths.flatMap((path) => meshFileOf(cwd, path) ?? []));
  const found = [...files].map((file) => readSluiceFile(readFileSync(file, 'utf8'), file));
  const workloads = found.flatMap(({ config }) => config?.workloads ?? []);
  const defined = new Set(
    own
      .filter(({ object }) => isKind(object, '/Service'))
      .map(({ object: { metadata } }) => `${metadata.namespace ?? 'default'}/${metadata.name}`),
  );
  const generated = readObjects(renderServices(workloads, defined), 'generated');
  return {
    others: generated.objects.map(({ object }) => ({ object })),
    instances: workloads.map(({ namespace, labels }) => ({ namespace, labels })),
    knowsAllInstances: found.some(({ config }) => config !== undefined),
    problems: found.flatMap(({ problems }) => problems),
  };
}

function meshFileOf(cwd: string, path: string): string | undefined {
  const named = resolve(cwd, path);
  if (path === '-' || !existsSync(named)) return undefined;
  const folder = statSync(named).isDirectory() ? named : dirname(named);
  return [join(folder, meshFileName), join(folder, '..', meshFileName)].find((candidate) =>
    existsSync(candidate),
  );
}

function colour(problem: Problem, palette: CommandContext['out']['palette']): string {
  const text = formatProblem(problem);
  const tint =
    problem.severity === 'error' ? palette.bad : problem.severity === 'warning' ? palette.warn : palette.dim;
  return text.replace(`${problem.severity} [`, `${tint(problem.severity)} [`);
}
