/**
 * Which route resources apply to a service, for a client's namespace.
 *
 * Precedence, one rule for all (pains row 10): HTTPRoutes attached to the Service by the client's own
 * namespace, then by the Service's, then VirtualServices: exact host before wildcard, the oldest among
 * equals. Everything that loses is reported with the winner's name.
 */
import type { HttpRouteSpec, ResourceKey, VirtualServiceSpec } from '@sluice/api';
import { isVisibleTo } from './service.ts';
import type { ExportTo, MeshService, MeshServicePort } from './service.ts';

export interface VirtualServiceSource {
  readonly key: ResourceKey;
  readonly namespace: string;
  readonly spec: VirtualServiceSpec;
  /** Fully qualified hosts; wildcards keep their `*.`. */
  readonly hosts: readonly string[];
  readonly exportTo: ExportTo;
  readonly createdMs: number;
}

export interface HttpRouteSource {
  readonly key: ResourceKey;
  readonly namespace: string;
  readonly spec: HttpRouteSpec;
  readonly createdMs: number;
  /** Service parents only: `namespace/name`, with the port they narrow to. */
  readonly parents: readonly {
    readonly service: string;
    readonly port: number | null;
    readonly sectionName: string | null;
  }[];
}

export interface AppliedRoutes {
  readonly httpRoutes: readonly HttpRouteSource[];
  readonly virtualService: VirtualServiceSource | null;
  /** VirtualServices for this very host that do not apply, and why. */
  readonly losers: readonly { readonly key: ResourceKey; readonly winner: ResourceKey }[];
}

export class RouteIndex {
  readonly #exact = new Map<string, VirtualServiceSource[]>();
  readonly #wildcard: { readonly suffix: string; readonly source: VirtualServiceSource }[] = [];
  readonly #httpRoutes = new Map<string, HttpRouteSource[]>();

  constructor(virtualServices: Iterable<VirtualServiceSource>, httpRoutes: Iterable<HttpRouteSource>) {
    for (const source of virtualServices) {
      for (const host of source.hosts) {
        if (host.startsWith('*')) this.#wildcard.push({ suffix: host.slice(1), source });
        else append(this.#exact, host, source);
      }
    }
    for (const list of this.#exact.values()) list.sort(compareAge);
    this.#wildcard.sort((a, b) => b.suffix.length - a.suffix.length || compareAge(a.source, b.source));
    for (const source of httpRoutes) {
      for (const service of new Set(source.parents.map((parent) => parent.service)))
        append(this.#httpRoutes, service, source);
    }
    for (const list of this.#httpRoutes.values()) list.sort(compareAge);
  }

  /** What routes a service's port for clients of a namespace. */
  find(service: MeshService, port: MeshServicePort, clientNamespace: string): AppliedRoutes {
    const attached =
      service.source.kind === 'Service'
        ? (this.#httpRoutes.get(`${service.namespace}/${service.name}`) ?? []).filter((route) =>
            attachesTo(route, service, port),
          )
        : [];
    const consumer = attached.filter(
      (route) => route.namespace === clientNamespace && route.namespace !== service.namespace,
    );
    const producer = attached.filter((route) => route.namespace === service.namespace);
    const httpRoutes = consumer.length > 0 ? consumer : producer;
    const [virtualService, ...others] = this.#virtualServices(service.hostname, clientNamespace);
    const winner = httpRoutes[0]?.key ?? virtualService?.key;
    const beaten = httpRoutes.length > 0 ? [virtualService, ...others] : others;
    return {
      httpRoutes,
      virtualService: httpRoutes.length > 0 ? null : (virtualService ?? null),
      losers: winner ? beaten.flatMap((source) => (source ? [{ key: source.key, winner }] : [])) : [],
    };
  }

  /** Visible ones for a host, in order of precedence. */
  #virtualServices(hostname: string, clientNamespace: string): VirtualServiceSource[] {
    const exact = (this.#exact.get(hostname) ?? []).filter((source) =>
      isVisibleTo(source.exportTo, clientNamespace),
    );
    const wild = this.#wildcard.filter(
      (entry) => hostname.endsWith(entry.suffix) && isVisibleTo(entry.source.exportTo, clientNamespace),
    );
    const [best] = wild;
    return exact.length > 0
      ? exact
      : wild.filter((entry) => entry.suffix === best?.suffix).map((entry) => entry.source);
  }
}

/** Parents narrow by port number or port name; no section means every port. */
export function attachesTo(
  route: HttpRouteSource,
  service: MeshService,
  port: Pick<MeshServicePort, 'number' | 'name'>,
): boolean {
  return route.parents.some(
    (parent) =>
      parent.service === `${service.namespace}/${service.name}` &&
      (parent.port === null || parent.port === port.number) &&
      (parent.sectionName === null || parent.sectionName === port.name),
  );
}

function append<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}

function compareAge(
  a: { createdMs: number; key: ResourceKey },
  b: { createdMs: number; key: ResourceKey },
): number {
  return (
    a.createdMs - b.createdMs ||
    compareText(`${a.key.namespace}/${a.key.name}`, `${b.key.namespace}/${b.key.name}`)
  );
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
