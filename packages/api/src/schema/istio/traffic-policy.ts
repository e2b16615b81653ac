/** Traffic policy of Istio's DestinationRule: load balancing, connection limits, ejection, TLS. */
import { z } from 'zod';
import { optional, required } from '../field.ts';
import {
  duration,
  flag,
  int32,
  nonNegative,
  percentValue,
  stringMap,
  text,
  textList,
  uint32,
} from '../primitives.ts';
import { portSelector } from './destination.ts';

const localityFailover = z.strictObject({
  from: optional(text, 'Region that fails'),
  to: optional(text, 'Region that takes over'),
});

const localityLbSetting = z.strictObject({
  enabled: optional(flag, 'Prefer endpoints nearby', { default: 'true' }),
  distribute: optional(
    z.array(
      z.strictObject({
        from: optional(text, 'Locality of the caller, region/zone/subzone'),
        to: optional(z.record(z.string(), uint32), 'Shares by locality, together 100'),
      }),
    ),
    'Fixed shares by locality',
  ),
  failover: optional(z.array(localityFailover), 'Which region takes over'),
  failoverPriority: optional(textList, 'Labels that endpoints nearby share with the caller'),
});

const consistentHash = z.strictObject({
  httpHeaderName: optional(text, 'Hash this header'),
  httpCookie: optional(
    z.strictObject({
      name: required(text, 'Name of the cookie'),
      path: optional(text, 'Path of the cookie'),
      ttl: optional(duration, 'Life of the cookie, which is made when absent'),
      attributes: optional(
        z.array(z.strictObject({ name: required(text, 'Attribute'), value: optional(text, 'Its value') })),
        'Further attributes of the cookie',
      ),
    }),
    'Hash this cookie',
  ),
  useSourceIp: optional(flag, 'Hash the source address'),
  httpQueryParameterName: optional(text, 'Hash this query parameter'),
  ringHash: optional(
    z.strictObject({
      minimumRingSize: optional(nonNegative, 'Least number of entries', { default: '1024' }),
    }),
    'Use a hash ring',
  ),
  maglev: optional(
    z.strictObject({ tableSize: optional(nonNegative, 'Entries, a prime', { default: '65537' }) }),
    'Use a Maglev table',
  ),
  minimumRingSize: optional(nonNegative, 'Least number of entries', {
    deprecated: 'use ringHash.minimumRingSize',
  }),
});

const warmup = z.strictObject({
  duration: required(duration, 'How long a new endpoint is spared'),
  minimumPercent: optional(percentValue, 'Share it begins with', { default: '10' }),
  aggression: optional(z.number().min(1), 'Shape of the growth', { default: '1.0' }),
});

export const loadBalancer = z.strictObject({
  simple: optional(
    z.enum(['UNSPECIFIED', 'RANDOM', 'PASSTHROUGH', 'ROUND_ROBIN', 'LEAST_REQUEST', 'LEAST_CONN']),
    'Algorithm; LEAST_CONN is the old name of LEAST_REQUEST',
    { default: 'LEAST_REQUEST' },
  ),
  consistentHash: optional(consistentHash, 'Session affinity by hash'),
  localityLbSetting: optional(localityLbSetting, 'Preference by locality'),
  zoneAwareLbSetting: optional(
    z.strictObject({
      enabled: optional(flag, 'Keep traffic in the zone'),
      failover: optional(z.array(localityFailover), 'Which region takes over'),
      failoverPriority: optional(textList, 'Labels that endpoints nearby share with the caller'),
      minClusterSize: optional(nonNegative, 'Least number of endpoints', { default: '6' }),
    }),
    'Zone-aware balancing',
  ),
  warmup: optional(warmup, 'Send new endpoints less at first'),
  warmupDurationSecs: optional(duration, 'How long a new endpoint is spared', {
    deprecated: 'use warmup.duration',
  }),
});
export type LoadBalancerSettings = z.infer<typeof loadBalancer>;

export const connectionPool = z.strictObject({
  tcp: optional(
    z.strictObject({
      maxConnections: optional(int32, 'Most connections to the host', { default: 'unlimited' }),
      connectTimeout: optional(duration, 'Limit of connecting', { default: '10s' }),
      tcpKeepalive: optional(
        z.strictObject({
          probes: optional(uint32, 'Unanswered probes before the connection is dead', { default: '9' }),
          time: optional(duration, 'Silence before the first probe', { default: '7200s' }),
          interval: optional(duration, 'Time between probes', { default: '75s' }),
        }),
        'TCP keep-alive probes',
      ),
      maxConnectionDuration: optional(duration, 'Longest life of a connection', { default: 'none' }),
      idleTimeout: optional(duration, 'How long a connection may carry nothing', { default: '1h' }),
    }),
    'Connections',
  ),
  http: optional(
    z.strictObject({
      http1MaxPendingRequests: optional(int32, 'Most requests waiting for a connection', {
        default: 'unlimited',
      }),
      http2MaxRequests: optional(int32, 'Most requests in flight, HTTP/1 too', { default: 'unlimited' }),
      maxRequestsPerConnection: optional(
        int32,
        'Requests after which a connection is closed; 1 disables keep-alive',
        {
          default: '0 (unlimited)',
        },
      ),
      maxRetries: optional(int32, 'Most retries in flight', { default: 'unlimited' }),
      idleTimeout: optional(duration, 'How long a connection may be without requests', { default: '1h' }),
      h2UpgradePolicy: optional(
        z.enum(['DEFAULT', 'DO_NOT_UPGRADE', 'UPGRADE']),
        'Whether HTTP/1 is turned into HTTP/2',
        {
          default: 'DEFAULT',
        },
      ),
      useClientProtocol: optional(flag, 'Keep the HTTP version of the client', { default: 'false' }),
      maxConcurrentStreams: optional(int32, 'Most streams of an HTTP/2 connection', {
        default: '2147483647',
      }),
      http2KeepAlive: optional(
        z.strictObject({
          interval: optional(duration, 'Time between pings'),
          timeout: optional(duration, 'How long an answer may take'),
        }),
        'HTTP/2 pings',
      ),
    }),
    'Requests',
  ),
});
export type ConnectionPoolSettings = z.infer<typeof connectionPool>;

const outlierDetection = z.strictObject({
  consecutiveErrors: optional(int32, 'Errors in a row', { deprecated: 'use consecutive5xxErrors' }),
  consecutive5xxErrors: optional(uint32, '5xx in a row before ejection; 0 disables', { default: '5' }),
  consecutiveGatewayErrors: optional(uint32, '502, 503, 504 in a row before ejection; 0 disables', {
    default: '0',
  }),
  splitExternalLocalOriginErrors: optional(flag, 'Count failures to connect apart', { default: 'false' }),
  consecutiveLocalOriginFailures: optional(uint32, 'Failures to connect in a row before ejection', {
    default: '5',
  }),
  interval: optional(duration, 'Time between sweeps', { default: '10s' }),
  baseEjectionTime: optional(duration, 'Ejection time, times the number of ejections', { default: '30s' }),
  maxEjectionPercent: optional(int32.min(0).max(100), 'Most endpoints ejected at once', { default: '10' }),
  minHealthPercent: optional(int32.min(0).max(100), 'Healthy share below which nothing is ejected', {
    default: '0',
  }),
  outlierDetectionHttpErrorCodes: optional(z.array(int32.min(100).max(599)), 'Statuses that count as errors'),
});

const clientTls = z.strictObject({
  mode: optional(
    z.enum(['DISABLE', 'SIMPLE', 'MUTUAL', 'ISTIO_MUTUAL']),
    'Whether and how connections are encrypted',
  ),
  clientCertificate: optional(text, 'File with the client certificate, with mode MUTUAL'),
  privateKey: optional(text, 'File with its key'),
  caCertificates: optional(text, 'File with authorities that servers are verified by', {
    default: 'those of the system',
  }),
  credentialName: optional(
    text,
    'Secret in the namespace of the caller with key, certificate and authorities',
  ),
  subjectAltNames: optional(textList, 'Names of which the server must prove one'),
  sni: optional(text, 'Server name sent'),
  insecureSkipVerify: optional(flag, 'Do not verify the server', { default: 'false' }),
  caCrl: optional(text, 'File with revoked certificates'),
});
export type ClientTlsSettings = z.infer<typeof clientTls>;

const commonPolicy = {
  loadBalancer: optional(loadBalancer, 'Load balancing'),
  connectionPool: optional(connectionPool, 'Limits of connections and requests'),
  outlierDetection: optional(outlierDetection, 'Taking failing endpoints out'),
  tls: optional(clientTls, 'TLS towards the service'),
};

export const trafficPolicy = z.strictObject({
  ...commonPolicy,
  portLevelSettings: optional(
    z.array(z.strictObject({ port: optional(portSelector, 'The port'), ...commonPolicy })),
    'Settings by port; they replace those above, nothing is inherited',
  ),
  tunnel: optional(
    z.strictObject({
      protocol: optional(text, 'CONNECT or POST', { default: 'CONNECT' }),
      targetHost: required(text, 'Host at the end of the tunnel'),
      targetPort: required(uint32, 'Its port'),
    }),
    'Reach the service through an HTTP proxy',
  ),
  proxyProtocol: optional(
    z.strictObject({ version: optional(z.enum(['V1', 'V2']), 'Version', { default: 'V1' }) }),
    'Send a PROXY header',
  ),
  retryBudget: optional(
    z.strictObject({
      percent: optional(percentValue, 'Retries allowed, in percent of active and pending requests', {
        default: '20',
      }),
      minRetryConcurrency: optional(uint32, 'Retries that are always allowed', { default: '3' }),
      budgetInterval: optional(duration, 'Time over which requests are counted', { default: '0ms' }),
    }),
    'Limit of retries in flight, in place of connectionPool.http.maxRetries',
  ),
});
export type TrafficPolicy = z.infer<typeof trafficPolicy>;
export type PortTrafficPolicy = NonNullable<TrafficPolicy['portLevelSettings']>[number];

export const labelSelectorSimple = z.strictObject({
  matchLabels: optional(stringMap, 'Labels that a workload must carry'),
});
