/** Requests and compile contexts for tests of routing. */
import { HeaderList } from '@sluice/wire';
import { parseJsonMessage, RouteConfigurationTable } from '@sluice/xds';
import { newProblems, type Problem } from '../config/problems.ts';
import { checkingEnvironment } from '../tls/tls-environment.ts';
import { compileContexts } from '../workers/compile-contexts.ts';
import { CompiledRouteTable, compileRouteTable } from './compile-table.ts';
import type { RouteRequest } from './route.ts';

export const contexts = compileContexts(
  { hostname: 'host', environment: {}, runtime: [], allowedLogPaths: [] },
  null,
  () => null,
  checkingEnvironment(),
);

export function request(
  path: string,
  changes: Partial<Omit<RouteRequest, 'headers'>> & { headers?: Record<string, string> } = {},
): RouteRequest {
  const [plain = '', query = ''] = path.split('?');
  const headers = new HeaderList();
  for (const [name, value] of Object.entries(changes.headers ?? {})) headers.append(name, value);
  return {
    method: 'GET',
    scheme: 'http',
    authority: 'a',
    query,
    localPort: 80,
    ...changes,
    path: plain,
    headers,
  };
}

export function compileRoutes(json: object): { table: CompiledRouteTable; problems: readonly Problem[] } {
  const scope = newProblems();
  const message = parseJsonMessage(RouteConfigurationTable, { name: 'table', ...json });
  return {
    table: compileRouteTable(message, '1', [], null, contexts.routes, scope),
    problems: scope.problems,
  };
}

/** One virtual host for everything with these routes. */
export function routesOf(...routes: readonly object[]): ReturnType<typeof compileRoutes> {
  return compileRoutes({ virtual_hosts: [{ name: 'all', domains: ['*'], routes }] });
}

/** Name of the route that a request takes, or null. */
export function taken(table: CompiledRouteTable, of: RouteRequest, random = () => 0.5): string | null {
  return table.match(of, random)?.name ?? null;
}
