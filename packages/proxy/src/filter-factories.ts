/**
 * Every filter this proxy can run. A filter is added here and nowhere else; in which order filters run is
 * the listener's configuration.
 */
import { systemResolver } from './cluster/system-resolver.ts';
import type { HttpFilterFactory } from './filter/filter.ts';
import { forwardProxyFactory } from './filter/forward-proxy/forward-proxy.ts';
import { grpcStatsFactory } from './filter/grpc-stats/grpc-stats-factory.ts';
import { grpcWebFactory } from './filter/grpc-web/grpc-web-factory.ts';
import { routerFactory } from './filter/router/router-factory.ts';
import type { NetworkFilterFactory } from './listener/network-filter-factory.ts';

export const httpFilterFactories: readonly HttpFilterFactory[] = [
  forwardProxyFactory(async (name) => (await systemResolver.resolve(name, 'V4_PREFERRED', false)).addresses),
  grpcWebFactory,
  grpcStatsFactory,
  routerFactory,
];

export const networkFilterFactories: readonly NetworkFilterFactory[] = [];
