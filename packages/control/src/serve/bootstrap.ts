/**
 * The Envoy bootstrap of a registered instance: who it is, where its configuration comes from, and its admin
 * address. Our own proxy and a real Envoy both start from it.
 */
import { isIP } from 'node:net';
import type { Registration } from '@sluice/api';
import { instanceName, nodeIdOf } from '../registry/workload-entry.ts';
import { transportTls, virtualHostDiscovery } from '../translate/node.ts';

export interface BootstrapOptions {
  /** `host:port` of ADS as proxies reach it. */
  readonly xdsAddress: string;
  /** `host:port` of ADS over mutual TLS; empty where there is no authority. */
  readonly secureAddress: string;
  /** SPIFFE ID of the control plane. */
  readonly controlId: string;
  readonly clusterDomain: string;
  readonly clusterId: string;
}

/** Name of the cluster that ADS comes from, as Istio's bootstrap has it. */
const xdsClusterName = 'xds-grpc';
/** Finds a control plane that vanished without closing its connections within some 20 s. */
const keepAlive = { keepalive_time: 10, keepalive_interval: 3, keepalive_probes: 3 };

export function envoyBootstrap(
  registration: Registration,
  token: string | null,
  options: BootstrapOptions,
): object {
  const isSecure = options.secureAddress !== '' && registration.capabilities?.includes(transportTls) === true;
  // Over mutual TLS the certificate says who it is, and a token would be one more secret in a file.
  const initialMetadata =
    token === null || isSecure
      ? {}
      : { initial_metadata: [{ key: 'authorization', value: `Bearer ${token}` }] };
  return {
    node: {
      id: nodeIdOf(registration, options.clusterDomain),
      cluster: `${registration.replicaOf ?? registration.app ?? registration.name}.${registration.namespace}`,
      ...localityOf(registration),
      metadata: {
        NAME: registration.name,
        NAMESPACE: registration.namespace,
        LABELS: registration.labels,
        SERVICE_ACCOUNT: registration.serviceAccount,
        WORKLOAD_NAME: registration.replicaOf ?? registration.app ?? registration.name,
        INTERCEPTION_MODE: registration.interceptionMode,
        CLUSTER_ID: options.clusterId,
        ...(registration.network === undefined ? {} : { NETWORK: registration.network }),
        SLUICE_INSTANCE: instanceName(registration),
        SLUICE_VERSION: registration.version,
        SLUICE_CAPABILITIES: registration.capabilities ?? [],
      },
    },
    admin: { address: socketAddress('127.0.0.1', registration.adminPort) },
    dynamic_resources: {
      ads_config: {
        // Virtual hosts one by one exist on delta streams only.
        api_type: registration.capabilities?.includes(virtualHostDiscovery) ? 'DELTA_GRPC' : 'GRPC',
        transport_api_version: 'V3',
        grpc_services: [{ envoy_grpc: { cluster_name: xdsClusterName }, ...initialMetadata }],
      },
      cds_config: { ads: {}, resource_api_version: 'V3' },
      lds_config: { ads: {}, resource_api_version: 'V3' },
    },
    static_resources: {
      clusters: [
        isSecure
          ? secureXdsCluster(options.secureAddress, options.controlId)
          : xdsCluster(options.xdsAddress),
      ],
    },
  };
}

function xdsCluster(xdsAddress: string): object {
  const colon = xdsAddress.lastIndexOf(':');
  const host = xdsAddress.slice(0, colon).replace(/^\[|\]$/g, '');
  return {
    name: xdsClusterName,
    type: isIP(host) === 0 ? 'STRICT_DNS' : 'STATIC',
    connect_timeout: '1s',
    upstream_connection_options: { tcp_keepalive: keepAlive },
    load_assignment: {
      cluster_name: xdsClusterName,
      endpoints: [
        {
          lb_endpoints: [{ endpoint: { address: socketAddress(host, Number(xdsAddress.slice(colon + 1))) } }],
        },
      ],
    },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicit_http_config: { http2_protocol_options: {} },
      },
    },
  };
}

/** Over mutual TLS, with the certificate that the workload's identity agent has got (SDS names as Istio's). */
function secureXdsCluster(secureAddress: string, controlId: string): object {
  const secret = (name: string): object => ({ name, sds_config: { ads: {}, resource_api_version: 'V3' } });
  return {
    ...xdsCluster(secureAddress),
    transport_socket: {
      name: 'envoy.transport_sockets.tls',
      typed_config: {
        '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
        common_tls_context: {
          alpn_protocols: ['h2'],
          tls_certificate_sds_secret_configs: [secret('default')],
          combined_validation_context: {
            // Any workload of the mesh has a certificate of the same roots: this one must be the control plane's.
            default_validation_context: {
              match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: controlId } }],
            },
            validation_context_sds_secret_config: secret('ROOTCA'),
          },
        },
      },
    },
  };
}

function socketAddress(address: string, port: number): object {
  return { socket_address: { address, port_value: port } };
}

function localityOf({ locality }: Registration): object {
  if (locality === undefined) return {};
  const [region = '', zone = '', sub_zone = ''] = locality.split('/');
  return { locality: { region, zone, sub_zone } };
}
