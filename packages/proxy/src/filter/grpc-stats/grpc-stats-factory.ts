/** gRPC statistics as a filter of the listener's configuration. */
import type { GrpcStats as GrpcStatsMessage } from '@sluice/xds';
import type { HttpFilterFactory } from '../filter.ts';
import { GrpcStatsFilter } from './grpc-stats.ts';
import { compileGrpcStats, type GrpcStatsConfig } from './stats-config.ts';

export const grpcStatsFactory: HttpFilterFactory = {
  name: 'envoy.filters.http.grpc_stats',
  configTypes: ['envoy.extensions.filters.http.grpc_stats.v3.FilterConfig'],
  isTerminal: false,
  compile: (message, problems) => compileGrpcStats(message as GrpcStatsMessage, problems),
  compileRoute(_message, problems) {
    problems.push({ path: '', message: 'gRPC statistics have no configuration per route' });
    return null;
  },
  create: (config) => new GrpcStatsFilter(config as GrpcStatsConfig),
};
