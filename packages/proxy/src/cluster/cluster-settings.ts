/** What compiling a Cluster message yields: all that does not depend on its endpoints. */
import type { H2Settings } from '../http/h2-settings.ts';
import type { TlsNames } from '../upstream/tls-names.ts';
import type { BalancerPolicy } from './balancer.ts';
import type { UpstreamProtocol } from './upstream-protocol.ts';
import type { TcpKeepalive } from '../io/keepalive.ts';
import type { ClusterType } from './cluster.ts';
import type { ServiceIdentity } from './service-identity.ts';
import type { LimitSettings } from './shared-limits.ts';
import type { TransportSettings } from './compile-transports.ts';

export interface ClusterSettings {
  readonly name: string;
  readonly statName: string;
  readonly type: ClusterType;
  /** Name under which EDS carries its endpoints. */
  readonly edsName: string;
  readonly connectTimeoutMs: number;
  readonly maxRequestsPerConnection: number;
  readonly poolIdleTimeoutMs: number;
  readonly maxConnectionDurationMs: number;
  readonly bufferLimitBytes: number;
  readonly protocol: UpstreamProtocol;
  readonly http2: H2Settings;
  readonly tlsNames: TlsNames | null;
  readonly sourceAddress: string | null;
  readonly keepalive: TcpKeepalive | null;
  readonly origin: string | null;
  /** The service it stands for, as its metadata says; null = by its name. */
  readonly service: ServiceIdentity | null;
  readonly transports: TransportSettings;
  readonly policy: BalancerPolicy;
  readonly panicThresholdPercent: number;
  readonly isLocalityWeighted: boolean;
  readonly limits: LimitSettings;
  readonly highPriorityLimits: LimitSettings;
  readonly dns: DnsSettings | null;
  readonly originalDst: OriginalDstSettings | null;
}

export interface DnsSettings {
  readonly refreshMs: number;
  readonly failureBaseMs: number;
  readonly failureMaxMs: number;
  readonly respectTtl: boolean;
  readonly family: 'AUTO' | 'V4_ONLY' | 'V6_ONLY' | 'V4_PREFERRED' | 'ALL';
}

export interface OriginalDstSettings {
  /** An endpoint that was not used for this long is forgotten. */
  readonly cleanupMs: number;
  readonly portOverride: number | null;
  /** Header that names the destination (`ip:port`), lower case; null = the connection's own. */
  readonly header: string | null;
}
