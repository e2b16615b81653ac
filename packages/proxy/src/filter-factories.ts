/**
 * Every filter this proxy can run. A filter is added here and nowhere else; in which order filters run is
 * the listener's configuration.
 */
import type { HttpFilterFactory } from './filter/filter.ts';
import { routerFactory } from './filter/router/router-factory.ts';
import type { NetworkFilterFactory } from './listener/network-filter-factory.ts';

export const httpFilterFactories: readonly HttpFilterFactory[] = [routerFactory];

export const networkFilterFactories: readonly NetworkFilterFactory[] = [];
