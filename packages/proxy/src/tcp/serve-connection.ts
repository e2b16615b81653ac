/**
 * Serves connections by the filter chain they matched: keeps which connection belongs to which chain, so
 * that a changed chain drains its own connections only, and binds HTTP chains once.
 */
import { httpChainOf } from '../filter/http-chain.ts';
import { withNetworkFilters } from '../filter/network-chain.ts';
import type { HttpBinding } from '../http/exchange-services.ts';
import type { Served } from '../io/accept.ts';
import type { Connection, ConnectionHandler } from '../io/connection.ts';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import type {
  FilterChain,
  HttpManagerConfig,
  ListenerRuntime,
  TcpProxyConfig,
} from '../listener/listener.ts';
import type { ManagerStats } from '../telemetry/metrics/connection-stats.ts';
import { ChainConnections } from './chain-connections.ts';
import { startConnection } from './connection-start.ts';
import { HttpConnection } from '../http/http-connection.ts';
import { secureChain } from './secure-chain.ts';
import type { ServeServices } from './serve-services.ts';
import { TcpProxy } from './tcp-proxy.ts';

/** Made once per chain. */
interface BoundChain {
  readonly binding: HttpBinding;
  readonly stats: ManagerStats;
  readonly forget: (served: Served) => void;
}

export class ConnectionServer {
  readonly #services: ServeServices;
  readonly #connections: ChainConnections;
  readonly #bindings = new WeakMap<FilterChain, BoundChain>();
  readonly #retired = new WeakSet<FilterChain>();
  #isDraining = false;

  constructor(services: ServeServices) {
    this.#services = services;
    this.#connections = new ChainConnections(services.timers, services.random);
  }

  serve(connection: Connection, listener: ListenerRuntime, onServed: (served: Served) => void): void {
    const services = this.#services;
    startConnection(connection, listener, services, (facts, target, chain, peeked) => {
      secureChain(connection, facts, target, chain, peeked, services, (bytes) => {
        const handler = withNetworkFilters(connection, facts, chain.networkFilters, () =>
          this.#terminal(connection, facts, target, chain, onServed),
        );
        if (handler === null) return;
        connection.handler = handler;
        if (bytes !== null) handler.onData(connection, bytes);
      });
    });
  }

  /** From now on these chains' connections close when idle, or after their next answer; `withinMs` all have. */
  retireChains(chains: readonly FilterChain[], withinMs: number): void {
    for (const chain of chains) {
      this.#retired.add(chain);
      this.#connections.retire(chain, withinMs);
    }
  }

  /** Answers tell clients to close from now on; idle connections end soon, or late where there is time. */
  drain(withinMs: number, mayWait: boolean): void {
    this.#isDraining = true;
    this.#connections.drain(withinMs, mayWait);
  }

  #terminal(
    connection: Connection,
    facts: ConnectionFacts,
    listener: ListenerRuntime,
    chain: FilterChain,
    onServed: (served: Served) => void,
  ): ConnectionHandler {
    const terminal = chain.terminal;
    const served =
      terminal.kind === 'http'
        ? this.#http(connection, facts, listener, chain, terminal)
        : this.#tcp(connection, facts, listener, chain, terminal);
    this.#connections.remember(chain, served, connection);
    chain.transport?.served(connection, served);
    onServed(served);
    return served;
  }

  #http(
    connection: Connection,
    facts: ConnectionFacts,
    listener: ListenerRuntime,
    chain: FilterChain,
    config: HttpManagerConfig,
  ) {
    const { binding, stats, forget } = this.#bound(listener, chain, config);
    return new HttpConnection(connection, facts, binding, stats, this.#services, forget);
  }

  #tcp(
    connection: Connection,
    facts: ConnectionFacts,
    listener: ListenerRuntime,
    chain: FilterChain,
    config: TcpProxyConfig,
  ) {
    const proxy: TcpProxy = new TcpProxy(connection, facts, listener, chain, config, this.#services, () =>
      this.#connections.forget(chain, proxy),
    );
    proxy.start();
    return proxy;
  }

  #bound(listener: ListenerRuntime, chain: FilterChain, config: HttpManagerConfig): BoundChain {
    let bound = this.#bindings.get(chain);
    if (bound === undefined) {
      const stats = this.#services.managerStats(chain);
      const binding = {
        config,
        listener,
        chain: httpChainOf(config.filters),
        upstreamFilters: this.#services.upstreamFilters(chain),
        metrics: this.#services.requestMetrics(listener, chain),
        connectionStats: stats,
        http2Stats: this.#services.http2Stats,
        isDraining: () => this.#isDraining || this.#retired.has(chain),
      };
      bound = { binding, stats, forget: (served) => this.#connections.forget(chain, served) };
      this.#bindings.set(chain, bound);
    }
    return bound;
  }
}
