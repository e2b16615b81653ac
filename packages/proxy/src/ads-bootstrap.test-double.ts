/** For tests with a control plane: the peer that plays it, what it gives out, and the bootstrap that names it. */
import { onCleanUp } from '@sluice/testkit';
import {
  ClusterTable,
  encodeAny,
  ListenerTable,
  parseJsonMessage,
  RouteConfigurationTable,
  type Init,
  type MessageTable,
} from '@sluice/xds';
import { assignment, httpListener, routeTo, staticCluster } from './proxy-process.test-double.ts';
import { AdsPeer } from './xds/ads-peer.test-double.ts';

export async function startAdsPeer(tls: { key: string; cert: string; ca: string } | null = null) {
  const peer = new AdsPeer(tls);
  await peer.listen();
  onCleanUp(() => peer.close());
  return peer;
}

export const encoded = <T extends object>(table: MessageTable<T>, json: object): Uint8Array =>
  encodeAny(table, parseJsonMessage(table, json) as Init<T>);

export const encodedCluster = (name: string, port: number, more: object = {}): Uint8Array =>
  encoded(ClusterTable, { ...staticCluster(name, port), ...more });

/** Everything to `cluster`. */
export const encodedRoutes = (cluster: string, name: string): Uint8Array =>
  encoded(RouteConfigurationTable, routeTo(cluster, name));

/** The routes of a listener that has them from the control plane. */
export const routesFrom = (table: string): object => ({
  rds: { route_config_name: table, config_source: { ads: {} } },
});

export const encodedListener = (name: string, table: string, port = 0): Uint8Array =>
  encoded(ListenerTable, httpListener(name, routesFrom(table), port));

/** The cluster that a proxy reaches its control plane through, over HTTP/2 unless `more` secures it. */
export function xdsCluster(port: number, more: object = { http2_protocol_options: {} }): object {
  return { name: 'xds', type: 'STATIC', load_assignment: assignment('xds', port), ...more };
}

export interface AdsBootstrap {
  readonly apiType?: string;
  readonly node?: object;
  readonly initialMetadata?: readonly { key: string; value: string }[];
  readonly listeners?: readonly object[];
}

/** Clusters and listeners by ADS, from the control plane behind `cluster`. */
export function adsBootstrap(
  cluster: object,
  {
    apiType = 'GRPC',
    node = { id: 'n', cluster: 'c' },
    initialMetadata = [],
    listeners = [],
  }: AdsBootstrap = {},
): object {
  const service = { envoy_grpc: { cluster_name: 'xds' }, initial_metadata: initialMetadata };
  return {
    node,
    dynamic_resources: {
      ads_config: { api_type: apiType, transport_api_version: 'V3', grpc_services: [service] },
      cds_config: { ads: {} },
      lds_config: { ads: {} },
    },
    static_resources: { listeners, clusters: [cluster] },
  };
}
