/** From a text to objects that may be used: parsing and validation in one step, as files and `apply -f` need it. */
import type { KindInfo } from './kinds.ts';
import type { KubeObject, Origin } from './object.ts';
import type { Locate } from './position.ts';
import type { Problem } from './problem.ts';
import { validateObject } from './validate/object.ts';
import type { YamlLimits } from './yaml/limits.ts';
import { parseYaml } from './yaml/parse.ts';

export interface ReadObject {
  readonly object: KubeObject;
  readonly kind: KindInfo;
  readonly origin: Extract<Origin, { source: 'folder' }>;
  readonly locate: Locate;
  /** Those of this object; the caller decides what errors mean for it. */
  readonly problems: readonly Problem[];
  readonly isUsable: boolean;
}

export interface ReadResult {
  /** Objects of known kinds in the order of the text, those with errors too, skipped ones not. */
  readonly objects: readonly ReadObject[];
  /** Every problem of the text, of its documents and of its objects. */
  readonly problems: readonly Problem[];
}

export function readObjects(text: string, file: string, limits: Partial<YamlLimits> = {}): ReadResult {
  const { documents, problems } = parseYaml(text, file, limits);
  const all: Problem[] = [...problems];
  const objects: ReadObject[] = [];
  for (const document of documents) {
    const { problems, value, kind, isUsable, isSkipped } = validateObject(
      document.value,
      document.locate,
      document.origin,
    );
    all.push(...problems);
    if (value === undefined || kind === undefined || isSkipped) continue;
    objects.push({
      object: value,
      kind,
      origin: document.origin,
      locate: document.locate,
      problems,
      isUsable,
    });
  }
  return { objects, problems: all };
}
