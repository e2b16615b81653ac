/** What @sluice/api says of objects, in the forms the store and the folder source take it. */
import { foldStringData, isKind, readObjects, validateObject, withDefaults, type Problem } from '@sluice/api';
import type { ReadResourceText } from './folder.ts';
import type { Admission } from './object-store.ts';
import type { FolderObject } from './store.ts';

export const admission: Admission = {
  admit(object) {
    const { problems, value } = validateObject(object);
    const admitted = value ?? object;
    return { object: isKind(admitted, '/Secret') ? foldStringData(admitted) : admitted, problems };
  },
  withDefaults: (object) => withDefaults(object),
};

/**
 * Reads a resource file. Problems of its objects stay with them; what belongs to no object (syntax, an unknown
 * kind, a missing name) is the file's own, and an error there keeps what the file held before.
 */
export const readResourceText: ReadResourceText = (text, file) => {
  const { objects, problems } = readObjects(text, file);
  const named = objects.filter(
    ({ object }) => typeof object.metadata.name === 'string' && object.metadata.name !== '',
  );
  const taken = new Set(named.flatMap((object) => object.problems));
  return {
    objects: named.map(({ object, origin, problems }): FolderObject => ({ object, origin, problems })),
    problems: onceEach(problems.filter((problem) => !taken.has(problem))),
  };
};

/** A file of forty Deployments is one notice. */
function onceEach(problems: readonly Problem[]): readonly Problem[] {
  const seen = new Set<string>();
  return problems.filter((problem) => {
    if (problem.code !== 'skipped-kind') return true;
    if (seen.has(problem.message)) return false;
    seen.add(problem.message);
    return true;
  });
}
