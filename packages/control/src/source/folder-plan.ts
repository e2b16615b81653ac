/**
 * What reading folder files means for the store: which objects come, change, move between files or go, and
 * which second definitions are refused. Pure; the store commits the result in one transaction.
 *
 * Whoever defines a key already keeps it: a second definition never takes over while the first stands. A file
 * with error problems of its own (broken syntax) loses nothing, since what is missing may be in its broken part.
 */
import { deepEquals } from 'bun';
import { hasErrors, keyOf, type Problem, type ResourceKey } from '@sluice/api';
import { sameContent } from './content.ts';
import { keyText, type ObjectIndex } from './object-index.ts';
import { refuseSecondDefinition } from './ownership.ts';
import { completeObject, type CompletionRules } from './stored.ts';
import type { FolderFile, FolderObject, StoredObject, WriteFailure } from './store.ts';

/** One object's write, decided but not yet committed. `isQuiet` ones move no revision: only their place changed. */
export interface PlannedWrite {
  readonly before: StoredObject | null;
  readonly after: StoredObject | null;
  readonly isQuiet: boolean;
}

export interface Refusal {
  readonly file: string;
  readonly failure: WriteFailure;
  readonly problem: Problem;
}

export interface FilesPlan {
  readonly writes: readonly PlannedWrite[];
  readonly refusals: readonly Refusal[];
}

export function planFiles(
  files: readonly FolderFile[],
  index: ObjectIndex,
  revision: number,
  rules: CompletionRules,
): FilesPlan {
  const reloaded = new Set(files.filter((file) => !hasErrors(file.problems)).map((file) => file.file));
  const refusals: Refusal[] = [];
  const winners = new Map<string, FolderObject>();
  for (const candidate of candidatesInOrder(files, index)) {
    const key = keyOf(candidate.object);
    const winner = winners.get(keyText(key));
    const existing = index.get(key);
    if (winner !== undefined) refusals.push(refuse(key, asOwner(winner, key, existing), candidate));
    else if (existing !== null && !isReplaceable(existing, candidate, reloaded))
      refusals.push(refuse(key, existing, candidate));
    else winners.set(keyText(key), candidate);
  }
  const writes: PlannedWrite[] = [];
  let nextRevision = revision + 1;
  for (const candidate of winners.values()) {
    const write = planPut(candidate, index, nextRevision, rules);
    if (write === null) continue;
    writes.push(write);
    if (!write.isQuiet) nextRevision++;
  }
  for (const { file, problems } of files) {
    if (hasErrors(problems)) continue;
    for (const before of index.ofFile(file)) {
      if (!winners.has(keyText(before.key))) writes.push({ before, after: null, isQuiet: false });
    }
  }
  return { writes, refusals };
}

/** Definitions whose file owns their key already come first. */
function candidatesInOrder(files: readonly FolderFile[], index: ObjectIndex): FolderObject[] {
  const incumbents: FolderObject[] = [];
  const others: FolderObject[] = [];
  for (const { file, objects } of files) {
    for (const candidate of objects) {
      const owner = index.get(keyOf(candidate.object))?.origin;
      const isIncumbent = owner?.source === 'folder' && owner.file === file;
      (isIncumbent ? incumbents : others).push(candidate);
    }
  }
  return [...incumbents, ...others];
}

/** A key may move between files that are read together, when its old file was read whole and lacks it. */
function isReplaceable(
  existing: StoredObject,
  candidate: FolderObject,
  reloaded: ReadonlySet<string>,
): boolean {
  if (existing.origin.source !== 'folder') return false;
  return existing.origin.file === candidate.origin.file || reloaded.has(existing.origin.file);
}

function planPut(
  candidate: FolderObject,
  index: ObjectIndex,
  revision: number,
  rules: CompletionRules,
): PlannedWrite | null {
  const key = keyOf(candidate.object);
  const before = index.get(key);
  const after = completeObject(before, { key, ...candidate }, revision, rules);
  if (before === null || !sameContent(before.object, after.object)) return { before, after, isQuiet: false };
  const isUntouched = deepEquals(before.origin, after.origin) && deepEquals(before.problems, after.problems);
  if (isUntouched) return null;
  // Only its place in the file, or what is said about it, changed: remembered without a revision.
  const isValidityKept = hasErrors(before.problems) === hasErrors(after.problems);
  if (!isValidityKept) return { before, after, isQuiet: false };
  return {
    before,
    after: { ...before, origin: after.origin, problems: after.problems },
    isQuiet: true,
  };
}

function asOwner(winner: FolderObject, key: ResourceKey, existing: StoredObject | null): StoredObject {
  if (existing !== null) return { ...existing, origin: winner.origin };
  return {
    key,
    object: winner.object,
    serving: null,
    problems: winner.problems,
    origin: winner.origin,
    generation: 0,
    revision: 0,
    createdMs: 0,
  };
}

function refuse(key: ResourceKey, owner: StoredObject, candidate: FolderObject): Refusal {
  const failure = refuseSecondDefinition(owner, candidate.origin);
  const { file, line, column } = candidate.origin;
  return {
    file,
    failure,
    problem: {
      code: 'duplicate-resource',
      severity: 'error',
      message: failure.message,
      path: '',
      file,
      line,
      column,
      key,
    },
  };
}
