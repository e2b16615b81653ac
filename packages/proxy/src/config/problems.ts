/**
 * Problems found while a resource is compiled, each with its proto field path.
 *
 * Two severities: an `error` makes the resource unusable; `unhonoured` marks a field that is set and
 * would be without effect. Which of them refuse a resource is decided in one place (`verdict.ts`).
 * Scopes are linked, not concatenated: a path is only spelled out when there is a problem.
 */
import type { ConfigProblem } from '../filter/filter.ts';

export type ProblemSeverity = 'error' | 'unhonoured';

export interface Problem extends ConfigProblem {
  readonly severity: ProblemSeverity;
}

export class ProblemScope {
  readonly #sink: Problem[];
  readonly #parent: ProblemScope | null;
  readonly #segment: string;

  constructor(sink: Problem[], parent: ProblemScope | null = null, segment = '') {
    this.#sink = sink;
    this.#parent = parent;
    this.#segment = segment;
  }

  get path(): string {
    const before = this.#parent?.path ?? '';
    if (before === '' || this.#segment === '' || this.#segment.startsWith('[')) return before + this.#segment;
    return `${before}.${this.#segment}`;
  }

  get problems(): readonly Problem[] {
    return this.#sink;
  }

  /** `at('routes', 3)` is `….routes[3]`; `at('[envoy.filters.http.fault]')` is a map key. */
  at(segment: string, index?: number): ProblemScope {
    return new ProblemScope(this.#sink, this, index === undefined ? segment : `${segment}[${index}]`);
  }

  error(message: string): void {
    this.#sink.push({ path: this.path, message, severity: 'error' });
  }

  /** `field` is below this scope; empty means the scope itself. */
  unhonoured(field: string, why: string): void {
    const scope = field === '' ? this : this.at(field);
    this.#sink.push({ path: scope.path, message: `not honoured: ${why}`, severity: 'unhonoured' });
  }

  /** Those of `fields` that are set, each with the same reason. */
  unhonouredWhenSet(fields: Readonly<Record<string, unknown>>, why: string): void {
    for (const [field, value] of Object.entries(fields)) if (isSet(value)) this.unhonoured(field, why);
  }

  /** Takes over problems of a part that reports paths of its own. */
  adopt(found: readonly ConfigProblem[], severity: ProblemSeverity = 'error'): void {
    for (const { path, message } of found) {
      const scope = path === '' ? this : this.at(path);
      this.#sink.push({ path: scope.path, message, severity });
    }
  }
}

export function newProblems(): ProblemScope {
  return new ProblemScope([]);
}

export function formatProblem(problem: ConfigProblem): string {
  return problem.path === '' ? problem.message : `${problem.path}: ${problem.message}`;
}

/** Absent, empty and false mean that nothing was asked for. */
function isSet(value: unknown): boolean {
  if (value === undefined || value === false || value === '' || value === 0) return false;
  return !Array.isArray(value) || value.length > 0;
}
