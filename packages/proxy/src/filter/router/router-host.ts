/** What the router needs of the exchange it ends: the seam that keeps the two testable apart. */
import type { Clock, Random, TimerWheel } from '@sluice/runtime';
import type { HeaderList } from '@sluice/wire';
import type { Cluster } from '../../cluster/cluster.ts';
import type { ProxyErrorCode } from '../../errors.ts';
import type { ConnectionFacts } from '../../listener/connection-facts.ts';
import type { CompiledRoute, RouteRequest, WeightedCluster } from '../../route/route.ts';
import type { RequestRecord } from '../../telemetry/record.ts';
import type { HttpFilterContext, LocalReply, UpstreamHttpFilter } from '../filter.ts';
import type { RequestMessage, ResponseMessage, UpstreamConnector } from '../../http/streams.ts';

/** What lives as long as the data loop. */
export interface RouterServices {
  readonly timers: TimerWheel;
  /** For readings within a callback; the wheel has its own. */
  readonly clock: Clock;
  readonly random: Random;
  /** `random.next` as a function, for balancers and route draws. */
  readonly draw: () => number;
  readonly upstream: UpstreamConnector;
  findCluster(name: string): Cluster | null;
}

export interface RouterHost {
  readonly services: RouterServices;
  readonly message: RequestMessage;
  readonly routeRequest: RouteRequest;
  readonly record: RequestRecord;
  readonly connection: ConnectionFacts;
  /** Set by a filter in place of the connection's destination; null = the connection's. */
  readonly destinationAddress: string | null;
  readonly destinationPort: number;
  readonly route: CompiledRoute | null;
  /** Drawn when the route was matched, as filters may have configuration per weighted cluster. */
  readonly weighted: WeightedCluster | null;
  readonly routeTableName: string;
  readonly hasRouteTable: boolean;
  readonly isDownstreamWritable: boolean;
  readonly allowedUpgrades: ReadonlyMap<string, boolean>;
  readonly upstreamFilters: readonly UpstreamHttpFilter[];
  readonly suppressEnvoyHeaders: boolean;
  /** Through all response filters. */
  answer(reply: LocalReply): void;
  beginResponse(response: ResponseMessage, isEnd: boolean, isTunnel: boolean): void;
  informational(response: ResponseMessage): void;
  responseData(data: Uint8Array, start: number, end: number): void;
  responseEnd(trailers: HeaderList | null): void;
  /** The response had begun and cannot be completed; `code` is told where the protocol has room for it. */
  abortResponse(flag: number, details: string, code: ProxyErrorCode): void;
  /** The router can take more of the request body. */
  grantRequestCredit(): void;
  /** The context that upstream filters see. */
  upstreamFilterContext(): HttpFilterContext;
}
