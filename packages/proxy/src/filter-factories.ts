/**
 * Every filter this proxy can run. A filter is added here and nowhere else; in which order filters run is
 * the listener's configuration.
 */
import type { HttpFilterFactory } from './filter/filter.ts';
import type { NetworkFilterFactory } from './listener/network-filter-factory.ts';

export const httpFilterFactories: readonly HttpFilterFactory[] = [];

export const networkFilterFactories: readonly NetworkFilterFactory[] = [];
