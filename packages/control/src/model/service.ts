/**
 * The service model: what Kubernetes Services and Istio ServiceEntries have in common.
 *
 * Objects here are immutable. A change makes a new object, so that caches downstream may compare by
 * identity: same object, same translation.
 */
import type { ResourceKey } from '@sluice/api';

/** What the proxies do with a port's bytes. `auto` = not declared: sniffed where a proxy can, else TCP. */
export type PortProtocol = 'http' | 'http2' | 'grpc' | 'grpc-web' | 'tls' | 'tcp' | 'udp' | 'auto';

export interface MeshServicePort {
  readonly number: number;
  readonly name: string;
  readonly protocol: PortProtocol;
  /** Port of the instances: a number, or the name of one of their ports. */
  readonly targetPort: number | string;
}

/**
 * How endpoints are found: `registry` = instances or given slices, `static` = the entry's own list or
 * selector, `dns` = every address of the names, `dns-round-robin` = the first address, `none` = the
 * address that the client dialled.
 */
export type Resolution = 'registry' | 'static' | 'dns' | 'dns-round-robin' | 'none';

export interface MeshService {
  /** `namespace/hostname`: the key of services (design §6, One service model). */
  readonly key: string;
  readonly hostname: string;
  readonly namespace: string;
  /** Short name as written: `reviews`; the hostname for a ServiceEntry. */
  readonly name: string;
  readonly ports: readonly MeshServicePort[];
  /** Virtual addresses, CIDR ranges included. Empty for headless and address-less ones. */
  readonly addresses: readonly string[];
  readonly resolution: Resolution;
  /** MESH_EXTERNAL, or an ExternalName: no sidecar is expected at the other end. */
  readonly isExternal: boolean;
  /** Of an ExternalName: the name it stands for, an alias where that is of the mesh (service-alias.ts). */
  readonly externalName: string | null;
  readonly isHeadless: boolean;
  /** Labels that select instances; null = none (slices, inline endpoints or DNS instead). */
  readonly selector: Readonly<Record<string, string>> | null;
  readonly publishNotReady: boolean;
  /** Inline endpoints of a ServiceEntry, or the DNS names to resolve. */
  readonly inlineEndpoints: readonly InlineEndpoint[];
  /** Names of which its servers must prove one, beside those of its instances' accounts (ServiceEntry). */
  readonly subjectAltNames: readonly string[];
  readonly exportTo: ExportTo;
  readonly source: ResourceKey;
  readonly createdMs: number;
  readonly labels: Readonly<Record<string, string>>;
}

export interface InlineEndpoint {
  readonly address: string;
  readonly ports: Readonly<Record<string, number>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly locality: string;
  readonly weight: number;
  readonly network: string;
  readonly serviceAccount: string;
  /** A sidecar in front of it takes mutual TLS. */
  readonly takesMutualTls: boolean;
}

/** Who may see something: everybody, or a set of namespaces. */
export type ExportTo =
  { readonly all: true } | { readonly all: false; readonly namespaces: ReadonlySet<string> };

export function serviceKey(namespace: string, hostname: string): string {
  return `${namespace}/${hostname}`;
}

/** Reads `exportTo` lists: `.` is the own namespace, `*` all, none written is `fallback`. */
export function readExportTo(list: readonly string[] | undefined, ownNamespace: string): ExportTo {
  if (!list || list.length === 0 || list.includes('*')) return { all: true };
  const namespaces = new Set(
    list.filter((entry) => entry !== '~').map((entry) => (entry === '.' ? ownNamespace : entry)),
  );
  return { all: false, namespaces };
}

export function isVisibleTo(exportTo: ExportTo, namespace: string): boolean {
  return exportTo.all || exportTo.namespaces.has(namespace);
}
