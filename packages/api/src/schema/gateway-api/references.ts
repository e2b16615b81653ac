/** References between Gateway API resources. */
import { z } from 'zod';
import { optional, required } from '../field.ts';
import { nonEmpty, port, text } from '../primitives.ts';

export const parentReference = z.strictObject({
  group: optional(text, 'API group of the parent', { default: 'gateway.networking.k8s.io' }),
  kind: optional(text, 'Gateway, or Service (with group "") for traffic inside the mesh', {
    default: 'Gateway',
  }),
  namespace: optional(text, 'Namespace of the parent', { default: 'the own namespace' }),
  name: required(nonEmpty, 'Name of the parent'),
  sectionName: optional(text, 'Listener of the Gateway or port name of the Service'),
  port: optional(port, 'Port of the parent'),
});
export type ParentReference = z.infer<typeof parentReference>;

export const backendObjectFields = {
  group: optional(text, 'API group', { default: '""' }),
  kind: optional(text, 'Kind', { default: 'Service' }),
  name: required(nonEmpty, 'Name'),
  namespace: optional(text, 'Namespace; another one needs a ReferenceGrant', {
    default: 'the own namespace',
  }),
  port: optional(port, 'Port of the Service'),
};

export const backendObjectReference = z.strictObject(backendObjectFields);

export const secretReference = z.strictObject({
  group: optional(text, 'API group', { default: '""' }),
  kind: optional(text, 'Kind', { default: 'Secret' }),
  name: required(nonEmpty, 'Name'),
  namespace: optional(text, 'Namespace; another one needs a ReferenceGrant', {
    default: 'the own namespace',
  }),
});

export const localReference = z.strictObject({
  group: required(text, 'API group'),
  kind: required(nonEmpty, 'Kind'),
  name: required(nonEmpty, 'Name'),
});
