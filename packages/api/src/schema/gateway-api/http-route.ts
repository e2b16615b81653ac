/** gateway.networking.k8s.io HTTPRoute, for Gateways and (parent Service) inside the mesh. */
import { z } from 'zod';
import { optional, required } from '../field.ts';
import { gatewayDuration, nonEmpty, positive, text, textList } from '../primitives.ts';
import { httpRouteFilter } from './http-filters.ts';
import { backendObjectFields, parentReference } from './references.ts';

const matchType = z.enum(['Exact', 'RegularExpression']);

const nameValueMatch = z.strictObject({
  type: optional(matchType, 'How the value is compared', { default: 'Exact' }),
  name: required(nonEmpty, 'Name'),
  value: required(nonEmpty, 'Value'),
});

const httpRouteMatch = z.strictObject({
  path: optional(
    z.strictObject({
      type: optional(
        z.enum(['Exact', 'PathPrefix', 'RegularExpression']),
        'How the path is compared; prefixes by whole elements',
        {
          default: 'PathPrefix',
        },
      ),
      value: optional(text.max(1024, 'must have at most 1024 characters'), 'Path', { default: '/' }),
    }),
    'Path',
  ),
  headers: optional(
    z.array(nameValueMatch).max(16, 'must have at most 16 entries'),
    'Headers that must all match',
  ),
  queryParams: optional(
    z.array(nameValueMatch).max(16, 'must have at most 16 entries'),
    'Query parameters that must all match',
  ),
  method: optional(
    z.enum(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH']),
    'Method',
  ),
});
export type HttpRouteMatch = z.infer<typeof httpRouteMatch>;

const httpBackendRef = z.strictObject({
  ...backendObjectFields,
  weight: optional(
    z.int().min(0, 'must not be negative').max(1_000_000, 'must be at most 1000000'),
    'Share relative to the other backends',
    {
      default: '1',
    },
  ),
  filters: optional(
    z.array(httpRouteFilter).max(16, 'must have at most 16 entries'),
    'Filters for this backend',
  ),
});
export type HttpBackendRef = z.infer<typeof httpBackendRef>;

const sessionPersistence = z.strictObject({
  sessionName: optional(text, 'Name of the session', { deprecated: 'use cookie.name or header.name' }),
  absoluteTimeout: optional(gatewayDuration, 'Longest life of a session'),
  idleTimeout: optional(gatewayDuration, 'Longest pause in a session'),
  type: optional(z.enum(['Cookie', 'Header']), 'Where the session is kept', { default: 'Cookie' }),
  cookieConfig: optional(z.strictObject({ lifetimeType: optional(text, 'Session or Permanent') }), 'Cookie', {
    deprecated: 'use cookie',
  }),
  cookie: optional(
    z.strictObject({
      name: optional(text, 'Name'),
      path: optional(text, 'Path', { default: '/' }),
      lifetimeType: optional(z.enum(['Session', 'Permanent']), 'Life', { default: 'Session' }),
    }),
    'Cookie',
  ),
  header: optional(z.strictObject({ name: optional(text, 'Name') }), 'Header'),
});

const httpRouteRule = z.strictObject({
  name: optional(text, 'Name, unique in the route'),
  matches: optional(
    z.array(httpRouteMatch).max(64, 'must have at most 64 entries'),
    'Conditions of which one must hold',
    {
      default: 'path prefix /',
    },
  ),
  filters: optional(
    z.array(httpRouteFilter).max(16, 'must have at most 16 entries'),
    'What is done with matching requests',
  ),
  backendRefs: optional(
    z.array(httpBackendRef).max(16, 'must have at most 16 entries'),
    'Where matching requests go',
  ),
  timeouts: optional(
    z.strictObject({
      request: optional(gatewayDuration, 'Limit of the whole request; 0s disables'),
      backendRequest: optional(gatewayDuration, 'Limit of each try; at most that of the request'),
    }),
    'Time limits',
  ),
  retry: optional(
    z.strictObject({
      codes: optional(
        z.array(z.int().min(400, 'must be from 400 to 599').max(599, 'must be from 400 to 599')),
        'Statuses that are tried again',
      ),
      attempts: optional(positive, 'Most retries', { default: '2' }),
      backoff: optional(gatewayDuration, 'Least wait between tries', { default: '25ms' }),
    }),
    'When failed requests are tried again',
  ),
  sessionPersistence: optional(sessionPersistence, 'Keep a session on one endpoint'),
});
export type HttpRouteRule = z.infer<typeof httpRouteRule>;

export const httpRouteSpec = z.strictObject({
  parentRefs: optional(
    z.array(parentReference).max(32, 'must have at most 32 entries'),
    'Gateways or Services that the route attaches to',
  ),
  useDefaultGateways: optional(z.enum(['All', 'None']), 'Attach to default Gateways', { default: 'None' }),
  hostnames: optional(
    textList.max(16, 'must have at most 16 entries'),
    'Hosts; not used with Service parents',
  ),
  rules: optional(z.array(httpRouteRule).max(16, 'must have at most 16 rules'), 'Rules', {
    default: 'one rule for path prefix /',
  }),
});
export type HttpRouteSpec = z.infer<typeof httpRouteSpec>;
