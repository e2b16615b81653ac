/** The live route tables of a data loop: RDS puts whole tables, VHDS single virtual hosts. */
import type { RouteConfiguration, VirtualHost } from '@sluice/xds';
import { formatProblem, newProblems } from '../config/problems.ts';
import type { RouteCompileContext } from './compile-context.ts';
import { CompiledRouteTable, compileRouteTable } from './compile-table.ts';

interface LiveTable {
  message: RouteConfiguration;
  version: string;
  readonly extra: Map<string, VirtualHost>;
  table: CompiledRouteTable;
}

export class RouteTables {
  readonly #context: RouteCompileContext;
  readonly #live = new Map<string, LiveTable>();

  constructor(context: RouteCompileContext) {
    this.#context = context;
  }

  find(name: string): CompiledRouteTable | null {
    return this.#live.get(name)?.table ?? null;
  }

  put(message: RouteConfiguration, version: string): void {
    const old = this.#live.get(message.name);
    const extra =
      message.vhds === undefined
        ? new Map<string, VirtualHost>()
        : (old?.extra ?? new Map<string, VirtualHost>());
    this.#compile(message, version, extra, old?.table ?? null);
  }

  remove(name: string): void {
    this.#live.delete(name);
  }

  putVirtualHost(table: string, host: VirtualHost, version: string): void {
    const live = this.#live.get(table);
    if (live === undefined) return;
    const extra = new Map(live.extra).set(host.name, host);
    this.#compile(live.message, version, extra, live.table);
  }

  removeVirtualHost(table: string, host: string): void {
    const live = this.#live.get(table);
    if (live === undefined) return;
    const extra = new Map(live.extra);
    extra.delete(host);
    this.#compile(live.message, live.version, extra, live.table);
  }

  /** Swaps only when the new table compiled: an error leaves the old one serving. */
  #compile(
    message: RouteConfiguration,
    version: string,
    extra: Map<string, VirtualHost>,
    previous: CompiledRouteTable | null,
  ): void {
    const scope = newProblems();
    const table = compileRouteTable(message, version, extra.values(), previous, this.#context, scope);
    const errors = scope.problems.filter((problem) => problem.severity === 'error');
    if (errors.length > 0) throw new Error(`${message.name}: ${errors.map(formatProblem).join('; ')}`);
    this.#live.set(message.name, { message, version, extra, table });
  }
}
