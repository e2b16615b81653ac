/** `sluice apply`: makes what files say so, merging as kubectl does, and says what happened to each object. */
import {
  applyObject,
  jsonEqual,
  lastAppliedAnnotation,
  foldStringData,
  isKind,
  withLastApplied,
  type Json,
  type KubeObject,
  type ReadObject,
} from '@sluice/api';
import { resolve } from 'node:path';
import type { CommandContext } from '../context.ts';
import { exitStatus } from '../errors.ts';
import { ApiRefusal } from '../mesh/api-client.ts';
import type { KubeClient, WriteOptions } from '../mesh/kube-client.ts';
import { connect } from './connect.ts';
import { nameOf } from './get.ts';
import { readUsableFiles } from './read-files.ts';

export type Applied = 'created' | 'configured' | 'unchanged';

export interface ApplyResult {
  readonly outcome: Applied;
  readonly object: KubeObject;
  readonly warnings: readonly string[];
}

/** Another writer may come between reading and writing. */
const maxAttempts = 5;

export async function run(context: CommandContext): Promise<number> {
  const { args, out } = context;
  const objects = await readUsableFiles(context);
  const dryRun = args.text('dry-run');
  if (dryRun === 'client') {
    for (const { object } of objects) out.write(`${nameOf(object)} valid (client dry run)\n`);
    return exitStatus.done;
  }
  const { kube } = connect(context);
  const options = { isDryRun: dryRun === 'server', adopts: args.has('adopt') };
  let hasFailed = false;
  for (const read of objects) {
    try {
      const { outcome, object, warnings } = await applyOne(kube, read, options);
      for (const warning of warnings) out.writeError(`${out.palette.warn('warning')}: ${warning}\n`);
      out.write(`${nameOf(object)} ${outcome}${options.isDryRun ? ' (server dry run)' : ''}\n`);
    } catch (error) {
      if (!(error instanceof ApiRefusal)) throw error;
      if (isWatched(error, resolve(context.cwd, read.origin.file))) {
        out.write(`${nameOf(read.object)} is watched in this file: saving it is enough\n`);
        continue;
      }
      hasFailed = true;
      out.writeError(
        `${out.palette.bad('error')}: ${read.origin.file}:${read.origin.line}: ${error.message}${adoptHint(error)}\n`,
      );
    }
  }
  return hasFailed ? exitStatus.failed : exitStatus.done;
}

/** Throws ApiRefusal. */
export async function applyOne(
  kube: KubeClient,
  { object, kind }: ReadObject,
  options: WriteOptions,
): Promise<ApplyResult> {
  const namespace = object.metadata.namespace ?? 'default';
  const plain = isKind(object, '/Secret') ? foldStringData(object) : object;
  const wanted: KubeObject = kind.namespaced
    ? { ...plain, metadata: { ...plain.metadata, namespace } }
    : plain;
  for (let attempt = 1; ; attempt++) {
    const live = await kube.find(kind, namespace, object.metadata.name);
    try {
      return live === null
        ? await create(kube, { kind, wanted, options })
        : await change(kube, live, { kind, wanted, options });
    } catch (error) {
      const isRace =
        error instanceof ApiRefusal && error.status === 409 && !error.causes.includes('OwnedElsewhere');
      if (!isRace || attempt >= maxAttempts) throw error;
    }
  }
}

interface Write {
  readonly kind: ReadObject['kind'];
  readonly wanted: KubeObject;
  readonly options: WriteOptions;
}

async function create(kube: KubeClient, { kind, wanted, options }: Write): Promise<ApplyResult> {
  const { body, warnings } = await kube.create(kind, withLastApplied(wanted), options);
  return { outcome: 'created', object: body, warnings };
}

async function change(
  kube: KubeClient,
  live: KubeObject,
  { kind, wanted, options }: Write,
): Promise<ApplyResult> {
  const merged = applyObject(wanted, live);
  // An object that a file owns has to be taken over by a write, also when its content stays.
  if (!options.adopts && isSame(merged, live)) return { outcome: 'unchanged', object: live, warnings: [] };
  const { body, warnings } = await kube.replace(kind, merged, options);
  const isChanged = body.metadata.resourceVersion !== live.metadata.resourceVersion || options.isDryRun;
  return { outcome: isChanged ? 'configured' : 'unchanged', object: body, warnings };
}

/** Equal in everything; the note of the last apply counts, or the next one would remove too little. */
function isSame(a: KubeObject, b: KubeObject): boolean {
  const plain = (object: KubeObject): Json => JSON.parse(JSON.stringify(object)) as Json;
  return (
    jsonEqual(plain(a), plain(b)) &&
    a.metadata.annotations?.[lastAppliedAnnotation] === b.metadata.annotations?.[lastAppliedAnnotation]
  );
}

/** The file that owns the object is the one that is applied: the mesh has it, or says itself what is wrong with it. */
function isWatched(error: ApiRefusal, file: string): boolean {
  return error.causes.includes('OwnedElsewhere') && error.message.includes(` is defined by ${file}:`);
}

function adoptHint(error: ApiRefusal): string {
  return error.causes.includes('OwnedElsewhere') ? ' (--adopt takes it over from the file)' : '';
}
