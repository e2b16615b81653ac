/** Which objects of a kind a request means: namespace, name, labels and fields together. */
import {
  isSelectorError,
  matches,
  matchesFields,
  parseFieldSelector,
  parseSelector,
  type FieldSelector,
  type KubeObject,
  type Selector,
} from '@sluice/api';
import { ApiError } from './status-body.ts';

export interface Selection {
  readonly namespace: string | undefined;
  readonly labels: Selector;
  readonly fields: FieldSelector;
  /** True when something beyond the namespace narrows it. */
  readonly isNarrowed: boolean;
}

/** Throws ApiError 400 for a selector that is not understood. */
export function readSelection(query: URLSearchParams, namespace: string | undefined): Selection {
  const labels = parseSelector(query.get('labelSelector') ?? '');
  if (isSelectorError(labels)) throw new ApiError(400, labels.error);
  const fields = parseFieldSelector(query.get('fieldSelector') ?? '');
  if (isSelectorError(fields)) throw new ApiError(400, fields.error);
  const isNarrowed = labels.length > 0 || (query.get('fieldSelector') ?? '') !== '';
  return { namespace, labels, fields, isNarrowed };
}

export function isSelected(selection: Selection, object: KubeObject): boolean {
  return (
    (selection.namespace === undefined || object.metadata.namespace === selection.namespace) &&
    matches(selection.labels, object.metadata.labels) &&
    matchesFields(selection.fields, object)
  );
}
