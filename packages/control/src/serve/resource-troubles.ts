/**
 * Resources that do not do what was written: invalid, refering to nothing, losing against another, or refused by
 * proxies. Shown by `status`, `check` and the page, so that nobody has to ask each resource. What merely waits
 * (Pending) passes by itself and is left out.
 */
import { formatKey } from '@sluice/api';
import type { ConditionView, ResourceTrouble, ResourceTroubles, ResourceView } from './mesh-views.ts';

const maxShown = 50;
/** Worst first. */
const severity = ['Accepted', 'Programmed', 'ResolvedRefs', 'Conflicted'];

export function troublesOf(resources: Iterable<ResourceView>): ResourceTroubles {
  const shown: ResourceTrouble[] = [];
  let total = 0;
  for (const { key, origin, conditions } of resources) {
    const [worst] = conditions
      .filter(isTrouble)
      .sort((a, b) => severity.indexOf(a.type) - severity.indexOf(b.type));
    if (worst === undefined) continue;
    total++;
    if (shown.length >= maxShown) continue;
    const { type: condition, reason, message } = worst;
    shown.push({ key, name: formatKey(key), origin, condition, reason, message });
  }
  return { total, shown };
}

function isTrouble({ type, status, reason }: ConditionView): boolean {
  if (!severity.includes(type) || reason === 'Pending') return false;
  return status === (type === 'Conflicted' ? 'True' : 'False');
}
