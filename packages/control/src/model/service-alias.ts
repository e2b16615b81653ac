/**
 * ExternalName Services whose name is a service of the mesh: another name for that service, as Istio has it since
 * 1.21. Nothing of their own counts, ports included: who calls the alias calls the service, under its routes,
 * policies and mutual TLS. A name that leads nowhere in the mesh is looked up by DNS.
 *
 * Names lead to names: a chain ends at the first service that is none, or at the ExternalName that leaves the mesh.
 */
import type { MeshService } from './service.ts';

export type AliasTarget =
  | { readonly kind: 'service'; readonly hostname: string }
  /** Its name, or the last of the chain, is not of the mesh: it is a service of its own, found by DNS. */
  | { readonly kind: 'none' }
  /** It leads back to where the chain has been: nothing is at its end, and DNS is asked like for any name. */
  | { readonly kind: 'circle'; readonly through: readonly string[] };

/** An alias and the service it stands for, as one client sees them. */
export interface ServiceAlias {
  readonly alias: MeshService;
  readonly target: MeshService;
}

const none: AliasTarget = { kind: 'none' };

/** Where a service's name leads; `named` gives the services of a hostname, whatever their namespace. */
export function aliasTarget(
  service: MeshService,
  named: (hostname: string) => readonly MeshService[],
): AliasTarget {
  const through = [service.hostname];
  let { externalName } = service;
  while (externalName !== null) {
    const found = named(externalName);
    const [next] = found;
    // Out of the mesh: the service before it is the one that DNS is asked for.
    if (next === undefined) break;
    if (through.includes(externalName)) return { kind: 'circle', through: [...through, externalName] };
    through.push(externalName);
    externalName = found.some((one) => one.externalName === null) ? null : next.externalName;
  }
  const hostname = through.at(-1);
  return through.length === 1 || hostname === undefined ? none : { kind: 'service', hostname };
}
