/** Conditions of a resource, wherever its kind keeps them: of itself, or of each parent of a route. */
import type { KubeObject } from '@sluice/api';
import type { ConditionView } from './mesh-views.ts';

export function conditionsOf(object: KubeObject): readonly ConditionView[] {
  const status = asFields(object.status);
  const ofParents = asList(status['parents']).flatMap((parent) => asList(parent['conditions']));
  const ofListeners = asList(status['listeners']).flatMap((listener) => asList(listener['conditions']));
  return [...asList(status['conditions']), ...ofParents, ...ofListeners].map((condition) => ({
    type: text(condition['type']),
    status: text(condition['status']),
    reason: text(condition['reason']),
    message: text(condition['message']),
  }));
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
