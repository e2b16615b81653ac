/**
 * Every kind Sluice knows by name, and what it does with it: honours it, refuses it because a later version will
 * honour it, or skips it because a mesh has no use for it. Anything else is unknown and an error (kind-lookup.ts).
 */

/** honoured: used. later: refused by name, `not supported yet`. skipped: left alone, with a notice. */
export type KindSupport = 'honoured' | 'later' | 'skipped';

export interface KindInfo {
  readonly group: string;
  /** The version objects are stored and served in by default. */
  readonly version: string;
  readonly versions: readonly string[];
  readonly kind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly namespaced: boolean;
  readonly hasStatus: boolean;
  readonly support: KindSupport;
}

interface Declaration {
  readonly kind: string;
  readonly plural: string;
  readonly short?: readonly string[];
  readonly versions?: readonly string[];
  readonly isClusterScoped?: boolean;
  readonly hasNoStatus?: boolean;
}

function declare(
  group: string,
  versions: readonly string[],
  support: KindSupport,
  kinds: readonly Declaration[],
): KindInfo[] {
  return kinds.map((declared) => ({
    group,
    version: (declared.versions ?? versions)[0] ?? 'v1',
    versions: declared.versions ?? versions,
    kind: declared.kind,
    plural: declared.plural,
    singular: declared.kind.toLowerCase(),
    shortNames: declared.short ?? [],
    namespaced: declared.isClusterScoped !== true,
    hasStatus: declared.hasNoStatus !== true,
    support,
  }));
}

const istio = ['v1', 'v1beta1', 'v1alpha3'];
const gatewayApi = 'gateway.networking.k8s.io';

const honoured: readonly KindInfo[] = [
  ...declare('', ['v1'], 'honoured', [
    { kind: 'Service', plural: 'services', short: ['svc'] },
    { kind: 'Namespace', plural: 'namespaces', short: ['ns'], isClusterScoped: true },
    { kind: 'ServiceAccount', plural: 'serviceaccounts', short: ['sa'], hasNoStatus: true },
    { kind: 'Pod', plural: 'pods', short: ['po'] },
    { kind: 'Endpoints', plural: 'endpoints', short: ['ep'], hasNoStatus: true },
    { kind: 'Secret', plural: 'secrets', hasNoStatus: true },
  ]),
  ...declare('discovery.k8s.io', ['v1', 'v1beta1'], 'honoured', [
    { kind: 'EndpointSlice', plural: 'endpointslices', hasNoStatus: true },
  ]),
  ...declare('networking.istio.io', istio, 'honoured', [
    { kind: 'VirtualService', plural: 'virtualservices', short: ['vs'] },
    { kind: 'DestinationRule', plural: 'destinationrules', short: ['dr'] },
    { kind: 'ServiceEntry', plural: 'serviceentries', short: ['se'] },
    { kind: 'WorkloadEntry', plural: 'workloadentries', short: ['we'] },
    { kind: 'WorkloadGroup', plural: 'workloadgroups', short: ['wg'] },
    { kind: 'Sidecar', plural: 'sidecars' },
    { kind: 'Gateway', plural: 'gateways', short: ['gw'] },
  ]),
  ...declare('security.istio.io', ['v1', 'v1beta1'], 'honoured', [
    { kind: 'PeerAuthentication', plural: 'peerauthentications', short: ['pa'] },
  ]),
  ...declare(gatewayApi, ['v1', 'v1beta1'], 'honoured', [
    { kind: 'HTTPRoute', plural: 'httproutes' },
    { kind: 'Gateway', plural: 'gateways', short: ['gtw'] },
    { kind: 'GatewayClass', plural: 'gatewayclasses', short: ['gc'], isClusterScoped: true },
    { kind: 'ReferenceGrant', plural: 'referencegrants', short: ['refgrant'], hasNoStatus: true },
  ]),
];

const later: readonly KindInfo[] = [
  ...declare('security.istio.io', ['v1', 'v1beta1'], 'later', [
    { kind: 'AuthorizationPolicy', plural: 'authorizationpolicies', short: ['ap'] },
    { kind: 'RequestAuthentication', plural: 'requestauthentications', short: ['ra'] },
  ]),
  ...declare('telemetry.istio.io', ['v1', 'v1alpha1'], 'later', [
    { kind: 'Telemetry', plural: 'telemetries' },
  ]),
  ...declare('extensions.istio.io', ['v1alpha1'], 'later', [
    { kind: 'WasmPlugin', plural: 'wasmplugins' },
    { kind: 'TrafficExtension', plural: 'trafficextensions' },
  ]),
  ...declare('networking.istio.io', ['v1alpha3'], 'later', [{ kind: 'EnvoyFilter', plural: 'envoyfilters' }]),
  ...declare('networking.istio.io', ['v1beta1'], 'later', [{ kind: 'ProxyConfig', plural: 'proxyconfigs' }]),
  ...declare(gatewayApi, ['v1', 'v1alpha2', 'v1alpha3'], 'later', [
    { kind: 'GRPCRoute', plural: 'grpcroutes' },
    { kind: 'TLSRoute', plural: 'tlsroutes' },
    { kind: 'TCPRoute', plural: 'tcproutes' },
    { kind: 'UDPRoute', plural: 'udproutes' },
    { kind: 'BackendTLSPolicy', plural: 'backendtlspolicies', short: ['btlspolicy'] },
    { kind: 'ListenerSet', plural: 'listenersets', short: ['lset'] },
  ]),
  ...declare('gateway.networking.x-k8s.io', ['v1alpha1'], 'later', [
    { kind: 'XListenerSet', plural: 'xlistenersets' },
    { kind: 'XBackendTrafficPolicy', plural: 'xbackendtrafficpolicies' },
    { kind: 'XBackend', plural: 'xbackends' },
    { kind: 'XMesh', plural: 'xmeshes', isClusterScoped: true },
  ]),
];

const skipped: readonly KindInfo[] = [
  ...declare('', ['v1'], 'skipped', [
    { kind: 'ConfigMap', plural: 'configmaps', short: ['cm'] },
    { kind: 'PersistentVolume', plural: 'persistentvolumes', short: ['pv'], isClusterScoped: true },
    { kind: 'PersistentVolumeClaim', plural: 'persistentvolumeclaims', short: ['pvc'] },
    { kind: 'ReplicationController', plural: 'replicationcontrollers', short: ['rc'] },
    { kind: 'ResourceQuota', plural: 'resourcequotas', short: ['quota'] },
    { kind: 'LimitRange', plural: 'limitranges', short: ['limits'] },
    { kind: 'Event', plural: 'events', short: ['ev'] },
    { kind: 'Node', plural: 'nodes', short: ['no'], isClusterScoped: true },
    { kind: 'PodTemplate', plural: 'podtemplates' },
  ]),
  ...declare('apps', ['v1'], 'skipped', [
    { kind: 'Deployment', plural: 'deployments', short: ['deploy'] },
    { kind: 'ReplicaSet', plural: 'replicasets', short: ['rs'] },
    { kind: 'StatefulSet', plural: 'statefulsets', short: ['sts'] },
    { kind: 'DaemonSet', plural: 'daemonsets', short: ['ds'] },
    { kind: 'ControllerRevision', plural: 'controllerrevisions' },
  ]),
  ...declare('batch', ['v1', 'v1beta1'], 'skipped', [
    { kind: 'Job', plural: 'jobs' },
    { kind: 'CronJob', plural: 'cronjobs', short: ['cj'] },
  ]),
  ...declare('autoscaling', ['v2', 'v1', 'v2beta2'], 'skipped', [
    { kind: 'HorizontalPodAutoscaler', plural: 'horizontalpodautoscalers', short: ['hpa'] },
  ]),
  ...declare('policy', ['v1', 'v1beta1'], 'skipped', [
    { kind: 'PodDisruptionBudget', plural: 'poddisruptionbudgets', short: ['pdb'] },
    { kind: 'PodSecurityPolicy', plural: 'podsecuritypolicies', short: ['psp'], isClusterScoped: true },
  ]),
  ...declare('networking.k8s.io', ['v1', 'v1beta1'], 'skipped', [
    { kind: 'Ingress', plural: 'ingresses', short: ['ing'] },
    { kind: 'IngressClass', plural: 'ingressclasses', isClusterScoped: true },
    { kind: 'NetworkPolicy', plural: 'networkpolicies', short: ['netpol'] },
  ]),
  ...declare('rbac.authorization.k8s.io', ['v1'], 'skipped', [
    { kind: 'Role', plural: 'roles' },
    { kind: 'RoleBinding', plural: 'rolebindings' },
    { kind: 'ClusterRole', plural: 'clusterroles', isClusterScoped: true },
    { kind: 'ClusterRoleBinding', plural: 'clusterrolebindings', isClusterScoped: true },
  ]),
  ...declare('storage.k8s.io', ['v1'], 'skipped', [
    { kind: 'StorageClass', plural: 'storageclasses', short: ['sc'], isClusterScoped: true },
  ]),
  ...declare('scheduling.k8s.io', ['v1'], 'skipped', [
    { kind: 'PriorityClass', plural: 'priorityclasses', short: ['pc'], isClusterScoped: true },
  ]),
  ...declare('coordination.k8s.io', ['v1'], 'skipped', [{ kind: 'Lease', plural: 'leases' }]),
  ...declare('apiextensions.k8s.io', ['v1', 'v1beta1'], 'skipped', [
    {
      kind: 'CustomResourceDefinition',
      plural: 'customresourcedefinitions',
      short: ['crd'],
      isClusterScoped: true,
    },
  ]),
  ...declare('admissionregistration.k8s.io', ['v1'], 'skipped', [
    { kind: 'MutatingWebhookConfiguration', plural: 'mutatingwebhookconfigurations', isClusterScoped: true },
    {
      kind: 'ValidatingWebhookConfiguration',
      plural: 'validatingwebhookconfigurations',
      isClusterScoped: true,
    },
  ]),
  ...declare('cert-manager.io', ['v1'], 'skipped', [
    { kind: 'Certificate', plural: 'certificates', short: ['cert'] },
    { kind: 'Issuer', plural: 'issuers' },
    { kind: 'ClusterIssuer', plural: 'clusterissuers', isClusterScoped: true },
  ]),
  ...declare('certmanager.k8s.io', ['v1alpha1'], 'skipped', [
    { kind: 'Certificate', plural: 'certificates' },
    { kind: 'Issuer', plural: 'issuers' },
    { kind: 'ClusterIssuer', plural: 'clusterissuers', isClusterScoped: true },
  ]),
  ...declare('install.istio.io', ['v1alpha1'], 'skipped', [
    { kind: 'IstioOperator', plural: 'istiooperators', short: ['iop'] },
  ]),
  ...declare('monitoring.coreos.com', ['v1'], 'skipped', [
    { kind: 'ServiceMonitor', plural: 'servicemonitors' },
    { kind: 'PodMonitor', plural: 'podmonitors' },
    { kind: 'PrometheusRule', plural: 'prometheusrules' },
  ]),
  ...declare('kustomize.config.k8s.io', ['v1beta1'], 'skipped', [
    { kind: 'Kustomization', plural: 'kustomizations' },
  ]),
];

export const kinds: readonly KindInfo[] = [...honoured, ...later, ...skipped];

/** The kinds the API serves. */
export const honouredKinds: readonly KindInfo[] = honoured;
