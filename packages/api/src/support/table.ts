/**
 * What is not honoured yet, field by field: the one place to change when a field starts to work. Everything a
 * schema knows and this table does not name is honoured (or unused, where the schema says that it belongs to
 * somebody else). Validation refuses what stands here, and the documentation is generated from it.
 *
 * Patterns are those of schema/walk.ts. With `values`, only those values are not honoured.
 */

export interface LaterField {
  readonly path: string;
  readonly values?: readonly string[];
  /** error refuses the object; warning where a manifest written for a cluster should still be taken. */
  readonly severity?: 'warning';
}

const later = (...paths: string[]): LaterField[] => paths.map((path) => ({ path }));
const under = (place: string, fields: readonly LaterField[]): LaterField[] =>
  fields.map((field) => ({ ...field, path: `${place}.${field.path}` }));

const laterPortPolicy: readonly LaterField[] = later(
  'loadBalancer.consistentHash',
  'loadBalancer.localityLbSetting',
  'loadBalancer.zoneAwareLbSetting',
  'loadBalancer.warmup',
  'loadBalancer.warmupDurationSecs',
  'outlierDetection',
);

const laterPolicy: readonly LaterField[] = [
  ...laterPortPolicy,
  ...under('portLevelSettings[]', laterPortPolicy),
  // The budget counts what is under way now.
  ...later('retryBudget.budgetInterval'),
];

const laterProxyConfig = [
  'tracing',
  'statNameLength',
  'proxyMetadata',
  'proxyStatsMatcher',
  'discoveryAddress',
  'configPath',
  'binaryPath',
  'serviceCluster',
  'controlPlaneAuthPolicy',
  'customConfigFile',
  'statsdUdpAddress',
  'envoyAccessLogService',
  'envoyMetricsService',
  'proxyAdminPort',
  'availabilityZone',
  'interceptionMode',
  'sds',
  'readinessProbe',
  'extraStatTags',
  'gatewayTopology',
  'image',
  'privateKeyProvider',
  'caCertificatesPem',
  'statusPort',
  'zipkinAddress',
  'meshId',
  'proxyHeaders',
  'fileFlushInterval',
  'fileFlushMinSizeKb',
  'runtimeValues',
];

const laterMeshConfig = [
  'proxyListenPort',
  'proxyInboundListenPort',
  'proxyHttpPort',
  'ingressClass',
  'ingressService',
  'ingressControllerMode',
  'ingressSelector',
  'enableTracing',
  'inboundTrafficPolicy',
  'configSources',
  'caCertificates',
  'defaultServiceExportTo',
  'defaultVirtualServiceExportTo',
  'defaultDestinationRuleExportTo',
  'localityLbSetting',
  'dnsRefreshRate',
  'inboundClusterStatName',
  'outboundClusterStatName',
  'thriftConfig',
  'serviceSettings',
  'enablePrometheusMerge',
  'verifyCertificateAtClient',
  'extensionProviders',
  'defaultProviders',
  'discoverySelectors',
  'tcpKeepalive',
  'hboneIdleTimeout',
  'serviceScopeConfigs',
  'certificates',
  'enableEnvoyAccessLogService',
  'disableEnvoyListenerLog',
  'h2UpgradePolicy',
];

/** By `group/Kind`; `sluice.yaml` is the local mesh's own file. */
export const laterFields: Readonly<Record<string, readonly LaterField[]>> = {
  '/Service': [
    { path: 'spec.sessionAffinity', values: ['ClientIP'], severity: 'warning' },
    { path: 'spec.internalTrafficPolicy', values: ['Local'], severity: 'warning' },
    { path: 'spec.trafficDistribution', severity: 'warning' },
  ],
  'networking.istio.io/VirtualService': later(
    'spec.http[].fault',
    'spec.http[].mirror',
    'spec.http[].mirrors',
    'spec.http[].mirrorPercent',
    'spec.http[].mirrorPercentage',
    'spec.http[].corsPolicy',
    'spec.http[].delegate',
    'spec.http[].match[].statPrefix',
    'spec.tcp[].match[].sourceSubnet',
  ),
  'networking.istio.io/DestinationRule': [
    ...under('spec.trafficPolicy', laterPolicy),
    ...under('spec.subsets[].trafficPolicy', laterPolicy),
  ],
  'networking.istio.io/ServiceEntry': [{ path: 'spec.resolution', values: ['DYNAMIC_DNS'] }],
  'networking.istio.io/WorkloadGroup': later('spec.probe.grpc'),
  'networking.istio.io/Sidecar': later(
    'spec.ingress',
    'spec.inboundConnectionPool',
    'spec.egress[].port',
    'spec.egress[].bind',
    'spec.egress[].captureMode',
    'spec.outboundTrafficPolicy.egressProxy',
  ),
  'networking.istio.io/Gateway': [
    ...later('spec.servers[].tls'),
    {
      path: 'spec.servers[].port.protocol',
      values: ['HTTPS', 'TLS', 'TCP', 'MONGO', 'GRPC', 'GRPC-WEB', 'HTTP2'],
    },
  ],
  'gateway.networking.k8s.io/HTTPRoute': [
    { path: 'spec.useDefaultGateways', values: ['All'] },
    ...under('spec.rules[]', [
      ...later('sessionPersistence'),
      ...under('filters[]', later('requestMirror', 'cors', 'externalAuth', 'extensionRef')),
      ...under(
        'backendRefs[].filters[]',
        later('requestMirror', 'cors', 'externalAuth', 'extensionRef', 'requestRedirect', 'urlRewrite'),
      ),
    ]),
  ],
  'gateway.networking.k8s.io/Gateway': [
    { path: 'spec.listeners[].protocol', values: ['HTTPS', 'TLS', 'TCP', 'UDP'] },
    ...later(
      'spec.listeners[].tls',
      'spec.tls',
      'spec.allowedListeners',
      'spec.infrastructure.parametersRef',
    ),
    { path: 'spec.defaultScope', values: ['All'] },
  ],
  'gateway.networking.k8s.io/GatewayClass': later('spec.parametersRef'),
  'sluice.yaml': [
    ...under('meshConfig', later(...laterMeshConfig)),
    ...under('meshConfig.defaultConfig', [
      ...later(...laterProxyConfig),
      // An application never starts before its sidecar has its configuration.
      { path: 'holdApplicationUntilProxyStarts', values: ['false'] },
    ]),
  ],
};

/** The version in which everything honoured today first worked; later entries name their own when they move. */
export const firstVersion = '0.1.0';
