/**
 * The conditions of a resource, by what they are said of: itself, each listener of a Gateway, each parent of a route.
 * Run together they contradict each other: a route may be accepted by one parent and not by another.
 */
import type { KubeObject } from '@sluice/api';

export interface ConditionSection {
  readonly title: string;
  readonly lines: readonly string[];
}

export interface ShownCondition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

/** `known`: those that the control plane tells of it, where its kind has none of listeners or parents. */
export function conditionSections(
  { status }: Pick<KubeObject, 'status'>,
  known: readonly ShownCondition[],
): readonly ConditionSection[] {
  const { conditions, listeners, parents } = asFields(status);
  const [ofListeners, ofParents] = [asList(listeners), asList(parents)];
  if (ofListeners.length + ofParents.length === 0) return [{ title: 'Conditions', lines: known.map(line) }];
  return [
    { title: 'Conditions', lines: asList(conditions).map(read).map(line) },
    ...ofListeners.map((one) => ({
      title: `Conditions of listener ${text(one['name'])}`,
      lines: asList(one['conditions']).map(read).map(line),
    })),
    ...ofParents.map((one) => ({
      title: `Conditions at ${parentName(asFields(one['parentRef']))}`,
      lines: asList(one['conditions']).map(read).map(line),
    })),
  ];
}

/**
 * What the analysis of the control plane found besides the `problems` that make a resource invalid: warnings, such as a
 * written `retryOn` that may repeat a payment.
 */
export function findingLines(
  { status }: Pick<KubeObject, 'status'>,
  problems: readonly { readonly code: string }[],
): readonly string[] {
  const told = new Set(problems.map(({ code }) => code));
  return asList(asFields(status)['validationMessages']).flatMap((one) => {
    const code = text(asFields(one['type'])['code']);
    return told.has(code) ? [] : [`${text(one['level']).toLowerCase()} [${code}] ${text(one['message'])}`];
  });
}

/** `Service shop/reviews, port 9080`. */
function parentName({ kind, namespace, name, sectionName, port }: Fields): string {
  const place = namespace === undefined ? text(name) : `${text(namespace)}/${text(name)}`;
  const section = sectionName === undefined ? '' : `, listener ${text(sectionName)}`;
  return `${text(kind)} ${place}${section}${typeof port === 'number' ? `, port ${port}` : ''}`;
}

function line({ type, status, reason, message }: ShownCondition): string {
  return `${type.padEnd(14)} ${status.padEnd(8)} ${reason}${message === '' ? '' : `: ${message}`}`;
}

function read(fields: Fields): ShownCondition {
  return {
    type: text(fields['type']),
    status: text(fields['status']),
    reason: text(fields['reason']),
    message: text(fields['message']),
  };
}

type Fields = Readonly<Record<string, unknown>>;

function asFields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

function asList(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.map(asFields) : [];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
