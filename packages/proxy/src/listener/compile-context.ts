/** What compiling a listener needs: filter factories, route tables and access log destinations. */
import type { HttpFilterFactory } from '../filter/filter.ts';
import type { RouteTable } from '../route/route.ts';
import type { RouteCompileContext } from '../route/compile-context.ts';
import type { AccessLogDeps } from '../telemetry/access-log.ts';
import type { TlsEnvironment } from '../tls/tls-environment.ts';
import type { NetworkFilterFactory } from './network-filter-factory.ts';

export interface ListenerCompileContext {
  readonly httpFilters: readonly HttpFilterFactory[];
  readonly networkFilters: readonly NetworkFilterFactory[];
  readonly accessLog: AccessLogDeps;
  readonly routes: RouteCompileContext;
  readonly tls: TlsEnvironment;
  /** The live table of an RDS name; null until it has arrived. */
  routeTable(name: string): RouteTable | null;
}
