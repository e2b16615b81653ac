/** For tests: listeners with hand-made chains on loopback, over a world with a fake clock. */
import { countedStats } from '../http/test-doubles.ts';
import type { RecordingLogger } from '../http/test-doubles.ts';
import { World } from '../http/test-world.ts';
import type { NetworkFilterBinding } from '../filter/filter.ts';
import type { AcceptHandle } from '../io/accept.ts';
import type { ConnectionFacts } from '../listener/connection-facts.ts';
import type { FilterChain, ListenerRuntime, TcpProxyConfig } from '../listener/listener.ts';
import { acceptListener } from './create-data-plane.ts';
import { newLimitsMemory } from '../cluster/shared-limits.ts';
import { ConnectionLimits } from './connection-limits.ts';
import { ConnectionServer } from './serve-connection.ts';
import type { ServeServices } from './serve-services.ts';

export class ServingWorld extends World {
  readonly stats = countedStats();
  readonly handles: AcceptHandle[] = [];
  /** Flags, or details where there is no flag, of connections that never reached a chain. */
  readonly refused: string[] = [];
  /** Limits that connections were refused for. */
  readonly overLimit: string[] = [];
  /** Destination ports of connections taken as TCP for want of bytes. */
  readonly fallbacks: number[] = [];
  /** Destination ports of connections that no chain took. */
  readonly unmatched: number[] = [];
  /** Bytes that TCP metrics were told of. */
  readonly moved = { sent: 0, received: 0 };
  readonly serving: ServeServices;
  readonly server: ConnectionServer;

  constructor() {
    super();
    const stats = this.stats as never;
    this.serving = {
      ...this.services,
      sockets: this.sockets,
      flush() {},
      connectionLimits: limitsOf(100),
      connectionRefused: (_listener, limit) => void this.overLimit.push(limit),
      listenerStats: () => stats,
      managerStats: () => stats,
      http2Stats: { count() {}, streamOpened() {}, streamClosed() {} },
      tcpStats: () => stats,
      requestMetrics: () => ({ onRequestStart() {}, onRequestEnd() {} }),
      connectionMetrics: () => ({
        onConnectionOpened() {},
        onBytes: (_record, sent, received) => {
          this.moved.sent += sent;
          this.moved.received += received;
        },
        onConnectionClosed() {},
      }),
      protocolFallback: (_listener, facts) => void this.fallbacks.push(facts.destinationPort),
      unmatchedConnection: (_listener, facts) => void this.unmatched.push(facts.destinationPort),
      upstreamFilters: () => [],
      logRefusedConnection: (_listener, _facts, flag, details) => void this.refused.push(flag || details),
    };
    this.server = new ConnectionServer(this.serving);
  }

  get lines(): RecordingLogger {
    return this.log as RecordingLogger;
  }

  tcpTo(cluster: string, more: Partial<TcpProxyConfig> = {}): TcpProxyConfig {
    return {
      kind: 'tcp',
      statPrefix: 'tcp',
      cluster,
      weighted: null,
      idleTimeoutMs: 60_000,
      maxConnectAttempts: 1,
      maxDownstreamConnectionDurationMs: 0,
      accessLoggers: [this.log],
      accessLogFlushIntervalMs: 0,
      logsOnConnected: false,
      tunnel: null,
      ...more,
    };
  }

  /** A listener that serves all connections with one chain, or as the function chooses; returns its port. */
  serve(
    select: FilterChain | ((facts: ConnectionFacts) => FilterChain | null),
    more: Partial<ListenerRuntime> = {},
  ): number {
    const listener: ListenerRuntime = {
      name: 'l',
      version: '1',
      address: '127.0.0.1',
      port: 0,
      trafficDirection: 'OUTBOUND',
      listenerFilters: [],
      listenerFiltersTimeoutMs: 1000,
      continueOnListenerFiltersTimeout: false,
      bufferLimitBytes: 65_536,
      useOriginalDst: false,
      maxConnections: 0,
      selectChain: typeof select === 'function' ? select : () => select,
      redirect: () => listener,
      accessLoggers: [],
      ...more,
    };
    const handle = acceptListener(this.serving, this.server, () => listener, {
      bind: { address: '127.0.0.1', port: 0 },
      highWaterBytes: 65_536,
    });
    this.handles.push(handle);
    return handle.port;
  }

  override close(): void {
    for (const handle of this.handles) {
      handle.stopAccepting();
      handle.closeAll();
    }
    super.close();
  }
}

/** Of a process, and of the listener `l` of `serve`; 0 = it has none. */
export function limitsOf(processCap: number, listenerCap = 0): ConnectionLimits {
  const memory = { total: newLimitsMemory(), share: newLimitsMemory() };
  const key = 'envoy.resource_limits.listener.l.connection_limit';
  return new ConnectionLimits(memory, [[key, listenerCap]], processCap);
}

export function chainOf(
  terminal: FilterChain['terminal'],
  networkFilters: NetworkFilterBinding[] = [],
): FilterChain {
  return {
    name: 'chain',
    version: '1',
    networkFilters,
    terminal,
    transportSocketConnectTimeoutMs: 0,
    transport: null,
  };
}
