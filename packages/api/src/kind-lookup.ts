/**
 * Finding a kind by what people and machines call it: apiVersion and kind of an object, group and plural of an
 * API path, or a word on the command line (`vs`, `virtualservice`, `virtualservices.networking.istio.io`).
 */
import { nearestName } from '@sluice/runtime';
import { honouredKinds, kinds, type KindInfo } from './kinds.ts';
import { groupOf, versionOf, type KubeObject, type ResourceKey } from './object.ts';

const byGroupKind = new Map(kinds.map((info) => [`${info.group}/${info.kind}`, info]));
const byGroupPlural = new Map(kinds.map((info) => [`${info.group}/${info.plural}`, info]));

export function findKind(group: string, kind: string): KindInfo | undefined {
  return byGroupKind.get(`${group}/${kind}`);
}

export function findKindByPlural(group: string, plural: string): KindInfo | undefined {
  return byGroupPlural.get(`${group}/${plural}`);
}

export function kindOf(object: KubeObject): KindInfo | undefined {
  return findKind(groupOf(object.apiVersion), object.kind);
}

export function kindOfKey(key: ResourceKey): KindInfo | undefined {
  return findKind(key.group, key.kind);
}

/** `group/version` in the version that is stored. */
export function storageApiVersion(info: KindInfo): string {
  return info.group === '' ? info.version : `${info.group}/${info.version}`;
}

export function servesVersion(info: KindInfo, apiVersion: string): boolean {
  return info.versions.includes(versionOf(apiVersion));
}

/**
 * Kinds a word of the command line may mean, best first: plural, singular, kind or short name, with `.group`
 * appended where two groups share a name. Istio's Gateway comes before the Gateway API's, as `kubectl get gw`
 * users of a mesh expect.
 */
export function findKindsByName(name: string): readonly KindInfo[] {
  const word = name.toLowerCase();
  const dot = word.indexOf('.');
  const bare = dot < 0 ? word : word.slice(0, dot);
  const group = dot < 0 ? undefined : word.slice(dot + 1);
  const named = (info: KindInfo) =>
    info.plural === bare || info.singular === bare || info.shortNames.includes(bare);
  return kinds.filter(
    (info) =>
      named(info) && (group === undefined || info.group === group || info.group.startsWith(`${group}.`)),
  );
}

/** The known kind that an unknown one probably meant. */
export function suggestKind(kind: string): string | undefined {
  return nearestName(
    kind,
    kinds.map((info) => info.kind),
  );
}

/** The known name that an unknown command-line word probably meant. */
export function suggestKindName(word: string): string | undefined {
  return nearestName(
    word,
    honouredKinds.flatMap((info) => [info.plural, info.singular, ...info.shortNames]),
  );
}
