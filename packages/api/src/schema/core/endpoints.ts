/** Given endpoints of a service: discovery.k8s.io EndpointSlice and core Endpoints. */
import { z } from 'zod';
import { optional, required, unused } from '../field.ts';
import { flag, nonEmpty, opaque, port, stringMap, text, textList } from '../primitives.ts';

const targetRef = z.looseObject({
  kind: optional(text, 'Kind'),
  name: optional(text, 'Name'),
  namespace: optional(text, 'Namespace'),
});

const sliceEndpoint = z.strictObject({
  addresses: required(
    textList.min(1, 'must have at least one address').max(100, 'must have at most 100 addresses'),
    'Addresses of one endpoint',
  ),
  conditions: optional(
    z.strictObject({
      ready: optional(flag, 'Takes traffic', { default: 'true' }),
      serving: optional(flag, 'Answers, even while terminating'),
      terminating: optional(flag, 'Is going away'),
    }),
    'State',
  ),
  hostname: optional(text, 'Host name'),
  targetRef: optional(targetRef, 'What the endpoint is'),
  deprecatedTopology: optional(stringMap, 'Topology', { deprecated: 'use zone and nodeName' }),
  nodeName: optional(text, 'Node'),
  zone: optional(text, 'Zone'),
  hints: unused(opaque),
});

export const endpointSliceFields = {
  addressType: required(z.enum(['IPv4', 'IPv6', 'FQDN']), 'Type of the addresses'),
  endpoints: required(z.array(sliceEndpoint).max(1000, 'must have at most 1000 endpoints'), 'Endpoints'),
  ports: optional(
    z
      .array(
        z.strictObject({
          name: optional(text, 'Name of the service port'),
          protocol: optional(z.enum(['TCP', 'UDP', 'SCTP']), 'Transport', { default: 'TCP' }),
          port: optional(port, 'Port of the endpoints'),
          appProtocol: optional(text, 'Protocol'),
        }),
      )
      .max(100, 'must have at most 100 ports'),
    'Ports',
  ),
};
const endpointSliceContent = z.strictObject(endpointSliceFields);
export type EndpointSliceContent = z.infer<typeof endpointSliceContent>;

const endpointAddress = z.strictObject({
  ip: required(nonEmpty, 'Address'),
  hostname: optional(text, 'Host name'),
  nodeName: optional(text, 'Node'),
  targetRef: optional(targetRef, 'What the endpoint is'),
});

export const endpointsFields = {
  subsets: optional(
    z.array(
      z.strictObject({
        addresses: optional(z.array(endpointAddress), 'Endpoints that are ready'),
        notReadyAddresses: optional(z.array(endpointAddress), 'Endpoints that are not'),
        ports: optional(
          z.array(
            z.strictObject({
              name: optional(text, 'Name of the service port'),
              port: required(port, 'Port'),
              protocol: optional(z.enum(['TCP', 'UDP', 'SCTP']), 'Transport', { default: 'TCP' }),
              appProtocol: optional(text, 'Protocol'),
            }),
          ),
          'Ports',
        ),
      }),
    ),
    'Groups of addresses with the same ports',
  ),
};
const endpointsContent = z.strictObject(endpointsFields);
export type EndpointsContent = z.infer<typeof endpointsContent>;
