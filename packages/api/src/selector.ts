/**
 * Label and field selectors, as text (`app=web,tier!=db,env in (a,b),!legacy`) and as objects (matchLabels,
 * matchExpressions). An empty selector matches everything; callers that want "none" decide so themselves.
 */
import type { KubeObject } from './object.ts';
import type { LabelSelector } from './schema/label-selector.ts';

export type Labels = Readonly<Record<string, string>>;

export interface Requirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  readonly values: readonly string[];
}

export type Selector = readonly Requirement[];

/** Why a selector cannot be used; the text is for people. */
export interface SelectorError {
  readonly error: string;
}

const maxSelectorLength = 8192;
const labelKey = /^(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\/)?[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?$/;
const labelValue = /^(?:[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?)?$/;

export function isLabelKey(text: string): boolean {
  return labelKey.test(text);
}

export function isLabelValue(text: string): boolean {
  return labelValue.test(text);
}

/** Values of a label a map may not have: own members only, so that `constructor` is not "present". */
function labelOf(labels: Labels, key: string): string | undefined {
  return Object.hasOwn(labels, key) ? labels[key] : undefined;
}

export function matches(selector: Selector, labels: Labels = {}): boolean {
  return selector.every((requirement) => {
    const value = labelOf(labels, requirement.key);
    switch (requirement.operator) {
      case 'In':
        return value !== undefined && requirement.values.includes(value);
      case 'NotIn':
        return value === undefined || !requirement.values.includes(value);
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
    }
  });
}

/** `labels` carries every pair of `wanted`. */
export function matchesLabels(wanted: Labels, labels: Labels = {}): boolean {
  return Object.keys(wanted).every((key) => labelOf(labels, key) === wanted[key]);
}

export function selectorOf(object: LabelSelector): Selector {
  const fromLabels = Object.entries(object.matchLabels ?? {}).map(([key, value]): Requirement => ({
    key,
    operator: 'In',
    values: [value],
  }));
  const fromExpressions = (object.matchExpressions ?? []).map(({ key, operator, values }): Requirement => ({
    key,
    operator,
    values: values ?? [],
  }));
  return [...fromLabels, ...fromExpressions];
}

/** Reads the text form. Equality and set requirements may be mixed, separated by commas. */
export function parseSelector(text: string): Selector | SelectorError {
  if (text.length > maxSelectorLength)
    return { error: `selector is longer than ${maxSelectorLength} characters` };
  const parts = splitOutsideParentheses(text);
  if (parts === undefined) return { error: `unbalanced parentheses in selector "${text}"` };
  const requirements: Requirement[] = [];
  for (const part of parts) {
    const requirement = parseRequirement(part.trim());
    if ('error' in requirement) return requirement;
    requirements.push(requirement);
  }
  return requirements;
}

export function isSelectorError(value: Selector | SelectorError | FieldSelector): value is SelectorError {
  return 'error' in value;
}

export function formatSelector(selector: Selector): string {
  return selector
    .map(({ key, operator, values }) => {
      switch (operator) {
        case 'In':
          return values.length === 1 ? `${key}=${values[0]}` : `${key} in (${values.join(',')})`;
        case 'NotIn':
          return values.length === 1 ? `${key}!=${values[0]}` : `${key} notin (${values.join(',')})`;
        case 'Exists':
          return key;
        case 'DoesNotExist':
          return `!${key}`;
      }
    })
    .join(',');
}

export interface FieldSelector {
  readonly name?: string;
  readonly namespace?: string;
  readonly notName?: readonly string[];
  readonly notNamespace?: readonly string[];
}

/** Field selectors know metadata.name and metadata.namespace, with `=`, `==` and `!=`. */
export function parseFieldSelector(text: string): FieldSelector | SelectorError {
  const result: { name?: string; namespace?: string; notName: string[]; notNamespace: string[] } = {
    notName: [],
    notNamespace: [],
  };
  for (const part of text.split(',').filter((part) => part.trim() !== '')) {
    const match = /^\s*([\w.]+)\s*(!=|==?)\s*([\w.-]*)\s*$/.exec(part);
    const field = match?.[1];
    const value = match?.[3] ?? '';
    if (match === null || (field !== 'metadata.name' && field !== 'metadata.namespace')) {
      return {
        error: `field selector "${part.trim()}" is not understood: use metadata.name or metadata.namespace with = or !=`,
      };
    }
    const isNegated = match[2] === '!=';
    const isName = field === 'metadata.name';
    if (isNegated) (isName ? result.notName : result.notNamespace).push(value);
    else if (isName) result.name = value;
    else result.namespace = value;
  }
  return result;
}

export function matchesFields(selector: FieldSelector, object: KubeObject): boolean {
  const name = object.metadata.name;
  const namespace = object.metadata.namespace ?? '';
  return (
    (selector.name === undefined || selector.name === name) &&
    (selector.namespace === undefined || selector.namespace === namespace) &&
    !(selector.notName ?? []).includes(name) &&
    !(selector.notNamespace ?? []).includes(namespace)
  );
}

function parseRequirement(part: string): Requirement | SelectorError {
  const set = /^(\S+?)\s+(in|notin)\s*\(([^()]*)\)$/.exec(part);
  if (set !== null) {
    const values = (set[3] ?? '').split(',').map((value) => value.trim());
    return checked(part, set[1] ?? '', set[2] === 'in' ? 'In' : 'NotIn', values);
  }
  const equality = /^([^\s!=]+)\s*(!=|==?)\s*([^\s!=]*)$/.exec(part);
  if (equality !== null) {
    return checked(part, equality[1] ?? '', equality[2] === '!=' ? 'NotIn' : 'In', [equality[3] ?? '']);
  }
  const absent = /^!\s*(\S+)$/.exec(part);
  if (absent !== null) return checked(part, absent[1] ?? '', 'DoesNotExist', []);
  return checked(part, part, 'Exists', []);
}

function checked(
  part: string,
  key: string,
  operator: Requirement['operator'],
  values: readonly string[],
): Requirement | SelectorError {
  if (!isLabelKey(key)) return { error: `"${part}" is not a label requirement` };
  const bad = values.find((value) => !isLabelValue(value));
  if (bad !== undefined) return { error: `"${bad}" is not a label value` };
  return { key, operator, values };
}

function splitOutsideParentheses(text: string): string[] | undefined {
  if (text.trim() === '') return [];
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let index = 0; index < text.length; index++) {
    const char = text[index];
    if (char === '(') depth++;
    else if (char === ')') depth--;
    else if (char === ',' && depth === 0) {
      parts.push(text.slice(start, index));
      start = index + 1;
    }
    if (depth < 0 || depth > 1) return undefined;
  }
  parts.push(text.slice(start));
  return depth === 0 ? parts : undefined;
}
