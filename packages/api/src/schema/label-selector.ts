/** Kubernetes label selectors as objects; their text form is in selector.ts. */
import { z } from 'zod';
import { optional, required } from './field.ts';
import { nonEmpty, stringMap, textList } from './primitives.ts';

export const labelSelector = z.strictObject({
  matchLabels: optional(stringMap, 'Labels that must all be carried'),
  matchExpressions: optional(
    z.array(
      z.strictObject({
        key: required(nonEmpty, 'Label'),
        operator: required(z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']), 'Relation'),
        values: optional(textList, 'Values, for In and NotIn'),
      }),
    ),
    'Conditions that must all hold',
  ),
});
export type LabelSelector = z.infer<typeof labelSelector>;
