/**
 * Conditions as the Kubernetes API conventions have them. One writer per type: conditions of others in the same
 * list stay as they are, and a transition time moves only when the status itself does.
 */
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

export interface WrittenCondition extends Condition {
  readonly observedGeneration: number;
  readonly lastTransitionTime: string;
}

/** Types that this package writes; one that no longer holds anything is taken away. */
const ownTypes: ReadonlySet<string> = new Set([
  'Accepted',
  'ResolvedRefs',
  'Programmed',
  'Conflicted',
  'PartiallyInvalid',
]);

/** The list that follows `before` when `now` is what we say. */
export function mergeConditions(
  before: unknown,
  now: readonly Condition[],
  generation: number,
  time: string,
): unknown[] {
  const present = listOf(before);
  const others = present.filter((condition) => !ownTypes.has(String(condition['type'])));
  const ours = now.map((condition): WrittenCondition => {
    const known = present.find((one) => one['type'] === condition.type);
    const isSame = known?.['status'] === condition.status;
    const lastTransitionTime =
      isSame && typeof known['lastTransitionTime'] === 'string' ? known['lastTransitionTime'] : time;
    return { ...condition, observedGeneration: generation, lastTransitionTime };
  });
  return [...ours, ...others];
}

export type Fields = Readonly<Record<string, unknown>>;

export function listOf(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.map(fieldsOf) : [];
}

export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}
