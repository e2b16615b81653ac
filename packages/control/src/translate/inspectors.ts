/** Listener filters that look at the first bytes, and what chains match on what they find. */
import { HttpInspectorTable, TlsInspectorTable } from '@sluice/xds';
import type { FilterChainMatch, Init, Listener } from '@sluice/xds';
import { typedConfig } from './typed-config.ts';

/** How long a sniffed connection may stay silent before it counts as TCP (pains row 7). */
export const inspectTimeoutMs = 100;

type ListenerFilterInit = NonNullable<Init<Listener>['listenerFilters']>[number];

export function httpInspector(): ListenerFilterInit {
  return { name: 'envoy.filters.listener.http_inspector', typedConfig: typedConfig(HttpInspectorTable, {}) };
}

export function tlsInspector(): ListenerFilterInit {
  return { name: 'envoy.filters.listener.tls_inspector', typedConfig: typedConfig(TlsInspectorTable, {}) };
}

/** Plain HTTP; HTTP/2 with prior knowledge counts as bytes for a proxy that does not speak it. */
export function sniffedProtocols(knowsHttp2: boolean): Init<FilterChainMatch> {
  return {
    transportProtocol: 'raw_buffer',
    applicationProtocols: knowsHttp2 ? ['http/1.1', 'h2c'] : ['http/1.1'],
  };
}
