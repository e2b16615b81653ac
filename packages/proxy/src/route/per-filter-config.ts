/** `typed_per_filter_config` of one level, laid over the level above it. */
import { PerRouteFilterConfigTable, unpackAny, type Any } from '@sluice/xds';
import type { ProblemScope } from '../config/problems.ts';
import type { RouteCompileContext } from './compile-context.ts';
import { DISABLED } from './route.ts';

const none: ReadonlyMap<string, unknown> = new Map();

export function compilePerFilterConfig(
  configs: Readonly<Record<string, Any>>,
  above: ReadonlyMap<string, unknown>,
  context: RouteCompileContext,
  scope: ProblemScope,
): ReadonlyMap<string, unknown> {
  const names = Object.keys(configs);
  if (names.length === 0) return above.size === 0 ? none : above;
  const compiled = new Map(above);
  for (const name of names) {
    const config = configs[name];
    if (config === undefined) continue;
    const at = scope.at('typed_per_filter_config').at(`[${name}]`);
    const value = compileOne(name, config, context, at);
    if (value !== undefined) compiled.set(name, value);
  }
  return compiled;
}

function compileOne(name: string, config: Any, context: RouteCompileContext, scope: ProblemScope): unknown {
  const wrapper = unpackAny(config, PerRouteFilterConfigTable);
  if (wrapper === undefined) return context.compilePerFilter(name, config, scope);
  if (wrapper.disabled) return DISABLED;
  if (wrapper.config === undefined) return undefined;
  return context.compilePerFilter(name, wrapper.config, scope.at('config'));
}
