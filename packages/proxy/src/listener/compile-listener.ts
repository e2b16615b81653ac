/** Listener message → runtime listener. Chains equal in content are taken over from the version before. */
import { canonicalJson, contentHash } from '@sluice/runtime';
import type { FilterChain as FilterChainMessage, Listener as ListenerMessage } from '@sluice/xds';
import { readAddress } from '../cluster/compile-endpoints.ts';
import type { ProblemScope } from '../config/problems.ts';
import type { ListenerFilterBinding } from '../filter/filter.ts';
import type { AccessLogger } from '../telemetry/record.ts';
import { ChainMatcher } from './chain-match.ts';
import { connectionLimitsOf } from './connection-limit.ts';
import { compileAccessLoggers } from './compile-access-loggers.ts';
import { compileChain } from './compile-chain.ts';
import type { ListenerCompileContext } from './compile-context.ts';
import type { ConnectionFacts, FilterChain, ListenerRuntime } from './listener.ts';
import { compileListenerFilters } from './listener-filters.ts';

/** Envoy's defaults (listener.proto). */
const defaultFiltersTimeoutMs = 15_000;
const defaultBufferBytes = 1_048_576;

/** A chain that cannot be served: matching it closes the connection. */
const unservable = Symbol('unservable');

export type Redirect = (listener: CompiledListener, facts: ConnectionFacts) => ListenerRuntime;

export class CompiledListener implements ListenerRuntime {
  readonly name: string;
  readonly version: string;
  readonly address: string;
  readonly port: number;
  readonly trafficDirection: ListenerMessage['trafficDirection'];
  readonly listenerFilters: readonly ListenerFilterBinding[];
  readonly listenerFiltersTimeoutMs: number;
  readonly continueOnListenerFiltersTimeout: boolean;
  readonly bufferLimitBytes: number;
  readonly useOriginalDst: boolean;
  readonly maxConnections: number;
  readonly accessLoggers: readonly AccessLogger[];
  readonly isBound: boolean;
  readonly chains: ReadonlyMap<string, FilterChain>;
  readonly #matcher: ChainMatcher<FilterChain | typeof unservable>;
  readonly #defaultChain: FilterChain | null;
  readonly #redirect: Redirect;

  constructor(parts: ListenerParts, redirect: Redirect) {
    const { message } = parts;
    this.name = message.name;
    this.version = parts.version;
    this.address = parts.address;
    this.port = parts.port;
    this.trafficDirection = message.trafficDirection;
    this.listenerFilters = parts.listenerFilters;
    this.listenerFiltersTimeoutMs = message.listenerFiltersTimeout ?? defaultFiltersTimeoutMs;
    this.continueOnListenerFiltersTimeout = message.continueOnListenerFiltersTimeout;
    this.bufferLimitBytes = message.perConnectionBufferLimitBytes ?? defaultBufferBytes;
    this.useOriginalDst = message.useOriginalDst ?? false;
    this.maxConnections = parts.maxConnections;
    this.accessLoggers = parts.accessLoggers;
    this.isBound = message.bindToPort ?? true;
    this.chains = parts.chains;
    this.#matcher = parts.matcher;
    this.#defaultChain = parts.defaultChain;
    this.#redirect = redirect;
  }

  selectChain(facts: ConnectionFacts): FilterChain | null {
    const found = this.#matcher.find(facts);
    return found === unservable ? null : (found ?? this.#defaultChain);
  }

  redirect(facts: ConnectionFacts): ListenerRuntime {
    return this.useOriginalDst ? this.#redirect(this, facts) : this;
  }
}

interface ListenerParts {
  readonly message: ListenerMessage;
  readonly version: string;
  readonly address: string;
  readonly port: number;
  readonly listenerFilters: readonly ListenerFilterBinding[];
  readonly accessLoggers: readonly AccessLogger[];
  readonly maxConnections: number;
  readonly chains: ReadonlyMap<string, FilterChain>;
  readonly matcher: ChainMatcher<FilterChain | typeof unservable>;
  readonly defaultChain: FilterChain | null;
}

export function compileListener(
  message: ListenerMessage,
  version: string,
  previous: CompiledListener | null,
  context: ListenerCompileContext,
  redirect: Redirect,
  scope: ProblemScope,
): CompiledListener {
  reportUnhonoured(message, scope);
  const target = readAddress(message.address, false, scope.at('address')) ?? { address: '', port: 0 };
  const chains = new Map<string, FilterChain>();
  const compile = (chain: FilterChainMessage, at: ProblemScope): FilterChain | null => {
    const key = contentHash(canonicalJson([chain, message.metadata, message.trafficDirection]));
    const compiled = previous?.chains.get(key) ?? compileChain(chain, key, message, context, at);
    if (compiled !== null) chains.set(key, compiled);
    return compiled;
  };
  const matcher = new ChainMatcher<FilterChain | typeof unservable>();
  for (const [i, chain] of message.filterChains.entries()) {
    const at = scope.at('filter_chains', i);
    matcher.add(chain.filterChainMatch, compile(chain, at) ?? unservable, at);
  }
  const { defaultFilterChain } = message;
  if (message.filterChains.length === 0 && defaultFilterChain === undefined) {
    scope.at('filter_chains').error('must hold at least one chain');
  }
  const parts: ListenerParts = {
    message,
    version,
    ...target,
    listenerFilters: compileListenerFilters(message.listenerFilters, scope),
    accessLoggers: compileAccessLoggers(message.accessLog, context.accessLog, scope),
    maxConnections: connectionLimitsOf(context.routes.runtime).get(message.name) ?? 0,
    chains,
    matcher,
    defaultChain:
      defaultFilterChain === undefined ? null : compile(defaultFilterChain, scope.at('default_filter_chain')),
  };
  return new CompiledListener(parts, redirect);
}

function reportUnhonoured(message: ListenerMessage, scope: ProblemScope): void {
  if (message.name === '') scope.at('name').error('must not be empty');
  scope.unhonouredWhenSet(
    {
      stat_prefix: message.statPrefix,
      connection_balance_config: message.connectionBalanceConfig,
      max_connections_to_accept_per_socket_event: message.maxConnectionsToAcceptPerSocketEvent,
      ignore_global_conn_limit: message.ignoreGlobalConnLimit,
    },
    'not supported by this proxy',
  );
  if (message.drainType !== 'DEFAULT')
    scope.unhonoured('drain_type', 'connections drain on removal and on shutdown');
  // enable_reuse_port asks for one socket per worker; here all workers share one socket, whatever it says,
  // because closing one of several sockets would reset the connections that wait in its queue.
}
