/**
 * Where our proxy answers differently from Envoy on purpose, each with its reason. An entry that no longer
 * occurs fails the test, so that this list stays true.
 */
import type { Difference } from './compare.ts';

export interface Explained {
  /** Matched against "section: case". */
  readonly where: RegExp;
  /** Matched against the field, e.g. `response[0].header.location`. */
  readonly field: RegExp;
  readonly reason: string;
}

export const explained: readonly Explained[] = [];

export function explanationOf(difference: Difference): Explained | undefined {
  return explained.find(({ where, field }) => where.test(difference.name) && field.test(difference.field));
}
