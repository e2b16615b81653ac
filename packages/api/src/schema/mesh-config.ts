/**
 * `meshConfig:` of sluice.yaml, in the schema of Istio's MeshConfig. Fields whose content is not looked into yet
 * are known by name, so that the answer is "not supported yet" rather than "unknown".
 */
import { z } from 'zod';
import { optional } from './field.ts';
import { duration, flag, nonNegative, opaque, opaqueList, port, text, textList } from './primitives.ts';

const retryPolicy = z.strictObject({
  attempts: optional(nonNegative, 'Retries after the first try; 0 disables', { default: '2' }),
  perTryTimeout: optional(duration, 'Limit of each try'),
  retryOn: optional(text, 'Comma-separated conditions; numbers are response statuses'),
  retryRemoteLocalities: optional(flag, 'Retries may go to other localities', { default: 'false' }),
  retryIgnorePreviousHosts: optional(flag, 'Retries avoid hosts already tried', { default: 'true' }),
  backoff: optional(duration, 'Base of the exponential wait between tries', { default: '25ms' }),
});

const proxyConfig = z.strictObject({
  drainDuration: optional(duration, 'Time that a replaced listener of a sidecar drains, in whole seconds', {
    default: '45s',
  }),
  terminationDrainDuration: optional(
    duration,
    'Time that a sidecar drains before it ends, in whole seconds',
    {
      default: '5s',
    },
  ),
  concurrency: optional(nonNegative, 'Worker loops of a sidecar; 0 means one per core', { default: '1' }),
  holdApplicationUntilProxyStarts: optional(
    flag,
    'Start the application when its sidecar is ready: always so',
    {
      default: 'true',
    },
  ),
  tracing: optional(opaque, 'Tracing'),
  statNameLength: optional(nonNegative, 'Longest name of a statistic', { default: '189' }),
  proxyMetadata: optional(opaque, 'Environment of the sidecar'),
  proxyStatsMatcher: optional(opaque, 'Statistics kept'),
  discoveryAddress: optional(text, 'Address of the control plane'),
  configPath: optional(text, 'Folder of the configuration'),
  binaryPath: optional(text, 'Path of the proxy'),
  serviceCluster: optional(text, 'Name of the service'),
  controlPlaneAuthPolicy: optional(text, 'How the control plane is authenticated'),
  customConfigFile: optional(text, 'Bootstrap file'),
  statsdUdpAddress: optional(text, 'Address of a statsd server'),
  envoyAccessLogService: optional(opaque, 'Access log service'),
  envoyMetricsService: optional(opaque, 'Metrics service'),
  proxyAdminPort: optional(port, 'Admin port'),
  availabilityZone: optional(text, 'Availability zone'),
  interceptionMode: optional(text, 'How traffic is captured'),
  sds: optional(opaque, 'Secrets'),
  readinessProbe: optional(opaque, 'When the proxy is ready'),
  extraStatTags: optional(textList, 'Further tags'),
  gatewayTopology: optional(opaque, 'Proxies in front of gateways'),
  image: optional(opaque, 'Container image'),
  privateKeyProvider: optional(opaque, 'Where private keys are'),
  caCertificatesPem: optional(textList, 'Authorities'),
  statusPort: optional(port, 'Health port'),
  zipkinAddress: optional(text, 'Address of Zipkin'),
  meshId: optional(text, 'Mesh'),
  proxyHeaders: optional(opaque, 'Headers that the proxy sets'),
  fileFlushInterval: optional(duration, 'How often logs are written'),
  fileFlushMinSizeKb: optional(nonNegative, 'When logs are written'),
  runtimeValues: optional(opaque, 'Runtime flags'),
});

const tlsConfig = z.strictObject({
  minProtocolVersion: optional(z.enum(['TLS_AUTO', 'TLSV1_2', 'TLSV1_3']), 'Oldest version taken', {
    default: 'TLSV1_2',
  }),
  cipherSuites: optional(textList, 'Suites of TLS 1.2, by preference; those of TLS 1.3 are fixed', {
    default: "Istio's",
  }),
  ecdhCurves: optional(textList, 'Curves of the key exchange'),
});

/** Fields of MeshConfig without effect yet, with the shape they have. */
const otherFields = {
  proxyListenPort: optional(port, 'Outbound port of sidecars', { default: '15001' }),
  proxyInboundListenPort: optional(port, 'Inbound port of sidecars', { default: '15006' }),
  proxyHttpPort: optional(port, 'Forward proxy port'),
  ingressClass: optional(text, 'Ingress class'),
  ingressService: optional(text, 'Ingress service'),
  ingressControllerMode: optional(text, 'Ingress'),
  ingressSelector: optional(text, 'Ingress'),
  enableTracing: optional(flag, 'Tracing'),
  inboundTrafficPolicy: optional(opaque, 'Inbound traffic to unknown ports'),
  configSources: optional(opaqueList, 'Sources of configuration'),
  caCertificates: optional(opaqueList, 'Authorities'),
  defaultServiceExportTo: optional(textList, 'Visibility of services'),
  defaultVirtualServiceExportTo: optional(textList, 'Visibility of VirtualServices'),
  defaultDestinationRuleExportTo: optional(textList, 'Visibility of DestinationRules'),
  localityLbSetting: optional(opaque, 'Balancing by locality'),
  dnsRefreshRate: optional(duration, 'How often names are looked up', { default: '60s' }),
  h2UpgradePolicy: optional(text, 'Whether HTTP/1 is turned into HTTP/2'),
  inboundClusterStatName: optional(text, 'Names of statistics'),
  outboundClusterStatName: optional(text, 'Names of statistics'),
  thriftConfig: optional(opaque, 'Thrift'),
  serviceSettings: optional(opaqueList, 'Settings by service'),
  enablePrometheusMerge: optional(flag, 'Serve metrics of the application too'),
  verifyCertificateAtClient: optional(flag, 'Verification', { deprecated: 'it has no effect' }),
  extensionProviders: optional(opaqueList, 'Providers of telemetry and authorization'),
  defaultProviders: optional(opaque, 'Providers used by default'),
  discoverySelectors: optional(opaqueList, 'Namespaces that count'),
  tcpKeepalive: optional(opaque, 'TCP keep-alive'),
  hboneIdleTimeout: optional(duration, 'Idle limit of tunnels'),
  serviceScopeConfigs: optional(opaqueList, 'Scopes of services'),
  certificates: optional(opaqueList, 'Certificates'),
  enableEnvoyAccessLogService: optional(flag, 'Access log service'),
  disableEnvoyListenerLog: optional(flag, 'No log of connections that no listener takes'),
};

export const meshConfig = z.strictObject({
  clusterDomain: optional(text, 'Domain of service names', { default: 'cluster.local' }),
  trustDomain: optional(text, 'Trust domain of identities', { default: 'cluster.local' }),
  rootNamespace: optional(text, 'Namespace whose policies hold for the whole mesh', {
    default: 'istio-system',
  }),
  connectTimeout: optional(duration, 'Limit of connecting', { default: '10s' }),
  accessLogFile: optional(text, 'Access log; /dev/stdout, or empty for none', { default: '/dev/stdout' }),
  accessLogEncoding: optional(z.enum(['TEXT', 'JSON']), 'Format of the access log', { default: 'TEXT' }),
  accessLogFormat: optional(text, 'Fields of the access log', { default: "Istio's" }),
  defaultHttpRetryPolicy: optional(retryPolicy, 'Retries where no route says otherwise'),
  enableAutoMtls: optional(flag, 'Mutual TLS wherever the sidecar at the other end can', { default: 'true' }),
  trustDomainAliases: optional(textList, 'Further trust domains whose workloads are trusted'),
  meshMTLS: optional(tlsConfig, 'TLS between sidecars'),
  tlsDefaults: optional(tlsConfig, 'TLS with everybody else'),
  protocolDetectionTimeout: optional(
    duration,
    'How long an undeclared port waits for the first bytes before they count as TCP; 0s means for ever',
    { default: '50ms' },
  ),
  outboundTrafficPolicy: optional(
    z.strictObject({
      mode: optional(z.enum(['REGISTRY_ONLY', 'ALLOW_ANY']), 'What happens to traffic for unknown hosts', {
        default: 'ALLOW_ANY',
      }),
    }),
    'Traffic to unknown hosts',
  ),
  pathNormalization: optional(
    z.strictObject({
      normalization: optional(
        z.enum(['DEFAULT', 'NONE', 'BASE', 'MERGE_SLASHES', 'DECODE_AND_MERGE_SLASHES']),
        'How paths are normalised before they are matched and forwarded',
        { default: 'BASE' },
      ),
    }),
    'Normalisation of paths',
  ),
  defaultConfig: optional(proxyConfig, 'Settings of sidecars'),
  ...otherFields,
});
export type MeshConfig = z.infer<typeof meshConfig>;
