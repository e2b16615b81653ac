/**
 * What would be wrong with a text if it were applied: its own problems, and those between its objects and what is
 * live. A live object that the text defines anew is judged as the text has it; problems of others are left out.
 */
import {
  analyze,
  formatKey,
  keyOf,
  readObjects,
  sortProblems,
  type MeshSettings,
  type Problem,
} from '@sluice/api';
import type { ResourceStore } from './store.ts';

export function analyzeText(
  text: string,
  file: string,
  store: ResourceStore,
  settings: MeshSettings,
): readonly Problem[] {
  const { objects, problems } = readObjects(text, file);
  const written = objects.filter((read) => read.isUsable);
  const keys = new Set(written.map((read) => formatKey(keyOf(read.object))));
  const live = [...store.all()].flatMap(({ key, serving }) =>
    serving === null || keys.has(formatKey(key)) ? [] : [{ object: serving }],
  );
  const between = analyze([...live, ...written.map(({ object, locate }) => ({ object, file, locate }))], {
    clusterDomain: settings.clusterDomain,
    rootNamespace: settings.rootNamespace,
    knowsAllInstances: false,
  });
  const ofText = between.filter(
    ({ key, file: where }) => where === file || (key !== undefined && keys.has(formatKey(key))),
  );
  return sortProblems([...problems, ...ofText]);
}
