/**
 * Judges resources on the main thread by compiling them with the code that the data loops use, so that a
 * rejection carries every error a loop could have found.
 */
import type {
  Cluster,
  ClusterLoadAssignment,
  Listener,
  RouteConfiguration,
  UnhonouredReport,
  VirtualHost,
} from '@sluice/xds';
import { compileCluster } from '../cluster/compile-cluster.ts';
import type { ClusterSettings } from '../cluster/cluster-settings.ts';
import { compileAssignment } from '../cluster/compile-endpoints.ts';
import { compileListener } from '../listener/compile-listener.ts';
import { checkVirtualHost, compileRouteTable } from '../route/compile-table.ts';
import { checkingEnvironment } from '../tls/tls-environment.ts';
import { compileContexts, type CompileFacts } from '../workers/compile-contexts.ts';
import { newProblems, type ProblemScope } from './problems.ts';
import type { TableHosts } from './table-hosts.ts';
import { judge, type UnsupportedFields, type Verdict } from './verdict.ts';

export interface Judged<T> extends Verdict {
  readonly compiled: T;
}

export class ConfigChecker {
  readonly #contexts: ReturnType<typeof compileContexts>;
  readonly #mode: UnsupportedFields;

  constructor(facts: CompileFacts, mode: UnsupportedFields) {
    this.#contexts = compileContexts(facts, null, () => null, checkingEnvironment());
    this.#mode = mode;
  }

  cluster(message: Cluster, decoded: UnhonouredReport | null): Judged<ClusterSettings> {
    return this.#judge(decoded, (scope) => compileCluster(message, scope));
  }

  endpoints(message: ClusterLoadAssignment, decoded: UnhonouredReport | null): Judged<unknown> {
    return this.#judge(decoded, (scope) => {
      if (message.clusterName === '') scope.at('cluster_name').error('must not be empty');
      return compileAssignment(message, false, scope);
    });
  }

  routes(message: RouteConfiguration, decoded: UnhonouredReport | null): Judged<unknown> {
    return this.#judge(decoded, (scope) => {
      if (message.name === '') scope.at('name').error('must not be empty');
      return compileRouteTable(message, '', [], null, this.#contexts.routes, scope);
    });
  }

  /** `table`: the live table it joins, whose other hosts must not share its domains. */
  virtualHost(message: VirtualHost, table: TableHosts, decoded: UnhonouredReport | null): Judged<unknown> {
    const ownerOf = (domain: string): string | null => table.ownerOf(domain, message.name);
    return this.#judge(decoded, (scope) =>
      checkVirtualHost(table.message, message, ownerOf, this.#contexts.routes, scope),
    );
  }

  listener(message: Listener, decoded: UnhonouredReport | null): Judged<unknown> {
    return this.#judge(decoded, (scope) =>
      compileListener(message, '', null, this.#contexts.listeners, (listener) => listener, scope),
    );
  }

  #judge<T>(decoded: UnhonouredReport | null, compile: (scope: ProblemScope) => T): Judged<T> {
    const scope = newProblems();
    const compiled = compile(scope);
    return { ...judge(scope.problems, decoded, this.#mode), compiled };
  }
}
