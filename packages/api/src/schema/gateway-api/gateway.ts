/** gateway.networking.k8s.io Gateway and GatewayClass. */
import { z } from 'zod';
import { optional, required } from '../field.ts';
import { nonEmpty, port, stringMap, text } from '../primitives.ts';
import { labelSelector } from '../label-selector.ts';
import { localReference, secretReference } from './references.ts';

const allowedRoutes = z.strictObject({
  namespaces: optional(
    z.strictObject({
      from: optional(z.enum(['All', 'Selector', 'Same', 'None']), 'Namespaces of routes that may attach', {
        default: 'Same',
      }),
      selector: optional(labelSelector, 'Labels of the namespaces'),
    }),
    'Namespaces of routes that may attach',
  ),
  kinds: optional(
    z
      .array(
        z.strictObject({
          group: optional(text, 'API group', { default: 'gateway.networking.k8s.io' }),
          kind: required(nonEmpty, 'Kind'),
        }),
      )
      .max(8, 'must have at most 8 entries'),
    'Kinds of routes that may attach',
    { default: 'by protocol' },
  ),
});

const listenerTls = z.strictObject({
  mode: optional(z.enum(['Terminate', 'Passthrough']), 'How TLS is treated', { default: 'Terminate' }),
  certificateRefs: optional(z.array(secretReference).max(64), 'Secrets with key and certificate'),
  options: optional(stringMap, 'Further settings'),
});

const listener = z.strictObject({
  name: required(nonEmpty, 'Name, unique in the Gateway'),
  hostname: optional(text, 'Host served', { default: 'all' }),
  port: required(port, 'Port'),
  protocol: required(nonEmpty, 'HTTP, HTTPS, TLS, TCP or UDP'),
  tls: optional(listenerTls, 'TLS'),
  allowedRoutes: optional(allowedRoutes, 'Routes that may attach'),
});
export type GatewayListener = z.infer<typeof listener>;

const frontendValidation = z.strictObject({
  validation: optional(
    z.strictObject({
      caCertificateRefs: required(z.array(secretReference).max(8), 'ConfigMaps with the authorities'),
      mode: optional(z.enum(['AllowValidOnly', 'AllowInsecureFallback']), 'Strictness', {
        default: 'AllowValidOnly',
      }),
    }),
    'Verification of client certificates',
  ),
});

const gatewayTls = z.strictObject({
  backend: optional(
    z.strictObject({ clientCertificateRef: optional(secretReference, 'Certificate sent to backends') }),
    'TLS towards backends',
  ),
  frontend: optional(
    z.strictObject({
      default: optional(frontendValidation, 'For all ports'),
      perPort: optional(
        z.array(
          z.strictObject({ port: required(port, 'Port'), tls: required(frontendValidation, 'Settings') }),
        ),
        'By port',
      ),
    }),
    'TLS towards clients',
  ),
});

export const gatewaySpec = z.strictObject({
  gatewayClassName: required(nonEmpty, 'GatewayClass'),
  listeners: optional(z.array(listener).max(64, 'must have at most 64 listeners'), 'Listeners'),
  addresses: optional(
    z
      .array(
        z.strictObject({
          type: optional(text, 'IPAddress or Hostname', { default: 'IPAddress' }),
          value: optional(text, 'The address'),
        }),
      )
      .max(16, 'must have at most 16 entries'),
    'Addresses asked for',
  ),
  infrastructure: optional(
    z.strictObject({
      labels: optional(stringMap, 'Labels'),
      annotations: optional(stringMap, 'Annotations'),
      parametersRef: optional(localReference, 'Further settings'),
    }),
    'What is created for the Gateway',
  ),
  allowedListeners: optional(
    z.strictObject({
      namespaces: optional(
        z.strictObject({
          from: optional(z.enum(['All', 'Selector', 'Same', 'None']), 'Namespaces', { default: 'None' }),
          selector: optional(labelSelector, 'Labels of the namespaces'),
        }),
        'Namespaces of ListenerSets that may attach',
      ),
    }),
    'ListenerSets that may attach',
  ),
  tls: optional(gatewayTls, 'TLS for all listeners'),
  defaultScope: optional(z.enum(['All', 'None']), 'Whether routes without parent attach', {
    default: 'None',
  }),
});
export type GatewaySpec = z.infer<typeof gatewaySpec>;

export const gatewayClassSpec = z.strictObject({
  controllerName: required(nonEmpty, 'Controller of the class, domain/path'),
  parametersRef: optional(
    z.strictObject({
      group: required(text, 'API group'),
      kind: required(nonEmpty, 'Kind'),
      name: required(nonEmpty, 'Name'),
      namespace: optional(text, 'Namespace'),
    }),
    'Further settings',
  ),
  description: optional(text.max(64, 'must have at most 64 characters'), 'For people'),
});
export type GatewayClassSpec = z.infer<typeof gatewayClassSpec>;
