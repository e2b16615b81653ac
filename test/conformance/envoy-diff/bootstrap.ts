/** Sections → one Envoy bootstrap, the same for both proxies but for the ports they listen on. */
import { cluster, endpointAt, fileAccessLog, httpManager, socket, types } from '../../envoy-config.ts';
import { originNames } from './origins.ts';
import type { Json, Section } from './section.ts';

export interface BootstrapFacts {
  readonly adminPort: number;
  /** By section name. */
  readonly listenerPorts: ReadonlyMap<string, number>;
  readonly originPorts: ReadonlyMap<string, number>;
  readonly refusingPort: number;
  readonly blackholePort: number;
  readonly accessLogPath: string;
}

/** What a log line holds, in order; values are separated by tabs. */
export const logFields = {
  client: '%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%',
  listener: '%DOWNSTREAM_LOCAL_ADDRESS%',
  status: '%RESPONSE_CODE%',
  flags: '%RESPONSE_FLAGS%',
  details: '%RESPONSE_CODE_DETAILS%',
  cluster: '%UPSTREAM_CLUSTER%',
  attempts: '%UPSTREAM_REQUEST_ATTEMPT_COUNT%',
  route: '%ROUTE_NAME%',
  protocol: '%PROTOCOL%',
  bytesReceived: '%BYTES_RECEIVED%',
  bytesSent: '%BYTES_SENT%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%',
  remote: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%',
  grpcStatus: '%GRPC_STATUS%',
} as const;

export function bootstrapOf(sections: readonly Section[], facts: BootstrapFacts): Json {
  return {
    node: { id: 'envoy-diff', cluster: 'envoy-diff' },
    admin: { address: socket(facts.adminPort) },
    static_resources: {
      listeners: sections.map((section) => listenerOf(section, facts)),
      clusters: clustersOf(facts),
    },
  };
}

function listenerOf(section: Section, facts: BootstrapFacts): Json {
  const port = facts.listenerPorts.get(section.name) ?? 0;
  return {
    name: section.name,
    address: socket(port),
    filter_chains: [
      {
        filters: [managerOf(section, facts.accessLogPath)],
      },
    ],
  };
}

function managerOf(section: Section, accessLogPath: string): Json {
  return httpManager({
    stat_prefix: section.name,
    // Both call themselves the same; who they are is not the question.
    server_name: 'mesh',
    // How long Envoy waits before it closes behind an error; cases wait for the close.
    delayed_close_timeout: '0.05s',
    // Clusters that do not exist are cases too.
    route_config: { name: section.name, validate_clusters: false, ...section.routes },
    access_log: [fileAccessLog(accessLogPath, Object.values(logFields).join('\t'))],
    ...section.manager,
  });
}

function clustersOf(facts: BootstrapFacts): Json[] {
  const port = (name: string): number => facts.originPorts.get(name) ?? 0;
  const alpha = endpointAt(port('alpha'));
  return [
    ...originNames.map((name) => cluster(name, [port(name)])),
    cluster('refusing', [facts.refusingPort]),
    cluster('blackhole', [facts.blackholePort], { connect_timeout: '0.15s' }),
    cluster('empty', []),
    cluster('refusing-then-alpha', [facts.refusingPort, alpha]),
    // A later priority is only taken when no host of an earlier one may be.
    cluster('unhealthy', [{ ...alpha, health_status: 'UNHEALTHY' }], {
      common_lb_config: { healthy_panic_threshold: { value: 0 } },
    }),
    cluster('draining', [{ ...alpha, health_status: 'DRAINING' }], {
      common_lb_config: { healthy_panic_threshold: { value: 0 } },
    }),
    cluster('no-requests', [alpha], { circuit_breakers: { thresholds: [{ max_requests: 0 }] } }),
    cluster('no-pending', [alpha], { circuit_breakers: { thresholds: [{ max_pending_requests: 0 }] } }),
    cluster('no-retries', [alpha], { circuit_breakers: { thresholds: [{ max_retries: 0 }] } }),
    cluster('alpha-trailers', [alpha], {
      typed_extension_protocol_options: {
        'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
          '@type': `${types}.upstreams.http.v3.HttpProtocolOptions`,
          explicit_http_config: { http_protocol_options: { enable_trailers: true } },
        },
      },
    }),
    cluster('one-request-each', [alpha], { max_requests_per_connection: 1 }),
    cluster(
      'by-name',
      [{ endpoint: { address: socket(port('alpha'), 'localhost'), hostname: 'alpha.internal' } }],
      { type: 'STRICT_DNS', dns_lookup_family: 'V4_ONLY' },
    ),
  ];
}
