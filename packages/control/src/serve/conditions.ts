/** Conditions of a resource, wherever its kind keeps them: of itself, or of each parent of a route. */
import { statusConditions, statusFields, statusList, type KubeObject } from '@sluice/api';
import type { ConditionView } from './mesh-views.ts';

export function conditionsOf(object: KubeObject): readonly ConditionView[] {
  const { conditions, parents, listeners } = statusFields(object.status);
  const ofOthers = [...statusList(parents), ...statusList(listeners)].flatMap((one) =>
    statusConditions(one['conditions']),
  );
  return [...statusConditions(conditions), ...ofOthers];
}
