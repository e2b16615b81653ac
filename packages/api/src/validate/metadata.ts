/** Names, namespace and labels of any object. */
import type { KindInfo } from '../kinds.ts';
import type { ObjectMeta } from '../object.ts';
import type { Path } from '../position.ts';
import { isLabelKey, isLabelValue } from '../selector.ts';
import type { Findings } from './findings.ts';
import { labelNameProblem, subdomainProblem } from './names.ts';

/** All annotations together, as Kubernetes limits them. */
const maxAnnotationLength = 262_144;

export function checkMetadata(metadata: Partial<ObjectMeta>, kind: KindInfo, findings: Findings): void {
  const path = ['metadata'];
  const { name, generateName, namespace } = metadata;
  if (typeof name === 'string') {
    const problem =
      kind.group === '' && kind.kind !== 'Pod' ? nameOfCoreKind(name, kind.kind) : subdomainProblem(name);
    if (problem !== undefined) findings.add('invalid-name', [...path, 'name'], problem);
  } else if (name === undefined && generateName === undefined) {
    findings.add('required', [...path, 'name'], 'is required', { part: 'key' });
  }
  findings.check(namespace, [...path, 'namespace'], (namespace, at) => {
    const problem = labelNameProblem(namespace);
    if (!kind.namespaced) {
      findings.add('invalid-name', at, `${kind.kind} belongs to no namespace`, {
        suggestion: 'remove the namespace',
      });
    } else if (problem !== undefined) {
      findings.add('invalid-name', at, problem);
    }
  });
  checkLabels(metadata.labels, [...path, 'labels'], findings);
  findings.check(metadata.annotations, [...path, 'annotations'], (annotations, at) => {
    let length = 0;
    for (const [key, value] of Object.entries(annotations)) {
      length += key.length + value.length;
      if (!isLabelKey(key))
        findings.add('invalid-name', [...at, key], 'is not an annotation name', { part: 'key' });
    }
    if (length > maxAnnotationLength) {
      findings.add('too-large', at, `has more than ${maxAnnotationLength} characters in all`);
    }
  });
}

/** Keys and values of labels, wherever a kind has them. */
export function checkLabels(
  labels: Readonly<Record<string, string>> | undefined,
  path: Path,
  findings: Findings,
): void {
  findings.check(labels, path, (labels) => {
    for (const [key, value] of Object.entries(labels)) {
      if (!isLabelKey(key)) {
        findings.add('invalid-label', [...path, key], 'is not a label name', { part: 'key' });
      } else if (!isLabelValue(value)) {
        findings.add(
          'invalid-label',
          [...path, key],
          'must be empty or letters, digits, -, _ and ., begin and end with a letter or digit, and have at most 63 characters',
        );
      }
    }
  });
}

function nameOfCoreKind(name: string, kind: string): string | undefined {
  return kind === 'Service' || kind === 'Namespace' ? labelNameProblem(name) : subdomainProblem(name);
}
