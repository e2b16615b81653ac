/**
 * What proxies did with each resource, from what they ACKed: for every resource how many of the proxies that get
 * something made from it have all of it, and the words of one that refuses. Counted, never listed (design §6).
 *
 * Proxies of one scope share an index of origins, so it is turned around once per scope and not per proxy.
 */
import { formatKey } from '@sluice/api';
import { xdsTypes } from '@sluice/xds';
import type { TypeStatus } from '@sluice/xds';
import type { OriginIndex } from '../translate/resources.ts';
import type { Provenance } from '../translate/translator.ts';
import type { Condition } from './condition.ts';

/** A connected proxy: what its configuration was made from, and how far it is. */
export interface ProxyProgress {
  readonly provenance: Provenance;
  readonly types: ReadonlyMap<string, TypeStatus>;
}

export interface Progress {
  readonly concerned: number;
  readonly programmed: number;
  readonly refused: number;
  /** A refusing proxy's words; empty when none refuses. */
  readonly words: string;
}

interface Count {
  concerned: number;
  programmed: number;
  refused: number;
  words: string;
}

/** Resource (formatted key) → the types that something of it travels in. */
type TypesByKey = ReadonlyMap<string, ReadonlySet<string>>;

interface OwnTypes {
  readonly sidecar: Provenance['sidecar'];
  readonly types: TypesByKey;
}

const byScope = new WeakMap<OriginIndex, TypesByKey>();
const byListeners = new WeakMap<Provenance['listeners'], OwnTypes>();

export function countProgress(proxies: Iterable<ProxyProgress>): ReadonlyMap<string, Progress> {
  const counts = new Map<string, Count>();
  for (const proxy of proxies) {
    const stale = new Set<string>();
    for (const [type, status] of proxy.types) if (status.state === 'STALE') stale.add(type);
    const refusals = refusalsOf(proxy);
    const shared = sharedTypes(proxy.provenance);
    const own = ownTypes(proxy.provenance);
    const count = (key: string, types: ReadonlySet<string>, more: ReadonlySet<string> | undefined): void => {
      const words = refusals.get(key);
      const isStale = stale.size > 0 && (hasAny(types, stale) || (more !== undefined && hasAny(more, stale)));
      addProxy(counts, key, words, isStale);
    };
    for (const [key, types] of shared) count(key, types, own.get(key));
    for (const [key, types] of own) if (!shared.has(key)) count(key, types, undefined);
  }
  return counts;
}

function addProxy(
  counts: Map<string, Count>,
  key: string,
  words: string | undefined,
  isStale: boolean,
): void {
  let count = counts.get(key);
  if (!count) counts.set(key, (count = { concerned: 0, programmed: 0, refused: 0, words: '' }));
  count.concerned += 1;
  if (words !== undefined) {
    count.refused += 1;
    count.words ||= words;
  } else if (!isStale) count.programmed += 1;
}

function hasAny(types: ReadonlySet<string>, others: ReadonlySet<string>): boolean {
  for (const other of others) if (types.has(other)) return true;
  return false;
}

export function programmedCondition(progress: Progress | undefined): Condition {
  if (!progress) {
    const message = 'no connected proxy has a use for it';
    return { type: 'Programmed', status: 'Unknown', reason: 'NoProxies', message };
  }
  const { concerned, programmed, refused, words } = progress;
  const counted = `${programmed} of ${concerned} ${concerned === 1 ? 'proxy' : 'proxies'}`;
  if (refused > 0) {
    const message = `${counted}; ${refused} refused it: ${words}`;
    return { type: 'Programmed', status: 'False', reason: 'Invalid', message };
  }
  return programmed === concerned
    ? { type: 'Programmed', status: 'True', reason: 'Programmed', message: counted }
    : { type: 'Programmed', status: 'False', reason: 'Pending', message: counted };
}

/** Resource → words, for the resources whose configuration the proxy refuses. */
function refusalsOf({ provenance, types }: ProxyProgress): ReadonlyMap<string, string> {
  const refusals = new Map<string, string>();
  for (const [type, status] of types) {
    for (const name of status.rejected.keys()) {
      const origins =
        provenance.scope.get(type)?.get(name) ??
        (type === xdsTypes.listener ? provenance.listeners.get(name) : undefined) ??
        [];
      for (const origin of origins) refusals.set(formatKey(origin), wordsFor(name, status.errorDetail));
    }
  }
  return refusals;
}

/** Refusals speak line by line of all that was refused: the lines that name this one, or all of it. */
function wordsFor(name: string, detail: string): string {
  const lines = detail.split('\n').filter((line) => line.includes(name));
  return (lines.length > 0 ? lines.join('; ') : detail).slice(0, maxWords);
}

/** Characters of a proxy's words that a status carries. */
const maxWords = 1024;

/** A proxy's own listeners and its Sidecar, apart from what it shares: few of them change when the scope does. */
function ownTypes({ listeners, sidecar }: Provenance): TypesByKey {
  let own = byListeners.get(listeners);
  if (own?.sidecar !== sidecar) {
    const types = new Map<string, Set<string>>();
    for (const origins of listeners.values())
      for (const origin of origins) types.set(formatKey(origin), onlyListeners);
    // What a Sidecar narrows is the set of clusters and listeners.
    if (sidecar) types.set(formatKey(sidecar), clustersAndListeners);
    byListeners.set(listeners, (own = { sidecar, types }));
  }
  return own.types;
}

const onlyListeners = new Set<string>([xdsTypes.listener]);
const clustersAndListeners = new Set<string>([xdsTypes.cluster, xdsTypes.listener]);

function sharedTypes({ scope }: Provenance): TypesByKey {
  let shared = byScope.get(scope);
  if (!shared) byScope.set(scope, (shared = turnAround(scope)));
  return shared;
}

function turnAround(index: OriginIndex): TypesByKey {
  const types = new Map<string, Set<string>>();
  for (const [type, byName] of index) {
    for (const origins of byName.values()) {
      for (const origin of origins) {
        const key = formatKey(origin);
        const known = types.get(key);
        if (known) known.add(type);
        else types.set(key, new Set([type]));
      }
    }
  }
  return types;
}
