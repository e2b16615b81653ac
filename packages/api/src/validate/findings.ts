/**
 * Collects problems of one object with their places, and knows which parts are broken already: a check that
 * relies on types runs only where the schema found none, so that one wrong value does not hide the rest.
 */
import type { ResourceKey } from '../object.ts';
import { formatPath, type Locate, type Path, type PathStep } from '../position.ts';
import type { Problem, Severity } from '../problem.ts';

export interface Details {
  readonly severity?: Severity;
  readonly suggestion?: string;
  /** Which half of a field the place points at. */
  readonly part?: 'key' | 'value';
}

export interface Source {
  readonly locate?: Locate | undefined;
  readonly file?: string | undefined;
  readonly key?: ResourceKey | undefined;
}

export class Findings {
  readonly problems: Problem[] = [];
  readonly #source: Source;
  readonly #broken: Path[] = [];

  constructor(source: Source = {}) {
    this.#source = source;
  }

  add(code: string, path: Path, message: string, details: Details = {}): void {
    const place = this.#source.locate?.(path, details.part ?? 'value');
    this.problems.push({
      code,
      severity: details.severity ?? 'error',
      message,
      path: formatPath(path),
      ...(this.#source.file === undefined ? {} : { file: this.#source.file }),
      ...(place === undefined ? {} : { line: place.line, column: place.column }),
      ...(details.suggestion === undefined ? {} : { suggestion: details.suggestion }),
      ...(this.#source.key === undefined ? {} : { key: this.#source.key }),
    });
  }

  /** Marks a part whose type is wrong. */
  markBroken(path: Path): void {
    this.#broken.push(path);
  }

  /**
   * The object without the members whose type is wrong, so that checks may rely on what is there: a member has
   * its type or is absent. Items of lists stay, because their indices are places; `each` passes over broken ones.
   */
  withoutBroken<T extends object>(object: T): T {
    if (this.#broken.length === 0) return object;
    const copy = structuredClone(object);
    for (const path of this.#broken) {
      const last = path.at(-1);
      let parent: unknown = copy;
      for (const step of path.slice(0, -1)) parent = memberOf(parent, step);
      if (typeof last === 'string' && typeof parent === 'object' && parent !== null)
        Reflect.deleteProperty(parent, last);
    }
    return copy;
  }

  /** Runs a check of the value at `path` unless something in it has the wrong type. */
  check<T>(value: T | undefined, path: Path, run: (value: T, path: Path) => void): void {
    if (value !== undefined && !this.isBroken(path)) run(value, path);
  }

  /** The same for each item of a list. */
  each<T>(
    list: readonly T[] | undefined,
    path: Path,
    run: (item: T, path: Path, index: number) => void,
  ): void {
    if (!Array.isArray(list)) return;
    for (const [index, item] of (list as readonly T[]).entries()) {
      const itemPath = [...path, index];
      if (!this.isBroken(itemPath)) run(item, itemPath, index);
    }
  }

  /** Whether a wrong type stands at the path, above it or below it. */
  isBroken(path: Path): boolean {
    return this.#broken.some((broken) => {
      const shared = Math.min(broken.length, path.length);
      for (let depth = 0; depth < shared; depth++) {
        if (broken[depth] !== path[depth]) return false;
      }
      return true;
    });
  }
}

function memberOf(value: unknown, step: PathStep): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<PathStep, unknown>)[step] : undefined;
}
