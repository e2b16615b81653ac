/** gateway.networking.k8s.io ReferenceGrant: which references from other namespaces are allowed. */
import { z } from 'zod';
import { optional, required } from '../field.ts';
import { nonEmpty, text } from '../primitives.ts';

export const referenceGrantSpec = z.strictObject({
  from: required(
    z
      .array(
        z.strictObject({
          group: required(text, 'API group of the referring object'),
          kind: required(nonEmpty, 'Its kind'),
          namespace: required(nonEmpty, 'Its namespace'),
        }),
      )
      .min(1, 'must have at least one entry')
      .max(16, 'must have at most 16 entries'),
    'Who may refer',
  ),
  to: required(
    z
      .array(
        z.strictObject({
          group: required(text, 'API group of the object referred to'),
          kind: required(nonEmpty, 'Its kind'),
          name: optional(text, 'Its name', { default: 'all' }),
        }),
      )
      .min(1, 'must have at least one entry')
      .max(16, 'must have at most 16 entries'),
    'To what',
  ),
});
export type ReferenceGrantSpec = z.infer<typeof referenceGrantSpec>;
