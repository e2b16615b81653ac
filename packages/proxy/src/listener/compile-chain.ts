/** One filter chain: network filters, then the terminal one (HTTP connection manager or TCP proxy). */
import {
  DownstreamTlsContextTable,
  HttpConnectionManagerTable,
  TcpProxyTable,
  typeNameOf,
  unpackAny,
} from '@sluice/xds';
import type {
  FilterChain as FilterChainMessage,
  Listener as ListenerMessage,
  NetworkFilter as NetworkFilterMessage,
} from '@sluice/xds';
import { isPlain } from '../cluster/compile-transports.ts';
import type { ProblemScope } from '../config/problems.ts';
import type { ConfigProblem, NetworkFilterBinding } from '../filter/filter.ts';
import { compileDownstreamTls } from '../tls/downstream-tls.ts';
import type { DownstreamTransport } from '../tls/transport.ts';
import type { ListenerCompileContext } from './compile-context.ts';
import { compileHttpManager } from './compile-http-manager.ts';
import { compileTcpProxy } from './compile-tcp-proxy.ts';
import type { FilterChain } from './listener.ts';

/** Null when the chain cannot serve: its connections are then closed, never served otherwise than asked. */
export function compileChain(
  message: FilterChainMessage,
  version: string,
  listener: ListenerMessage,
  context: ListenerCompileContext,
  scope: ProblemScope,
): FilterChain | null {
  const transport = compileTransport(message, listener, context, scope);
  if (transport === 'unsupported') return null;
  const networkFilters: NetworkFilterBinding[] = [];
  const last = message.filters.length - 1;
  for (const [i, filter] of message.filters.entries()) {
    const at = scope.at('filters', i);
    const terminal = compileTerminal(filter, listener, context, at);
    if (terminal !== null) {
      if (i !== last) at.error('must be the last filter of its chain');
      return {
        name: message.name,
        version,
        networkFilters,
        terminal,
        transportSocketConnectTimeoutMs: message.transportSocketConnectTimeout ?? 0,
        transport,
      };
    }
    const binding = compileNetworkFilter(filter, context, at);
    if (binding !== null) networkFilters.push(binding);
  }
  scope.at('filters').error('must end with an HTTP connection manager or a TCP proxy');
  return null;
}

function compileTransport(
  { transportSocket: socket }: FilterChainMessage,
  { address }: ListenerMessage,
  context: ListenerCompileContext,
  scope: ProblemScope,
): DownstreamTransport | null | 'unsupported' {
  if (socket === undefined || isPlain(socket)) return null;
  const at = scope.at('transport_socket');
  const tls = socket.typedConfig && unpackAny(socket.typedConfig, DownstreamTlsContextTable);
  if (tls === undefined) {
    at.unhonoured('', `"${socket.name}" is not supported; the chain is left out`);
    return 'unsupported';
  }
  const { address: host = '', portValue = 0 } = address?.socketAddress ?? {};
  return compileDownstreamTls(tls, `${host}:${portValue}`, context.tls, at.at('typed_config'));
}

function compileTerminal(
  filter: NetworkFilterMessage,
  listener: ListenerMessage,
  context: ListenerCompileContext,
  scope: ProblemScope,
): FilterChain['terminal'] | null {
  if (filter.typedConfig === undefined) return null;
  const at = scope.at('typed_config');
  const manager = unpackAny(filter.typedConfig, HttpConnectionManagerTable);
  if (manager !== undefined) return compileHttpManager(manager, listener, context, at);
  const tcp = unpackAny(filter.typedConfig, TcpProxyTable);
  return tcp === undefined ? null : compileTcpProxy(tcp, context, at);
}

function compileNetworkFilter(
  filter: NetworkFilterMessage,
  context: ListenerCompileContext,
  scope: ProblemScope,
): NetworkFilterBinding | null {
  const config = filter.typedConfig;
  const typeName = typeNameOf(config?.typeUrl ?? '');
  const factory = context.networkFilters.find((candidate) => candidate.configTypes.includes(typeName));
  if (factory === undefined || config === undefined || config.value instanceof Uint8Array) {
    scope.unhonoured('typed_config', `network filter ${typeName || filter.name} is not supported`);
    return null;
  }
  const problems: ConfigProblem[] = [];
  const binding = factory.compile(config.value, problems);
  scope.at('typed_config').adopt(problems);
  return binding;
}
