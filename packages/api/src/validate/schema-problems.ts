/** What zod finds, in the words of people who write YAML: expected and found, known names, where. */
import { nearestName } from '@sluice/runtime';
import { z } from 'zod';
import type { PathStep } from '../position.ts';
import { fieldNames, schemaAt } from '../schema/walk.ts';
import type { Findings } from './findings.ts';

type Issue = z.core.$ZodIssue;

/** Checks `value` against `schema`; every deviation becomes a problem. */
export function checkSchema(schema: z.ZodType, value: unknown, findings: Findings): void {
  const result = schema.safeParse(value);
  if (result.success) return;
  for (const issue of result.error.issues) report(schema, value, issue, [], findings);
}

function report(
  schema: z.ZodType,
  root: unknown,
  issue: Issue,
  prefix: readonly PropertyKey[],
  findings: Findings,
): void {
  const path = [...prefix, ...issue.path].map(asStep);
  const found = valueAt(root, path);
  switch (issue.code) {
    case 'unrecognized_keys':
      reportUnknown(schema, root, issue.keys, path, findings);
      return;
    case 'invalid_union':
      reportUnion(schema, root, issue, path, findings);
      return;
    case 'invalid_value':
      findings.markBroken(path);
      reportValue(issue, found, path, findings);
      return;
    case 'invalid_type':
      findings.markBroken(path);
      if (found === undefined) findings.add('required', path, 'is required', { part: 'key' });
      else findings.add('wrong-type', path, `must be ${article(issue.expected)}, found ${describe(found)}`);
      return;
    default:
      findings.markBroken(path);
      findings.add('invalid-value', path, messageOf(issue));
  }
}

function reportUnknown(
  schema: z.ZodType,
  root: unknown,
  keys: readonly string[],
  path: readonly PathStep[],
  findings: Findings,
): void {
  const names = fieldNames(schemaAt(schema, path, root));
  for (const key of keys) {
    const nearest = nearestName(key, names);
    const suggestion = nearest === undefined ? {} : { suggestion: `did you mean ${nearest}?` };
    findings.add('unknown-field', [...path, key], 'there is no such field', { part: 'key', ...suggestion });
  }
}

function reportValue(
  issue: Extract<Issue, { code: 'invalid_value' }>,
  found: unknown,
  path: readonly PathStep[],
  findings: Findings,
): void {
  if (found === undefined) {
    findings.add('required', path, 'is required', { part: 'key' });
    return;
  }
  const values = issue.values.map(String);
  const nearest = typeof found === 'string' ? nearestName(found, values) : undefined;
  const list = values.length === 1 ? String(values[0]) : `one of ${values.join(', ')}`;
  const suggestion = nearest === undefined ? {} : { suggestion: `did you mean ${nearest}?` };
  findings.add('invalid-value', path, `must be ${list}, found ${describe(found)}`, suggestion);
}

/** Of several alternatives, the one that fits best tells what is wrong: it has its problems furthest inside. */
function reportUnion(
  schema: z.ZodType,
  root: unknown,
  issue: Extract<Issue, { code: 'invalid_union' }>,
  path: readonly PathStep[],
  findings: Findings,
): void {
  const inside = issue.errors.find((issues) =>
    issues.some((one) => one.path.length > 0 || one.code === 'unrecognized_keys'),
  );
  if (inside !== undefined) {
    for (const one of inside) report(schema, root, one, path, findings);
    return;
  }
  findings.markBroken(path);
  const found = valueAt(root, path);
  if (found === undefined) {
    findings.add('required', path, 'is required', { part: 'key' });
    return;
  }
  const literals = issue.errors
    .flat()
    .flatMap((one) => (one.code === 'invalid_value' ? one.values.map(String) : []));
  const types = issue.errors
    .flat()
    .flatMap((one) => (one.code === 'invalid_type' ? [article(one.expected)] : []));
  const bounds = issue.errors.flat().find((one) => one.code === 'too_big' || one.code === 'too_small');
  const expected =
    literals.length > 0
      ? `one of ${literals.join(', ')}`
      : [...new Set(types)].join(' or ') || 'another value';
  const isDefault = issue.message === 'Invalid input';
  const message = !isDefault
    ? issue.message
    : bounds !== undefined
      ? messageOf(bounds)
      : `must be ${expected}`;
  findings.add('invalid-value', path, `${message}, found ${describe(found)}`);
}

function messageOf(issue: Issue): string {
  const isOwn = /^(?:must|is|needs|has)\b/.test(issue.message);
  if (isOwn) return issue.message;
  switch (issue.code) {
    case 'too_small':
      return `must be at least ${issue.minimum}${unitOf(issue.origin)}`;
    case 'too_big':
      return `must be at most ${issue.maximum}${unitOf(issue.origin)}`;
    default:
      return issue.message;
  }
}

function unitOf(origin: string): string {
  if (origin === 'string') return ' characters long';
  return origin === 'array' ? ' entries long' : '';
}

const typeWords: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'an integer',
  boolean: 'true or false',
  array: 'a list',
  object: 'an object',
  record: 'an object',
};

function article(expected: string): string {
  return typeWords[expected] ?? expected;
}

function describe(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (value === null) return 'nothing';
  switch (typeof value) {
    case 'string':
      return `the string ${JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)}`;
    case 'number':
    case 'boolean':
      return String(value);
    default:
      return 'an object';
  }
}

function asStep(step: PropertyKey): PathStep {
  return typeof step === 'number' ? step : String(step);
}

function valueAt(root: unknown, path: readonly PathStep[]): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<PathStep, unknown>)[step];
  }
  return value;
}
