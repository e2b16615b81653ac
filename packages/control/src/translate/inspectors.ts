/** Listener filters that look at the first bytes, and what chains match on what they find. */
import { HttpInspectorTable, TlsInspectorTable } from '@sluice/xds';
import type { FilterChainMatch, Init, Listener } from '@sluice/xds';
import { typedConfig } from './typed-config.ts';

type ListenerFilterInit = NonNullable<Init<Listener>['listenerFilters']>[number];

/** `disabledPorts`: destinations whose first bytes are not looked at. */
export function httpInspector(disabledPorts: readonly number[] = []): ListenerFilterInit {
  return {
    name: 'envoy.filters.listener.http_inspector',
    typedConfig: typedConfig(HttpInspectorTable, {}),
    ...disabled(disabledPorts),
  };
}

export function tlsInspector(disabledPorts: readonly number[] = []): ListenerFilterInit {
  return {
    name: 'envoy.filters.listener.tls_inspector',
    typedConfig: typedConfig(TlsInspectorTable, {}),
    ...disabled(disabledPorts),
  };
}

/**
 * Listener filters that wait for the first bytes. `timeoutMs`: for how long where a client may wait for the server in
 * its turn; null where clients always speak first, whose hello may come late and must not be taken for silence.
 */
export function inspected(filters: readonly ListenerFilterInit[], timeoutMs: number | null): Init<Listener> {
  if (filters.length === 0) return {};
  return {
    listenerFilters: [...filters],
    ...(timeoutMs === null ? {} : { listenerFiltersTimeout: timeoutMs }),
    continueOnListenerFiltersTimeout: true,
  };
}

function disabled(ports: readonly number[]): Pick<ListenerFilterInit, 'filterDisabled'> {
  const rules = ports.map((port) => ({ destinationPortRange: { start: port, end: port + 1 } }));
  const [first] = rules;
  if (first === undefined) return {};
  return { filterDisabled: rules.length === 1 ? first : { orMatch: { rules } } };
}

/** Plain HTTP; HTTP/2 with prior knowledge counts as bytes for a proxy that does not speak it. */
export function sniffedProtocols(knowsHttp2: boolean): Init<FilterChainMatch> {
  return {
    transportProtocol: 'raw_buffer',
    applicationProtocols: knowsHttp2 ? ['http/1.1', 'h2c'] : ['http/1.1'],
  };
}
