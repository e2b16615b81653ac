/** Whether the generation that was written is the one in use, and what is wrong with it if not. */
import type { Problem } from '@sluice/api';
import type { StoredObject } from '../source/store.ts';
import type { Condition } from './condition.ts';

/** Problems that one message names before it says how many more there are. */
const shownProblems = 5;

export function acceptedCondition(stored: StoredObject, invalidReason: string): Condition {
  const errors = stored.problems.filter((problem) => problem.severity === 'error');
  if (errors.length === 0)
    return { type: 'Accepted', status: 'True', reason: 'Accepted', message: 'the resource is valid' };
  const serving = stored.serving?.metadata.generation;
  const effect =
    serving === undefined
      ? 'no generation was ever valid, so it has no effect'
      : `generation ${serving} still serves`;
  return {
    type: 'Accepted',
    status: 'False',
    reason: invalidReason,
    message: `generation ${stored.generation} is invalid, ${effect}: ${describeProblems(errors)}`,
  };
}

export function describeProblems(problems: readonly Problem[]): string {
  const shown = problems.slice(0, shownProblems).map(describeProblem).join('; ');
  const more = problems.length - shownProblems;
  return more > 0 ? `${shown}; and ${more} more` : shown;
}

function describeProblem({ path, message }: Problem): string {
  return path === '' ? message : `${path}: ${message}`;
}
