/** The live route tables of a data loop: RDS puts whole tables, VHDS single virtual hosts. */
import type { RouteConfiguration, VirtualHost } from '@sluice/xds';
import { formatProblem, newProblems, type ProblemScope } from '../config/problems.ts';
import type { RouteCompileContext } from './compile-context.ts';
import {
  CompiledRouteTable,
  compileRouteTable,
  prepareHosts,
  replaceVirtualHost,
  type PreparedHosts,
} from './compile-table.ts';

interface LiveTable {
  message: RouteConfiguration;
  version: string;
  readonly extra: Map<string, VirtualHost>;
  table: CompiledRouteTable;
}

/** A table that has not wholly arrived. */
interface Arriving {
  readonly hosts: VirtualHost[];
  readonly prepared: PreparedHosts;
}

export class RouteTables {
  readonly #context: RouteCompileContext;
  readonly #live = new Map<string, LiveTable>();
  readonly #arriving = new Map<string, Arriving>();

  constructor(context: RouteCompileContext) {
    this.#context = context;
  }

  find(name: string): CompiledRouteTable | null {
    return this.#live.get(name)?.table ?? null;
  }

  /** Parts carry some of a table's virtual hosts each. True when the table is whole and in use. */
  putPart(message: RouteConfiguration, version: string, part: number, isLast: boolean): boolean {
    const { name } = message;
    if (part === 0 && isLast) {
      this.#arriving.delete(name);
      this.put(message, version);
      return true;
    }
    if (part === 0) this.#arriving.set(name, { hosts: [], prepared: new Map() });
    const arriving = this.#arriving.get(name);
    if (arriving === undefined) throw new Error(`${name}: part ${part} came without the first`);
    const scope = newProblems();
    prepareHosts(message, this.find(name), this.#context, scope, arriving.prepared);
    refuseErrors(name, scope);
    arriving.hosts.push(...message.virtualHosts);
    if (!isLast) return false;
    this.#arriving.delete(name);
    this.put({ ...message, virtualHosts: arriving.hosts }, version, arriving.prepared);
    return true;
  }

  put(message: RouteConfiguration, version: string, prepared?: PreparedHosts): void {
    const old = this.#live.get(message.name);
    const extra =
      message.vhds === undefined
        ? new Map<string, VirtualHost>()
        : (old?.extra ?? new Map<string, VirtualHost>());
    this.#compile(message, version, extra, old?.table ?? null, prepared);
  }

  remove(name: string): void {
    this.#arriving.delete(name);
    this.#live.delete(name);
  }

  putVirtualHost(table: string, host: VirtualHost, version: string): void {
    const live = this.#live.get(table);
    if (live === undefined) return;
    const scope = newProblems();
    const replaced = replaceVirtualHost(live.table, live.message, host, version, this.#context, scope);
    refuseErrors(table, scope);
    live.extra.set(host.name, host);
    live.version = version;
    live.table = replaced;
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
    prepared?: PreparedHosts,
  ): void {
    const scope = newProblems();
    const context = this.#context;
    const table = compileRouteTable(message, version, extra.values(), previous, context, scope, prepared);
    refuseErrors(message.name, scope);
    this.#live.set(message.name, { message, version, extra, table });
  }
}

/** The main thread has validated it all: an error here is a broken invariant. */
function refuseErrors(name: string, { problems }: ProblemScope): void {
  const errors = problems.filter((problem) => problem.severity === 'error');
  if (errors.length > 0) throw new Error(`${name}: ${errors.map(formatProblem).join('; ')}`);
}
