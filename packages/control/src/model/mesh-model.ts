/**
 * The model: what the store holds, indexed for translation, kept up to date change by change.
 *
 * `apply` takes committed store changes and answers which parts of the mesh they reach; what it does not
 * name is the same object as before, so translation caches compare by identity (design §2, control plane).
 */
import { formatKey, hostCandidates, hostMatches, isWildcard } from '@sluice/api';
import type {
  Credential,
  DestinationRuleSpec,
  HttpRouteSpec,
  PeerAuthenticationSpec,
  ReferenceGrantSpec,
  ResourceKey,
  SidecarSpec,
  VirtualServiceSpec,
} from '@sluice/api';
import type { StoreChange, StoredObject } from '../source/store.ts';
import { RuleIndex } from './destination-rule.ts';
import type { MergedRule, RuleClient, RuleSource } from './destination-rule.ts';
import { EndpointTlsIndex } from './endpoint-tls.ts';
import type { EndpointTls } from './endpoint-tls.ts';
import { InstanceIndex, isSelectedBy } from './instance-index.ts';
import type { Instance } from './instance.ts';
import { PeerAuthenticationIndex } from './peer-authentication.ts';
import type { MutualTlsPolicy, PeerAuthenticationSource, WorkloadFacts } from './peer-authentication.ts';
import { readEndpointSlice, readEndpoints, readPod, readWorkloadEntry } from './read-instance.ts';
import { readService, readServiceEntry } from './read-service.ts';
import { RouteIndex } from './route-index.ts';
import type { AppliedRoutes, HttpRouteSource, VirtualServiceSource } from './route-index.ts';
import type { SidecarSource } from './scope.ts';
import { SecretIndex, secretId } from './secret-index.ts';
import { aliasTarget } from './service-alias.ts';
import type { AliasTarget } from './service-alias.ts';
import { ServiceIndex } from './service-index.ts';
import type { MeshService, MeshServicePort } from './service.ts';
import { readExportTo } from './service.ts';

export interface ModelOptions {
  readonly clusterDomain: string;
  readonly rootNamespace: string;
}

/** What a batch of changes reaches. */
export interface ModelChange {
  /** Definitions of services (ports, addresses, visibility). */
  readonly services: ReadonlySet<string>;
  /** Services whose endpoints changed. */
  readonly endpoints: ReadonlySet<string>;
  readonly routes: boolean;
  readonly rules: boolean;
  readonly sidecars: boolean;
  /** PeerAuthentications: what workloads take. */
  readonly peerAuthentications: boolean;
  /** `namespace/name` of Secrets whose certificates, keys or authorities changed. */
  readonly secrets: ReadonlySet<string>;
  /** Instances with a sidecar of the mesh: their own listeners depend on them. */
  readonly instances: boolean;
}

/** What is read of a change: of a committed one, or of an instance that is seen otherwise than it is stored. */
export type ModelInput = Pick<StoreChange, 'key' | 'after' | 'isSpecChange'>;

export interface Grant {
  readonly namespace: string;
  readonly spec: ReferenceGrantSpec;
}

export class MeshModel {
  readonly options: ModelOptions;
  readonly #services = new ServiceIndex();
  readonly #instances = new InstanceIndex();
  readonly #virtualServices = new Map<string, VirtualServiceSource>();
  readonly #httpRoutes = new Map<string, HttpRouteSource>();
  readonly #rules = new Map<string, RuleSource>();
  readonly #sidecars = new Map<string, SidecarSource>();
  readonly #peerAuthentications = new Map<string, PeerAuthenticationSource>();
  readonly #secrets = new SecretIndex();
  readonly #endpointTls = new EndpointTlsIndex();
  readonly #grants = new Map<string, Grant>();
  #ruleIndex = new RuleIndex([]);
  #routeIndex = new RouteIndex([], []);
  #peerAuthenticationIndex: PeerAuthenticationIndex;
  /** Grows with every change of services or grants: what references in routes resolve against. */
  #referenceEpoch = 0;
  #touched = newTouched();

  constructor(options: ModelOptions) {
    this.options = options;
    this.#peerAuthenticationIndex = new PeerAuthenticationIndex([], options.rootNamespace);
  }

  get services(): ReadonlyMap<string, MeshService> {
    return this.#services.byKey;
  }

  get serviceConflicts(): readonly { readonly loser: MeshService; readonly winner: MeshService }[] {
    return this.#services.conflicts();
  }

  get sidecars(): Iterable<SidecarSource> {
    return this.#sidecars.values();
  }

  get virtualServices(): ReadonlyMap<string, VirtualServiceSource> {
    return this.#virtualServices;
  }

  get httpRoutes(): ReadonlyMap<string, HttpRouteSource> {
    return this.#httpRoutes;
  }

  get destinationRules(): ReadonlyMap<string, RuleSource> {
    return this.#rules;
  }

  get peerAuthentications(): ReadonlyMap<string, PeerAuthenticationSource> {
    return this.#peerAuthentications;
  }

  get beatenPeerAuthentications(): PeerAuthenticationIndex['beaten'] {
    return this.#peerAuthenticationIndex.beaten;
  }

  /** Which connections a workload takes; the same object as long as the same resources say so. */
  mutualTls(workload: WorkloadFacts): MutualTlsPolicy {
    return this.#peerAuthenticationIndex.of(workload);
  }

  /** What clients of a service need for TLS with its endpoints; parts that say the same are the same objects. */
  endpointTls(service: MeshService): EndpointTls {
    return this.#endpointTls.of(service, this.instancesOf(service), this.#peerAuthenticationIndex);
  }

  /** Certificates and keys of a Secret, `NAME-cacert` included; null where there is none. */
  credential(namespace: string, name: string): Credential | null {
    return this.#secrets.find(namespace, name);
  }

  get referenceEpoch(): number {
    return this.#referenceEpoch;
  }

  instancesOf(service: MeshService): readonly Instance[] {
    return this.#instances.of(service);
  }

  allInstances(): Iterable<Instance> {
    return this.#instances.all();
  }

  servicesDefinedBy(key: ResourceKey): readonly MeshService[] {
    return this.#services.definedBy(key);
  }

  servicesNamed(hostname: string): readonly MeshService[] {
    return this.#services.named(hostname);
  }

  /** The service a hostname means to somebody in `namespace`; of an alias, the one it stands for. */
  resolve(hostname: string, namespace: string): MeshService | null {
    const service = this.#services.resolve(hostname, namespace);
    return service && this.concrete(service, namespace);
  }

  /** Where an ExternalName leads; `none` for every other service. */
  aliasTarget(service: MeshService): AliasTarget {
    return aliasTarget(service, (hostname) => this.#services.named(hostname));
  }

  /** What an alias stands for, where somebody in `namespace` may see that; else the service itself. */
  concrete(service: MeshService, namespace: string): MeshService {
    const leads = this.aliasTarget(service);
    const target = leads.kind === 'service' ? this.#services.resolve(leads.hostname, namespace) : null;
    return target && this.aliasTarget(target).kind === 'none' ? target : service;
  }

  /** Labels by which DestinationRules choose the clients they are for. */
  get ruleClientLabels(): ReadonlySet<string> {
    return this.#ruleIndex.clientLabels;
  }

  /** Another object when any DestinationRule changed. */
  get ruleEpoch(): object {
    return this.#ruleIndex;
  }

  rule(service: MeshService, client: RuleClient): MergedRule | null {
    return this.#ruleIndex.find(client, service.namespace, service.hostname, this.options.rootNamespace);
  }

  routes(service: MeshService, port: MeshServicePort, clientNamespace: string): AppliedRoutes {
    return this.#routeIndex.find(service, port, clientNamespace);
  }

  /** Gateway API: may an HTTPRoute in `from` refer to a Service in another namespace? */
  isGranted(
    from: { readonly group: string; readonly kind: string; readonly namespace: string },
    to: ResourceKey,
  ): boolean {
    for (const grant of this.#grants.values()) {
      if (grant.namespace !== to.namespace) continue;
      const isFrom = grant.spec.from.some(
        (one) => one.group === from.group && one.kind === from.kind && one.namespace === from.namespace,
      );
      const isTo = grant.spec.to.some(
        (one) => one.group === to.group && one.kind === to.kind && (!one.name || one.name === to.name),
      );
      if (isFrom && isTo) return true;
    }
    return false;
  }

  load(objects: Iterable<StoredObject>): ModelChange {
    for (const stored of objects) this.#take(stored.key, stored);
    return this.#finish();
  }

  apply(changes: readonly ModelInput[]): ModelChange {
    for (const change of changes) {
      // Status writes, our own among them, are none: what endpoints need of a status counts as content.
      if (change.isSpecChange) this.#take(change.key, change.after);
    }
    return this.#finish();
  }

  #take(key: ResourceKey, stored: StoredObject | null): void {
    switch (`${key.group}/${key.kind}`) {
      case '/Service':
        return this.#takeServices(key, stored ? readService(stored, this.options.clusterDomain) : []);
      case 'networking.istio.io/ServiceEntry':
        return this.#takeServices(key, stored ? readServiceEntry(stored) : []);
      case '/Pod':
        return this.#takeInstance(key, stored ? readPod(stored) : null);
      case 'networking.istio.io/WorkloadEntry':
        return this.#takeInstance(key, stored ? readWorkloadEntry(stored) : null);
      case 'discovery.k8s.io/EndpointSlice':
        return this.#takeSlice(key, stored ? readEndpointSlice(stored) : null);
      case '/Endpoints':
        return this.#takeSlice(key, stored ? readEndpoints(stored) : null);
      case 'networking.istio.io/VirtualService':
        this.#touched.routes = true;
        return put(this.#virtualServices, key, stored?.serving ? this.#readVirtualService(stored) : null);
      case 'gateway.networking.k8s.io/HTTPRoute':
        this.#touched.routes = true;
        return put(this.#httpRoutes, key, stored?.serving ? readHttpRouteSource(stored) : null);
      case 'networking.istio.io/DestinationRule':
        this.#touched.rules = true;
        return put(this.#rules, key, stored?.serving ? this.#readRule(stored) : null);
      case 'security.istio.io/PeerAuthentication':
        this.#touched.peerAuthentications = true;
        return put(this.#peerAuthentications, key, stored?.serving ? readPeerAuthentication(stored) : null);
      case '/Secret':
        if (this.#secrets.replace(key, stored)) this.#touched.secrets.add(secretId(key.namespace, key.name));
        return;
      case 'networking.istio.io/Sidecar':
        this.#touched.sidecars = true;
        return put(this.#sidecars, key, stored?.serving ? readSidecar(stored) : null);
      case 'gateway.networking.k8s.io/ReferenceGrant':
        this.#touched.grants = true;
        this.#touched.routes = true;
        return put(
          this.#grants,
          key,
          stored?.serving
            ? { namespace: key.namespace, spec: stored.serving.spec as ReferenceGrantSpec }
            : null,
        );
      default:
      // Kinds without an effect on translation (Namespace, ServiceAccount, Gateway, …) have none here.
    }
  }

  #takeServices(key: ResourceKey, services: readonly MeshService[]): void {
    for (const changed of this.#services.replace(key, services)) {
      this.#touched.services.add(changed);
      this.#touched.endpoints.add(changed);
      this.#instances.forget(changed);
      if (!this.services.has(changed)) this.#endpointTls.forget(changed);
    }
  }

  #takeInstance(key: ResourceKey, instance: Instance | null): void {
    const before = this.#instances.replace(key, instance);
    if (before?.hasSidecar || instance?.hasSidecar) this.#touched.instances = true;
    for (const service of this.services.values()) {
      if (service.namespace !== key.namespace) continue;
      if (!isSelectedBy(service, before, instance) && !this.#instances.isGivenTo(service, before, instance))
        continue;
      this.#instances.forget(service.key);
      this.#touched.endpoints.add(service.key);
    }
  }

  #takeSlice(key: ResourceKey, given: { service: string; endpoints: readonly Instance[] } | null): void {
    for (const name of this.#instances.replaceSlice(key, given)) {
      for (const service of this.services.values()) {
        if (service.source.kind !== 'Service' || `${service.namespace}/${service.name}` !== name) continue;
        this.#instances.forget(service.key);
        this.#touched.endpoints.add(service.key);
      }
    }
  }

  #finish(): ModelChange {
    const touched = this.#touched;
    this.#touched = newTouched();
    if (touched.routes)
      this.#routeIndex = new RouteIndex(this.#virtualServices.values(), this.#httpRoutes.values());
    if (touched.rules) this.#ruleIndex = new RuleIndex(this.#rules.values(), this.#ruleIndex);
    if (touched.peerAuthentications) {
      this.#peerAuthenticationIndex = new PeerAuthenticationIndex(
        this.#peerAuthentications.values(),
        this.options.rootNamespace,
        this.#peerAuthenticationIndex,
      );
    }
    if (touched.grants || touched.services.size > 0) this.#referenceEpoch += 1;
    return touched;
  }

  #readVirtualService(stored: StoredObject): VirtualServiceSource {
    const spec = stored.serving?.spec as VirtualServiceSpec;
    const { namespace } = stored.key;
    return {
      key: stored.key,
      namespace,
      spec,
      hosts: (spec.hosts ?? []).flatMap((host) =>
        hostCandidates(host, namespace, this.options.clusterDomain),
      ),
      exportTo: readExportTo(spec.exportTo, namespace),
      createdMs: stored.createdMs,
    };
  }

  #readRule(stored: StoredObject): RuleSource {
    const spec = stored.serving?.spec as DestinationRuleSpec;
    const { namespace } = stored.key;
    return {
      key: stored.key,
      namespace,
      hosts: hostCandidates(spec.host, namespace, this.options.clusterDomain),
      spec,
      exportTo: readExportTo(spec.exportTo, namespace),
      createdMs: stored.createdMs,
    };
  }
}

/** Services that hosts, fully qualified ones and wildcards, cover. */
export function servicesOfHosts(model: MeshModel, hosts: readonly string[]): MeshService[] {
  const named = hosts.flatMap((host) => model.servicesNamed(host));
  const wildcards = hosts.filter(isWildcard);
  if (wildcards.length === 0) return named;
  const covered = [...model.services.values()].filter((service) =>
    wildcards.some((host) => hostMatches(host, service.hostname)),
  );
  return [...new Set([...named, ...covered])];
}

interface Touched {
  grants: boolean;
  services: Set<string>;
  endpoints: Set<string>;
  routes: boolean;
  rules: boolean;
  sidecars: boolean;
  peerAuthentications: boolean;
  secrets: Set<string>;
  instances: boolean;
}

function newTouched(): Touched {
  return {
    grants: false,
    services: new Set(),
    endpoints: new Set(),
    routes: false,
    rules: false,
    sidecars: false,
    peerAuthentications: false,
    secrets: new Set(),
    instances: false,
  };
}

function put<T>(map: Map<string, T>, key: ResourceKey, value: T | null): void {
  if (value === null) map.delete(formatKey(key));
  else map.set(formatKey(key), value);
}

function readSidecar(stored: StoredObject): SidecarSource {
  return {
    key: stored.key,
    namespace: stored.key.namespace,
    spec: (stored.serving?.spec ?? {}) as SidecarSpec,
    createdMs: stored.createdMs,
  };
}

function readPeerAuthentication(stored: StoredObject): PeerAuthenticationSource {
  return {
    key: stored.key,
    namespace: stored.key.namespace,
    spec: (stored.serving?.spec ?? {}) as PeerAuthenticationSpec,
    createdMs: stored.createdMs,
  };
}

function readHttpRouteSource(stored: StoredObject): HttpRouteSource {
  const spec = (stored.serving?.spec ?? {}) as HttpRouteSpec;
  const { namespace } = stored.key;
  return {
    key: stored.key,
    namespace,
    spec,
    createdMs: stored.createdMs,
    parents: (spec.parentRefs ?? [])
      .filter((parent) => parent.kind === 'Service' && (parent.group ?? '') === '')
      .map((parent) => ({
        service: `${parent.namespace ?? namespace}/${parent.name}`,
        port: parent.port ?? null,
        sectionName: parent.sectionName ?? null,
      })),
  };
}
