/** Where Istio's routes send traffic, and the header changes that go with a route. */
import { z } from 'zod';
import { optional, required } from '../field.ts';
import { nonEmpty, nonNegative, port, stringMap, text, textList } from '../primitives.ts';

export const portSelector = z.strictObject({
  number: optional(port, 'Port number of the service'),
});

export const destination = z.strictObject({
  host: required(nonEmpty, 'Service: short name, name.namespace or full name'),
  subset: optional(text, 'Name of a subset that a DestinationRule of the host defines'),
  port: optional(portSelector, 'Port of the service', { default: 'the only port, if there is one' }),
});
export type Destination = z.infer<typeof destination>;

const headerOperations = z.strictObject({
  set: optional(stringMap, 'Headers to overwrite'),
  add: optional(stringMap, 'Headers to append to'),
  remove: optional(textList, 'Headers to remove'),
});

export const headers = z.strictObject({
  request: optional(headerOperations, 'Changes of the request before it is forwarded'),
  response: optional(headerOperations, 'Changes of the response before it is returned'),
});
export type HeaderOperations = z.infer<typeof headerOperations>;
export type Headers = z.infer<typeof headers>;

export const httpRouteDestination = z.strictObject({
  destination: required(destination, 'The service instances to send to'),
  weight: optional(nonNegative, 'Share relative to the other destinations; 0 sends nothing', {
    default: 'all traffic when it is the only destination, else 0',
  }),
  headers: optional(headers, 'Header changes for this destination, after those of the route'),
});
export type HttpRouteDestination = z.infer<typeof httpRouteDestination>;

export const routeDestination = z.strictObject({
  destination: required(destination, 'The service instances to send to'),
  weight: optional(nonNegative, 'Share relative to the other destinations'),
});
export type RouteDestination = z.infer<typeof routeDestination>;
