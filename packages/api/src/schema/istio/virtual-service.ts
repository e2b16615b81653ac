/** networking.istio.io VirtualService: how requests for a host are routed. */
import { z } from 'zod';
import { optional, required } from '../field.ts';
import {
  duration,
  flag,
  int32,
  nonNegative,
  port,
  stringMap,
  text,
  textList,
  uint32,
} from '../primitives.ts';
import { destination, headers, httpRouteDestination, routeDestination } from './destination.ts';
import { percent, stringMatch } from './string-match.ts';

const httpMatch = z.strictObject({
  name: optional(text, 'Label added to the route name in logs and metrics'),
  uri: optional(stringMatch, 'Path, without query'),
  scheme: optional(stringMatch, 'Scheme'),
  method: optional(stringMatch, 'Method'),
  authority: optional(stringMatch, 'Host or :authority'),
  headers: optional(
    z.record(z.string(), stringMatch),
    'Headers by lower-case name; an empty match asks for presence',
  ),
  port: optional(port, 'Port of the service that was called'),
  sourceLabels: optional(stringMap, 'Labels of the calling workloads that the rule applies to'),
  gateways: optional(textList, 'Gateways that the rule applies to, instead of those of the VirtualService'),
  queryParams: optional(
    z.record(z.string(), stringMatch),
    'Query parameters; an empty match asks for presence',
  ),
  ignoreUriCase: optional(flag, 'Match exact and prefix paths regardless of case', { default: 'false' }),
  withoutHeaders: optional(
    z.record(z.string(), stringMatch),
    'Headers that must not match; an empty match asks for absence',
  ),
  sourceNamespace: optional(text, 'Namespace of the calling workloads that the rule applies to'),
  statPrefix: optional(text, 'Prefix of statistics kept for the route'),
});
export type HttpMatch = z.infer<typeof httpMatch>;

const httpRedirect = z.strictObject({
  uri: optional(text, 'Path to redirect to, in place of the whole path'),
  prefixRewrite: optional(text, 'Path that replaces the matched prefix'),
  authority: optional(text, 'Host to redirect to'),
  port: optional(port, 'Port to redirect to'),
  derivePort: optional(
    z.enum(['FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT']),
    'Where the port comes from when none is given',
  ),
  scheme: optional(text, 'http or https'),
  redirectCode: optional(uint32, 'Status: 301, 302, 303, 307 or 308', { default: '301' }),
});
export type HttpRedirect = z.infer<typeof httpRedirect>;

const directResponse = z.strictObject({
  status: required(uint32, 'Status of the reply'),
  body: optional(
    z.strictObject({
      string: optional(text, 'Body as text'),
      bytes: optional(text, 'Body in base64'),
    }),
    'Body of the reply',
  ),
});
export type HttpDirectResponse = z.infer<typeof directResponse>;

const httpRewrite = z.strictObject({
  uri: optional(text, 'Replaces the matched path or prefix'),
  authority: optional(text, 'Replaces the host'),
  uriRegexRewrite: optional(
    z.strictObject({
      match: optional(text, 'RE2 regular expression, matched anywhere in the path'),
      rewrite: optional(text, 'Replacement; \\1 to \\9 stand for groups'),
    }),
    'Rewrites the path by a regular expression',
  ),
});
export type HttpRewrite = z.infer<typeof httpRewrite>;

const httpRetry = z.strictObject({
  attempts: optional(int32.min(0, 'must not be negative'), 'Retries after the first try; 0 disables', {
    default: '2',
  }),
  perTryTimeout: optional(duration, 'Limit of each try', { default: 'the timeout of the route' }),
  retryOn: optional(text, 'Comma-separated conditions; numbers are response statuses', {
    default: 'connect-failure,refused-stream, and more for requests that are safe to repeat',
  }),
  retryRemoteLocalities: optional(flag, 'Retries may go to other localities', { default: 'false' }),
  retryIgnorePreviousHosts: optional(flag, 'Retries avoid hosts already tried', { default: 'true' }),
  backoff: optional(duration, 'Base of the exponential wait between tries', { default: '25ms' }),
});
export type HttpRetry = z.infer<typeof httpRetry>;

const httpFault = z.strictObject({
  delay: optional(
    z.strictObject({
      fixedDelay: optional(duration, 'Delay before forwarding'),
      exponentialDelay: optional(duration, 'Mean delay', { deprecated: 'use fixedDelay' }),
      percentage: optional(percent, 'Share of requests that are delayed'),
      percent: optional(int32, 'Share in whole percent', { deprecated: 'use percentage' }),
    }),
    'Delays requests',
  ),
  abort: optional(
    z.strictObject({
      httpStatus: optional(int32, 'HTTP status of the reply'),
      grpcStatus: optional(text, 'gRPC status of the reply'),
      http2Error: optional(text, 'HTTP/2 error of the reply'),
      percentage: optional(percent, 'Share of requests that are answered'),
    }),
    'Answers requests with an error',
  ),
});

const mirrorPolicy = z.strictObject({
  destination: required(destination, 'Where copies go'),
  percentage: optional(percent, 'Share of requests that are copied', { default: '100' }),
});

const corsPolicy = z.strictObject({
  allowOrigin: optional(textList, 'Origins', { deprecated: 'use allowOrigins' }),
  allowOrigins: optional(z.array(stringMatch), 'Origins that may call'),
  allowMethods: optional(textList, 'Methods that may be used'),
  allowHeaders: optional(textList, 'Request headers that may be sent'),
  exposeHeaders: optional(textList, 'Response headers that scripts may read'),
  maxAge: optional(duration, 'How long a preflight answer may be cached'),
  allowCredentials: optional(flag, 'Whether credentials may be sent'),
  unmatchedPreflights: optional(
    z.enum(['UNSPECIFIED', 'FORWARD', 'IGNORE']),
    'What happens to preflights of other origins',
    {
      default: 'FORWARD',
    },
  ),
});

const httpRoute = z.strictObject({
  name: optional(text, 'Name of the route in logs and metrics'),
  match: optional(z.array(httpMatch), 'Conditions of which one must hold; none match everything'),
  route: optional(z.array(httpRouteDestination), 'Where requests go'),
  redirect: optional(httpRedirect, 'Answer with a redirect'),
  directResponse: optional(directResponse, 'Answer with a fixed reply'),
  delegate: optional(
    z.strictObject({
      name: optional(text, 'Name of the VirtualService'),
      namespace: optional(text, 'Its namespace', { default: 'the own namespace' }),
    }),
    'Include the routes of another VirtualService',
  ),
  rewrite: optional(httpRewrite, 'Rewrite path or host before forwarding'),
  timeout: optional(duration, 'Limit of the whole request, retries included', { default: 'none' }),
  retries: optional(httpRetry, 'When and how failed requests are tried again'),
  fault: optional(httpFault, 'Inject faults'),
  mirror: optional(destination, 'Send a copy of each request here as well'),
  mirrors: optional(z.array(mirrorPolicy), 'Send copies to several destinations'),
  mirrorPercent: optional(uint32, 'Share copied in whole percent', { deprecated: 'use mirrorPercentage' }),
  mirrorPercentage: optional(percent, 'Share of requests that are copied', { default: '100' }),
  corsPolicy: optional(corsPolicy, 'Cross-origin resource sharing'),
  headers: optional(headers, 'Header changes'),
});
export type HttpRoute = z.infer<typeof httpRoute>;

const tlsMatch = z.strictObject({
  sniHosts: required(textList, 'Server names'),
  destinationSubnets: optional(textList, 'Destination addresses (CIDR)'),
  port: optional(nonNegative, 'Destination port'),
  sourceLabels: optional(stringMap, 'Labels of the calling workloads'),
  gateways: optional(textList, 'Gateways that the rule applies to'),
  sourceNamespace: optional(text, 'Namespace of the calling workloads'),
});

const l4Match = z.strictObject({
  destinationSubnets: optional(textList, 'Destination addresses (CIDR)'),
  port: optional(nonNegative, 'Destination port'),
  sourceSubnet: optional(text, 'Source address (CIDR)'),
  sourceLabels: optional(stringMap, 'Labels of the calling workloads'),
  gateways: optional(textList, 'Gateways that the rule applies to'),
  sourceNamespace: optional(text, 'Namespace of the calling workloads'),
});

export const virtualServiceSpec = z.strictObject({
  hosts: optional(textList, 'Hosts whose traffic is routed; short names resolve in the own namespace'),
  gateways: optional(textList, 'Gateways that serve the routes; `mesh` means all sidecars', {
    default: '[mesh]',
  }),
  http: optional(z.array(httpRoute), 'Routes of HTTP traffic; the first that matches wins'),
  tls: optional(
    z.array(
      z.strictObject({
        match: required(z.array(tlsMatch), 'Conditions'),
        route: optional(z.array(routeDestination), 'Where connections go'),
      }),
    ),
    'Routes of TLS connections that are passed through, by server name',
  ),
  tcp: optional(
    z.array(
      z.strictObject({
        match: optional(z.array(l4Match), 'Conditions'),
        route: optional(z.array(routeDestination), 'Where connections go'),
      }),
    ),
    'Routes of other connections',
  ),
  exportTo: optional(textList, 'Namespaces that see the routes: `.` own, `*` all', { default: '[*]' }),
});
export type VirtualServiceSpec = z.infer<typeof virtualServiceSpec>;
