/**
 * Listener filters. `original_dst` only marks that the accepted socket's destination is to be restored
 * (the socket layer does it at accept, where the descriptor is); the inspectors look at first bytes.
 */
import { OriginalSrcTable, ProxyProtocolTable, typeNameOf, unpackAny } from '@sluice/xds';
import type { ListenerFilter as ListenerFilterMessage, ListenerFilterChainMatchPredicate } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import type { ListenerFilter, ListenerFilterBinding } from '../filter/filter.ts';
import type { ConnectionFacts } from './connection-facts.ts';
import { httpInspector } from './http-inspector.ts';
import { compileOriginalSrc } from './original-src.ts';
import { compileProxyProtocol } from './proxy-protocol.ts';
import { tlsInspector } from './tls-inspector.ts';

export const ORIGINAL_DST = 'envoy.filters.listener.original_dst';

const passing: ListenerFilter = { onPeek: () => 'continue' };
const originalDst: ListenerFilterBinding = {
  name: ORIGINAL_DST,
  maxPeekBytes: 0,
  needsBytes: false,
  create: () => passing,
};

const bindings: Readonly<Record<string, ListenerFilterBinding>> = {
  'envoy.extensions.filters.listener.original_dst.v3.OriginalDst': originalDst,
  'envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector': tlsInspector,
  'envoy.extensions.filters.listener.http_inspector.v3.HttpInspector': httpInspector,
};

export function compileListenerFilters(
  messages: readonly ListenerFilterMessage[],
  scope: ProblemScope,
): ListenerFilterBinding[] {
  const compiled: ListenerFilterBinding[] = [];
  for (const [i, message] of messages.entries()) {
    const at = scope.at('listener_filters', i);
    const typeName = typeNameOf(message.typedConfig?.typeUrl ?? '');
    const binding = bindings[typeName] ?? compileBinding(message, at.at('typed_config'));
    if (binding === undefined)
      at.unhonoured('typed_config', `listener filter ${typeName || message.name} is not supported`);
    if (binding === undefined || binding === null) continue;
    if (message.filterDisabled === undefined) compiled.push(binding);
    else
      compiled.push({
        ...binding,
        appliesTo: not(compilePredicate(message.filterDisabled, at.at('filter_disabled'))),
      });
  }
  return compiled;
}

/** Filters that have a configuration of their own; undefined = there is no such filter, null = it has been refused. */
function compileBinding(
  message: ListenerFilterMessage,
  scope: ProblemScope,
): ListenerFilterBinding | null | undefined {
  if (message.typedConfig === undefined) return undefined;
  const proxyProtocol = unpackAny(message.typedConfig, ProxyProtocolTable);
  if (proxyProtocol !== undefined) return compileProxyProtocol(proxyProtocol, scope);
  const originalSrc = unpackAny(message.typedConfig, OriginalSrcTable);
  return originalSrc === undefined ? undefined : compileOriginalSrc(originalSrc, scope);
}

type FactsPredicate = (facts: ConnectionFacts) => boolean;

function not(predicate: FactsPredicate): FactsPredicate {
  return (facts) => !predicate(facts);
}

function compilePredicate(message: ListenerFilterChainMatchPredicate, scope: ProblemScope): FactsPredicate {
  if (message.orMatch !== undefined) {
    const rules = message.orMatch.rules.map((rule, i) =>
      compilePredicate(rule, scope.at('or_match').at('rules', i)),
    );
    return (facts) => rules.some((rule) => rule(facts));
  }
  if (message.andMatch !== undefined) {
    const rules = message.andMatch.rules.map((rule, i) =>
      compilePredicate(rule, scope.at('and_match').at('rules', i)),
    );
    return (facts) => rules.every((rule) => rule(facts));
  }
  if (message.notMatch !== undefined) return not(compilePredicate(message.notMatch, scope.at('not_match')));
  if (message.anyMatch !== undefined) return () => true;
  const range = message.destinationPortRange;
  if (range === undefined) {
    scope.error('names no rule');
    return () => false;
  }
  return (facts) => facts.destinationPort >= range.start && facts.destinationPort < range.end;
}
