/** The metadata of every resource. What servers fill in is accepted and overwritten, as Kubernetes does. */
import { z } from 'zod';
import { optional, required } from './field.ts';
import { flag, nonNegative, opaqueList, stringMap, text, textList } from './primitives.ts';

const ownerReference = z.strictObject({
  apiVersion: required(text, 'API version of the owner'),
  kind: required(text, 'Kind of the owner'),
  name: required(text, 'Name of the owner'),
  uid: required(text, 'Uid of the owner'),
  controller: optional(flag, 'The owner manages this object'),
  blockOwnerDeletion: optional(flag, 'The owner waits for this object to be deleted'),
});

export const metadataSchema = z.strictObject({
  name: optional(text, 'Name, unique among objects of the kind in the namespace'),
  generateName: optional(text, 'Prefix of a name made by the server when no name is given'),
  namespace: optional(text, 'Namespace', { default: 'default' }),
  labels: optional(stringMap, 'Labels, by which objects are selected'),
  annotations: optional(stringMap, 'Annotations'),
  uid: optional(text, 'Set by the server'),
  generation: optional(nonNegative, 'Set by the server; counts changes of the spec'),
  resourceVersion: optional(text, 'Set by the server; sent back to detect a concurrent change'),
  creationTimestamp: optional(text, 'Set by the server'),
  deletionTimestamp: optional(text, 'Set by the server'),
  deletionGracePeriodSeconds: optional(nonNegative, 'Set by the server'),
  ownerReferences: optional(z.array(ownerReference), 'Objects this one belongs to'),
  finalizers: optional(textList, 'Names that must be removed before the object goes'),
  managedFields: optional(opaqueList, 'Set by the server'),
  selfLink: optional(text, 'Set by old servers, ignored by all'),
});
