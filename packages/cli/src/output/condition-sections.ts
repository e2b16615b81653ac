/**
 * The conditions of a resource, by what they are said of: itself, each listener of a Gateway, each parent of a route.
 * Run together they contradict each other: a route may be accepted by one parent and not by another.
 */
import {
  statusConditions,
  statusFields,
  statusList,
  statusText,
  type KubeObject,
  type StatusCondition,
  type StatusFields,
} from '@sluice/api';

export interface ConditionSection {
  readonly title: string;
  readonly lines: readonly string[];
}

/** `known`: those that the control plane tells of it, where its kind has none of listeners or parents. */
export function conditionSections(
  { status }: Pick<KubeObject, 'status'>,
  known: readonly StatusCondition[],
): readonly ConditionSection[] {
  const { conditions, listeners, parents } = statusFields(status);
  const [ofListeners, ofParents] = [statusList(listeners), statusList(parents)];
  if (ofListeners.length + ofParents.length === 0) return [{ title: 'Conditions', lines: known.map(line) }];
  return [
    { title: 'Conditions', lines: statusConditions(conditions).map(line) },
    ...ofListeners.map((one) => ({
      title: `Conditions of listener ${statusText(one['name'])}`,
      lines: statusConditions(one['conditions']).map(line),
    })),
    ...ofParents.map((one) => ({
      title: `Conditions at ${parentName(statusFields(one['parentRef']))}`,
      lines: statusConditions(one['conditions']).map(line),
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
  return statusList(statusFields(status)['validationMessages']).flatMap((one) => {
    const code = statusText(statusFields(one['type'])['code']);
    return told.has(code)
      ? []
      : [`${statusText(one['level']).toLowerCase()} [${code}] ${statusText(one['message'])}`];
  });
}

/** `Service shop/reviews, port 9080`. */
function parentName({ kind, namespace, name, sectionName, port }: StatusFields): string {
  const place = namespace === undefined ? statusText(name) : `${statusText(namespace)}/${statusText(name)}`;
  const section = sectionName === undefined ? '' : `, listener ${statusText(sectionName)}`;
  return `${statusText(kind)} ${place}${section}${typeof port === 'number' ? `, port ${port}` : ''}`;
}

function line({ type, status, reason, message }: StatusCondition): string {
  return `${type.padEnd(14)} ${status.padEnd(8)} ${reason}${message === '' ? '' : `: ${message}`}`;
}
