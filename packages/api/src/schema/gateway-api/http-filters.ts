/** Filters of HTTPRoute rules and backends. */
import { z } from 'zod';
import { optional, required } from '../field.ts';
import { flag, nonEmpty, nonNegative, port, positive, text, textList } from '../primitives.ts';
import { backendObjectReference, localReference } from './references.ts';

const headerPair = z.strictObject({
  name: required(nonEmpty, 'Name of the header'),
  value: required(text, 'Its value'),
});

const headerModifier = z.strictObject({
  set: optional(z.array(headerPair).max(16, 'must have at most 16 entries'), 'Headers to overwrite'),
  add: optional(z.array(headerPair).max(16, 'must have at most 16 entries'), 'Headers to append to'),
  remove: optional(textList.max(16, 'must have at most 16 entries'), 'Headers to remove'),
});
export type HeaderModifier = z.infer<typeof headerModifier>;

const pathModifier = z.strictObject({
  type: required(z.enum(['ReplaceFullPath', 'ReplacePrefixMatch']), 'What is replaced'),
  replaceFullPath: optional(text, 'The new path'),
  replacePrefixMatch: optional(text, 'What the matched prefix becomes'),
});
export type PathModifier = z.infer<typeof pathModifier>;

const mirror = z.strictObject({
  backendRef: required(backendObjectReference, 'Where copies go'),
  percent: optional(z.int().min(0).max(100), 'Share copied', { default: '100' }),
  fraction: optional(
    z.strictObject({
      numerator: required(nonNegative, 'Copies'),
      denominator: optional(positive, 'of so many requests', { default: '100' }),
    }),
    'Share copied as a fraction',
  ),
});

const redirect = z.strictObject({
  scheme: optional(z.enum(['http', 'https']), 'Scheme', { default: 'that of the request' }),
  hostname: optional(text, 'Host', { default: 'that of the request' }),
  path: optional(pathModifier, 'Path', { default: 'that of the request' }),
  port: optional(port, 'Port', { default: 'by scheme, else that of the listener' }),
  statusCode: optional(
    z.union([z.literal(301), z.literal(302), z.literal(303), z.literal(307), z.literal(308)]),
    'Status',
    { default: '302' },
  ),
});

const cors = z.strictObject({
  allowOrigins: optional(textList.max(64), 'Origins that may call'),
  allowCredentials: optional(flag, 'Whether credentials may be sent'),
  allowMethods: optional(textList.max(9), 'Methods that may be used'),
  allowHeaders: optional(textList.max(64), 'Request headers that may be sent'),
  exposeHeaders: optional(textList.max(64), 'Response headers that scripts may read'),
  maxAge: optional(positive, 'Seconds a preflight answer may be cached', { default: '5' }),
});

const externalAuth = z.strictObject({
  protocol: required(z.enum(['HTTP', 'GRPC']), 'Protocol of the authorization service'),
  backendRef: required(backendObjectReference, 'The authorization service'),
  grpc: optional(z.strictObject({ allowedHeaders: optional(textList, 'Headers sent') }), 'With gRPC'),
  http: optional(
    z.strictObject({
      path: optional(text, 'Prefix of the path'),
      allowedHeaders: optional(textList, 'Headers sent'),
      allowedResponseHeaders: optional(textList, 'Headers taken over from the answer'),
    }),
    'With HTTP',
  ),
  forwardBody: optional(
    z.strictObject({ maxSize: optional(nonNegative, 'Most bytes') }),
    'Send the body too',
  ),
});

export const httpRouteFilter = z.strictObject({
  type: required(
    z.enum([
      'RequestHeaderModifier',
      'ResponseHeaderModifier',
      'RequestMirror',
      'RequestRedirect',
      'URLRewrite',
      'ExtensionRef',
      'CORS',
      'ExternalAuth',
    ]),
    'Which filter; its settings stand in the member of the same name',
  ),
  requestHeaderModifier: optional(headerModifier, 'Header changes of the request'),
  responseHeaderModifier: optional(headerModifier, 'Header changes of the response'),
  requestMirror: optional(mirror, 'Send copies elsewhere'),
  requestRedirect: optional(redirect, 'Answer with a redirect'),
  urlRewrite: optional(
    z.strictObject({
      hostname: optional(text, 'Replaces the host'),
      path: optional(pathModifier, 'Replaces the path'),
    }),
    'Rewrite host or path before forwarding',
  ),
  cors: optional(cors, 'Cross-origin resource sharing'),
  externalAuth: optional(externalAuth, 'Ask an authorization service'),
  extensionRef: optional(localReference, 'A filter defined by an own kind'),
});
export type HttpRouteFilter = z.infer<typeof httpRouteFilter>;
