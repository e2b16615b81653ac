/** The set of objects under analysis, indexed once, and the means to report on one of them. */
import { hostCandidates, normalizeHost, serviceHostname } from '../hosts.ts';
import { formatKey, keyOf, type KubeObject } from '../object.ts';
import { formatPath, type Locate, type Path } from '../position.ts';
import type { Problem, Severity } from '../problem.ts';
import {
  isKind,
  type DestinationRule,
  type ResourceTypes,
  type Service,
  type ServiceEntry,
} from '../resource-types.ts';
import type { AnalysisCode } from './codes.ts';

export interface AnalyzedObject {
  readonly object: KubeObject;
  readonly file?: string | undefined;
  readonly locate?: Locate | undefined;
}

export interface Instance {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** What a host name leads to. */
export interface KnownHost {
  readonly hostname: string;
  readonly namespace: string;
  readonly ports: readonly number[];
  readonly source: Service | ServiceEntry;
  /** Of an ExternalName. */
  readonly externalName: string | null;
}

export interface WorldOptions {
  readonly clusterDomain: string;
  readonly rootNamespace: string;
  readonly defaultNamespace: string;
  /** Instances that are not in the set, as registrations of a running mesh. */
  readonly instances: readonly Instance[];
  /** Without it, selectors that match nothing are reported only when the set describes instances at all. */
  readonly knowsAllInstances: boolean;
}

export class World {
  readonly problems: Problem[] = [];
  readonly options: WorldOptions;
  readonly instances: readonly Instance[];
  readonly #sources = new Map<KubeObject, AnalyzedObject>();
  readonly #byKind = new Map<string, KubeObject[]>();
  readonly #hosts = new Map<string, KnownHost>();

  constructor(objects: readonly AnalyzedObject[], options: WorldOptions) {
    this.options = options;
    for (const entry of objects) {
      this.#sources.set(entry.object, entry);
      const { group, kind } = keyOf(entry.object);
      const list = this.#byKind.get(`${group}/${kind}`) ?? [];
      list.push(entry.object);
      this.#byKind.set(`${group}/${kind}`, list);
    }
    this.instances = [...options.instances, ...this.#describedInstances()];
    this.#indexHosts();
  }

  all<K extends keyof ResourceTypes>(kind: K): readonly ResourceTypes[K][] {
    return (this.#byKind.get(kind) ?? []) as ResourceTypes[K][];
  }

  namespaceOf(object: KubeObject): string {
    return object.metadata.namespace ?? this.options.defaultNamespace;
  }

  find<K extends keyof ResourceTypes>(
    kind: K,
    namespace: string,
    name: string,
  ): ResourceTypes[K] | undefined {
    return this.all(kind).find(
      (object) => object.metadata.name === name && this.namespaceOf(object) === namespace,
    );
  }

  /** The service a host of a resource in `namespace` means; of an alias, what it stands for. */
  host(host: string, namespace: string): KnownHost | undefined {
    const named = this.named(host, namespace);
    return named && this.concrete(named);
  }

  /** What an alias stands for, through other aliases too; every other host itself. */
  concrete(known: KnownHost): KnownHost {
    const { chain, isCircle } = this.#chainOf(known);
    return isCircle ? known : (chain.at(-1) ?? known);
  }

  isAlias(service: Service): boolean {
    const namespace = this.namespaceOf(service);
    const known = this.named(this.serviceHost(service.metadata.name, namespace), namespace);
    return known !== undefined && this.concrete(known) !== known;
  }

  /** The names that an ExternalName leads through until one comes again. */
  circleOf(known: KnownHost): readonly string[] | undefined {
    const { chain, isCircle } = this.#chainOf(known);
    return isCircle
      ? [...chain.map(({ hostname }) => hostname), chain.at(-1)?.externalName ?? '']
      : undefined;
  }

  serviceHost(name: string, namespace: string): string {
    return serviceHostname(name, namespace, this.options.clusterDomain);
  }

  /** Names are taken as they are written: DNS knows no short forms here. */
  #chainOf(known: KnownHost): { readonly chain: readonly KnownHost[]; readonly isCircle: boolean } {
    const chain = [known];
    for (let at: KnownHost | undefined = known; at?.externalName != null;) {
      at = this.#hosts.get(at.externalName);
      if (at === undefined) break;
      if (chain.includes(at)) return { chain, isCircle: true };
      chain.push(at);
    }
    return { chain, isCircle: false };
  }

  /** The host as it is named, an alias itself. */
  named(host: string, namespace: string): KnownHost | undefined {
    for (const candidate of hostCandidates(host, namespace, this.options.clusterDomain)) {
      const exact = this.#hosts.get(candidate);
      if (exact !== undefined) return exact;
      for (let dot = candidate.indexOf('.'); dot >= 0; dot = candidate.indexOf('.', dot + 1)) {
        const wildcard = this.#hosts.get(`*${candidate.slice(dot)}`);
        if (wildcard !== undefined) return wildcard;
      }
    }
    return undefined;
  }

  /** Full names known, for suggestions. */
  hostnames(): Iterable<string> {
    return this.#hosts.keys();
  }

  /** The full name a resource means: that of a known service, else the first reading. */
  fullName(host: string, namespace: string): string {
    const known = this.named(host, namespace);
    const candidates = hostCandidates(host, namespace, this.options.clusterDomain);
    return candidates.find((candidate) => candidate === known?.hostname) ?? candidates[0] ?? host;
  }

  canJudgeSelectors(): boolean {
    return this.options.knowsAllInstances || this.instances.length > 0;
  }

  destinationRulesFor(hostname: string): readonly DestinationRule[] {
    return this.all('networking.istio.io/DestinationRule').filter(
      (rule) => this.fullName(rule.spec.host, this.namespaceOf(rule)) === hostname,
    );
  }

  report(
    object: KubeObject,
    code: AnalysisCode,
    severity: Severity,
    path: Path,
    message: string,
    suggestion?: string,
  ): void {
    const source = this.#sources.get(object);
    const place = source?.locate?.(path, 'value');
    const key = keyOf(object, this.options.defaultNamespace);
    this.problems.push({
      code,
      severity,
      message,
      path: formatPath(path),
      key,
      ...(source?.file === undefined ? {} : { file: source.file }),
      ...(place === undefined ? {} : { line: place.line, column: place.column }),
      ...(suggestion === undefined ? {} : { suggestion }),
    });
  }

  /** How an object is named in messages: with its place where it has one. */
  nameOf(object: KubeObject): string {
    const source = this.#sources.get(object);
    const line = source?.locate?.([])?.line;
    const place =
      source?.file === undefined ? '' : ` (${source.file}${line === undefined ? '' : `:${line}`})`;
    return `${formatKey(keyOf(object, this.options.defaultNamespace))}${place}`;
  }

  #describedInstances(): Instance[] {
    const described = [...this.all('/Pod'), ...this.all('networking.istio.io/WorkloadEntry')];
    const instances = described.map((object) => ({
      namespace: this.namespaceOf(object),
      labels: {
        ...(isKind(object, 'networking.istio.io/WorkloadEntry') ? object.spec.labels : {}),
        ...object.metadata.labels,
      },
    }));
    const fromEntries = this.all('networking.istio.io/ServiceEntry').flatMap((entry) =>
      (entry.spec.endpoints ?? []).map((endpoint) => ({
        namespace: this.namespaceOf(entry),
        labels: endpoint.labels ?? {},
      })),
    );
    return [...instances, ...fromEntries];
  }

  #indexHosts(): void {
    for (const entry of this.all('networking.istio.io/ServiceEntry')) {
      const ports = (entry.spec.ports ?? []).map((port) => port.number);
      for (const host of entry.spec.hosts) {
        const hostname = host.toLowerCase();
        const namespace = this.namespaceOf(entry);
        this.#hosts.set(hostname, { hostname, namespace, ports, source: entry, externalName: null });
      }
    }
    // A Service beats a ServiceEntry of the same name.
    for (const service of this.all('/Service')) {
      const namespace = this.namespaceOf(service);
      const hostname = serviceHostname(service.metadata.name, namespace, this.options.clusterDomain);
      const ports = (service.spec.ports ?? []).map((port) => port.port);
      const isName = service.spec.type === 'ExternalName' && service.spec.externalName !== undefined;
      const externalName = isName ? normalizeHost(service.spec.externalName ?? '') : null;
      this.#hosts.set(hostname, { hostname, namespace, ports, source: service, externalName });
    }
  }
}
