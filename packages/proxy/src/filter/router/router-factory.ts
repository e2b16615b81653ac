/**
 * The router as a filter of the listener's configuration: terminal, and run by the exchange itself, so its
 * instance has no methods.
 */
import type { Router as RouterMessage } from '@sluice/xds';
import type { ConfigProblem, HttpFilterFactory } from '../filter.ts';
import type { Hedging } from './hedging.ts';

export const ROUTER_FILTER = 'envoy.filters.http.router';

export interface RouterConfig {
  /** No `x-envoy-*` headers of the router's own, upstream or downstream. */
  readonly suppressEnvoyHeaders: boolean;
  /** Null in all that is compiled. */
  readonly hedging: Hedging | null;
}

export const defaultRouterConfig: RouterConfig = { suppressEnvoyHeaders: false, hedging: null };

const instance = {};

export const routerFactory: HttpFilterFactory = {
  name: ROUTER_FILTER,
  configTypes: ['envoy.extensions.filters.http.router.v3.Router'],
  isTerminal: true,
  compile(message, problems): RouterConfig {
    const config = message as RouterMessage;
    if (config.dynamicStats === false) refuse(problems, 'dynamic_stats');
    if (config.strictCheckHeaders.length > 0) refuse(problems, 'strict_check_headers');
    if (config.respectExpectedRqTimeout) refuse(problems, 'respect_expected_rq_timeout');
    if (config.suppressGrpcRequestFailureCodeStats)
      refuse(problems, 'suppress_grpc_request_failure_code_stats');
    return { suppressEnvoyHeaders: config.suppressEnvoyHeaders, hedging: null };
  },
  compileRoute(_message, problems) {
    problems.push({ path: '', message: 'the router has no configuration per route' });
    return null;
  },
  create: () => instance,
};

function refuse(problems: ConfigProblem[], field: string): void {
  problems.push({ path: field, message: 'is not honoured by this proxy' });
}

/** Of a chain's last binding; tests may bind a router without configuration. */
export function routerConfigOf(config: unknown): RouterConfig {
  return config === null || config === undefined ? defaultRouterConfig : (config as RouterConfig);
}
