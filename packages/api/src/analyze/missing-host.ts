/**
 * What is said of a host that leads nowhere: where it was looked for, and what was probably meant. A short name is
 * a service of the namespace of the resource that writes it (as in Istio), so a service of that name elsewhere is
 * the likeliest meaning, and is suggested with its namespace.
 */
import { nearestName } from '@sluice/runtime';
import { hostCandidates, normalizeHost } from '../hosts.ts';
import type { World } from './world.ts';

/** Services of one name that are suggested; more would be a list. */
const maxSuggested = 3;

export interface MissingHost {
  readonly message: string;
  readonly suggestion: string;
}

export function describeMissingHost(world: World, host: string, namespace: string): MissingHost {
  const meant = namesakes(world, host, namespace);
  const nearest = meant.length > 0 ? meant : nearestNames(world, host, namespace);
  return {
    message: `there is no service ${host}${whereLooked(world, host, namespace)}`,
    suggestion:
      nearest.length === 0
        ? 'create the Service or a ServiceEntry'
        : `did you mean ${nearest.slice(0, maxSuggested).join(' or ')}?`,
  };
}

function whereLooked(world: World, host: string, namespace: string): string {
  const name = normalizeHost(host);
  if (!name.includes('.')) return ` in namespace ${namespace}`;
  const full = hostCandidates(host, namespace, world.options.clusterDomain).filter((one) => one !== name);
  return full.length === 0 ? '' : `, nor ${full.join(', nor ')}`;
}

/** Services of that name in other namespaces, as a resource in `namespace` has to write them. */
function namesakes(world: World, host: string, namespace: string): readonly string[] {
  const labels = normalizeHost(host).split('.');
  // With more labels it is a full name of somebody else's domain.
  const isShort = labels.length <= 2 || labels[2] === 'svc';
  if (!isShort) return [];
  return meshNames(world)
    .filter((one) => one.name === labels[0])
    .map((one) => writtenIn(namespace, one));
}

/** By the name alone where that is enough, so that a slip in the name is found in other namespaces as well. */
function nearestNames(world: World, host: string, namespace: string): readonly string[] {
  const written = new Map<string, string>();
  const offer = (name: string, shown: string): void => {
    if (!written.has(name)) written.set(name, shown);
  };
  const known = meshNames(world);
  for (const one of known) if (one.namespace === namespace) offer(one.name, one.name);
  for (const one of known) {
    offer(one.name, writtenIn(namespace, one));
    offer(`${one.name}.${one.namespace}`, writtenIn(namespace, one));
  }
  for (const hostname of world.hostnames()) offer(hostname, hostname);
  const nearest = nearestName(host, written.keys());
  return nearest === undefined ? [] : [written.get(nearest) ?? nearest];
}

interface MeshName {
  readonly name: string;
  readonly namespace: string;
}

function writtenIn(namespace: string, one: MeshName): string {
  return one.namespace === namespace ? one.name : `${one.name}.${one.namespace}`;
}

/** Hosts of the form that short names stand for, ordered, so that the words are the same each time. */
function meshNames(world: World): readonly MeshName[] {
  const suffix = `.svc.${world.options.clusterDomain}`;
  const names: MeshName[] = [];
  for (const hostname of [...world.hostnames()].toSorted()) {
    if (!hostname.endsWith(suffix)) continue;
    const [name = '', namespace = '', ...rest] = hostname.slice(0, -suffix.length).split('.');
    if (namespace !== '' && rest.length === 0 && !name.startsWith('*')) names.push({ name, namespace });
  }
  return names;
}
