/**
 * Whether a resource is taken. Errors always refuse it. Fields that are not honoured refuse it too, unless
 * `--unsupported-fields warn` says that they are only to be listed; nothing is dropped in silence.
 */
import { describeUnhonoured, type Unhonoured, type UnhonouredReport } from '@sluice/xds';
import { formatProblem, type Problem } from './problems.ts';

export type UnsupportedFields = 'reject' | 'warn';

export interface Verdict {
  /** Why the resource is refused, one line per problem; null = taken. */
  readonly rejection: string | null;
  /** What was set and has no effect; non-empty only with `warn`. */
  readonly unhonoured: readonly string[];
}

/** Lines in one rejection: enough to fix a file, short enough for a status message. */
const maxLines = 50;

export function judge(
  problems: readonly Problem[],
  decoded: UnhonouredReport | null,
  mode: UnsupportedFields,
): Verdict {
  const errors = problems.filter((problem) => problem.severity === 'error').map(formatProblem);
  const unhonoured = (decoded?.entries ?? []).filter(worthTelling(problems)).map(describeUnhonoured);
  if (decoded?.isTruncated === true) unhonoured.push('and more that are not listed');
  for (const problem of problems)
    if (problem.severity === 'unhonoured') unhonoured.push(formatProblem(problem));
  if (mode === 'warn') return { rejection: toText(errors), unhonoured };
  return { rejection: toText([...errors, ...unhonoured]), unhonoured: [] };
}

/** Two rejections of one resource as one. */
export function joined(first: string | null, second: string | null): string | null {
  if (first === null || second === null) return first ?? second;
  return `${first}\n${second}`;
}

/** An Any of unknown type is told of once: by the compiler, which knows what it was meant for. */
function worthTelling(problems: readonly Problem[]): (entry: Unhonoured) => boolean {
  const told = new Set(problems.map((problem) => problem.path));
  return (entry) => !told.has(entry.path);
}

function toText(lines: readonly string[]): string | null {
  if (lines.length === 0) return null;
  const shown = lines.slice(0, maxLines);
  if (lines.length > maxLines) shown.push(`and ${lines.length - maxLines} more problems`);
  return shown.join('\n');
}
