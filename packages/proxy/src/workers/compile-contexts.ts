/** Compilation contexts from what every thread is told at its start: the same on the main thread and in loops. */
import type { LoopInit } from '../data-loop.ts';
import { httpFilterFactories, networkFilterFactories } from '../filter-factories.ts';
import type { ListenerCompileContext } from '../listener/compile-context.ts';
import { compilePerRouteFilter } from '../listener/compile-http-filters.ts';
import type { RouteCompileContext } from '../route/compile-context.ts';
import type { RouteTable } from '../route/route.ts';
import type { LogSinks } from '../telemetry/log-sinks.ts';
import type { TlsEnvironment } from '../tls/tls-environment.ts';

export type CompileFacts = Pick<LoopInit, 'runtime' | 'hostname' | 'environment' | 'allowedLogPaths'>;

export interface CompileContexts {
  readonly routes: RouteCompileContext;
  readonly listeners: ListenerCompileContext;
}

/** `sinks` null: compiled loggers write nowhere (the main thread only checks). */
export function compileContexts(
  facts: CompileFacts,
  sinks: LogSinks | null,
  routeTable: (name: string) => RouteTable | null,
  tls: TlsEnvironment,
): CompileContexts {
  const process = {
    hostname: facts.hostname,
    environment: (name: string): string | null => facts.environment[name] ?? null,
  };
  const runtime = new Map(facts.runtime);
  const routes: RouteCompileContext = {
    process,
    runtime,
    compilePerFilter: (name, config, scope) =>
      compilePerRouteFilter(name, config, httpFilterFactories, scope),
  };
  const allowed = new Set(facts.allowedLogPaths);
  const accessLog = {
    sinks,
    process,
    runtime,
    random: Math.random,
    isPathAllowed: (path: string) => allowed.has(path),
  };
  return {
    routes,
    listeners: {
      httpFilters: httpFilterFactories,
      networkFilters: networkFilterFactories,
      accessLog,
      routes,
      tls,
      routeTable,
    },
  };
}
