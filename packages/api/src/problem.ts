/**
 * What is wrong with an input, and where. Parsing, validation and analysis return lists of these and never stop
 * at the first; an empty list, or one without errors, means the input may be used.
 */
import type { ResourceKey } from './object.ts';

export type Severity = 'error' | 'warning' | 'notice';

export interface Problem {
  /** Stable name to branch on and to search for: `unknown-field`, `not-supported-yet`, `SLU0101`. */
  readonly code: string;
  readonly severity: Severity;
  readonly message: string;
  /** Text form of the path, empty for the object or file as a whole. */
  readonly path: string;
  readonly file?: string;
  readonly line?: number;
  readonly column?: number;
  /** What to write instead, or what to do about it. */
  readonly suggestion?: string;
  readonly key?: ResourceKey;
}

/** `file:line:column: error [code] path: message (suggestion)`; parts that are unknown are left out. */
export function formatProblem(problem: Problem): string {
  let place = problem.file ?? '';
  if (problem.line !== undefined) place += `${place === '' ? '' : ':'}${problem.line}:${problem.column ?? 1}`;
  const path = problem.path === '' ? '' : `${problem.path}: `;
  const suggestion = problem.suggestion === undefined ? '' : ` (${problem.suggestion})`;
  return `${place === '' ? '' : `${place}: `}${problem.severity} [${problem.code}] ${path}${problem.message}${suggestion}`;
}

export function hasErrors(problems: readonly Problem[]): boolean {
  return problems.some((problem) => problem.severity === 'error');
}

const severityRank: Readonly<Record<Severity, number>> = { error: 0, warning: 1, notice: 2 };

/** By file and place, then by severity: the order in which a person works through them. */
export function sortProblems(problems: readonly Problem[]): Problem[] {
  return [...problems].sort(
    (a, b) =>
      compareText(a.file ?? '', b.file ?? '') ||
      (a.line ?? 0) - (b.line ?? 0) ||
      (a.column ?? 0) - (b.column ?? 0) ||
      severityRank[a.severity] - severityRank[b.severity] ||
      compareText(a.code, b.code) ||
      compareText(a.path, b.path),
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
