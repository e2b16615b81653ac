/** The HTTP filters of a chain, in the order of the configuration, repeats included, router last. */
import { typeNameOf, type Any, type HttpFilter as HttpFilterMessage } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import type { ConfigProblem, HttpFilterBinding, HttpFilterFactory } from '../filter/filter.ts';

export function compileHttpFilters(
  messages: readonly HttpFilterMessage[],
  factories: readonly HttpFilterFactory[],
  scope: ProblemScope,
): HttpFilterBinding[] {
  const bindings: HttpFilterBinding[] = [];
  for (const [i, message] of messages.entries()) {
    const at = scope.at('http_filters', i);
    const isLast = i === messages.length - 1;
    const binding = compileOne(message, factories, at);
    if (binding === null) continue;
    if (binding.factory.isTerminal !== isLast) {
      at.error(isLast ? 'the last filter must be the router' : `"${message.name}" must be the last filter`);
    }
    bindings.push(binding);
  }
  if (messages.length === 0) scope.at('http_filters').error('must hold at least the router');
  return bindings;
}

function compileOne(
  message: HttpFilterMessage,
  factories: readonly HttpFilterFactory[],
  scope: ProblemScope,
): HttpFilterBinding | null {
  if (message.name === '') scope.at('name').error('must not be empty');
  const config = message.typedConfig;
  if (config === undefined) {
    scope.at('typed_config').error('must be set');
    return null;
  }
  const typeName = typeNameOf(config.typeUrl);
  const factory = factories.find((candidate) => candidate.configTypes.includes(typeName));
  if (factory === undefined || config.value instanceof Uint8Array) {
    // `is_optional` is the configuration's own word that it can do without.
    if (!message.isOptional) scope.unhonoured('typed_config', `HTTP filter ${typeName} is not supported`);
    return null;
  }
  const problems: ConfigProblem[] = [];
  const compiled = factory.compile(config.value, problems);
  scope.at('typed_config').adopt(problems);
  return { name: message.name, factory, config: compiled, isDisabledByDefault: message.disabled };
}

/** Per-route configuration: the factory is found by the filter's name, else by the message's type. */
export function compilePerRouteFilter(
  name: string,
  config: Any,
  factories: readonly HttpFilterFactory[],
  scope: ProblemScope,
): unknown {
  const typeName = typeNameOf(config.typeUrl);
  const factory =
    factories.find((candidate) => candidate.name === name) ??
    factories.find((candidate) => candidate.configTypes.includes(typeName));
  if (factory === undefined || config.value instanceof Uint8Array) {
    scope.unhonoured('', `per-route configuration ${typeName} is not supported`);
    return undefined;
  }
  const problems: ConfigProblem[] = [];
  const compiled = factory.compileRoute(config.value, problems);
  scope.adopt(problems);
  return compiled;
}
