/** networking.istio.io DestinationRule: subsets of a host and how its endpoints are used. */
import { z } from 'zod';
import { optional, required } from '../field.ts';
import { nonEmpty, stringMap, textList } from '../primitives.ts';
import { labelSelectorSimple, trafficPolicy } from './traffic-policy.ts';

const subset = z.strictObject({
  name: required(nonEmpty, 'Name that routes use'),
  labels: optional(stringMap, 'Labels of the endpoints in the subset'),
  trafficPolicy: optional(trafficPolicy, 'Policy in place of that of the host'),
});
export type Subset = z.infer<typeof subset>;

export const destinationRuleSpec = z.strictObject({
  host: required(nonEmpty, 'Service: short name, name.namespace, full name or wildcard'),
  trafficPolicy: optional(trafficPolicy, 'How the endpoints are used'),
  subsets: optional(z.array(subset), 'Named groups of endpoints'),
  exportTo: optional(textList, 'Namespaces that see the rule: `.` own, `*` all', { default: '[*]' }),
  workloadSelector: optional(labelSelectorSimple, 'Calling workloads that the rule applies to'),
});
export type DestinationRuleSpec = z.infer<typeof destinationRuleSpec>;
