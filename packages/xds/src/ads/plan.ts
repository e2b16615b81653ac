/** What may be sent of one type at this moment, and what the client would hold once it had accepted it. */
import type { ServerType } from './server-type.ts';
import type { AdsResource, AdsResources } from './snapshot.ts';
import { isFullState } from './types.ts';

export interface SendPlan {
  readonly sent: AdsResources;
  readonly updates: readonly string[];
  /** Removals, and names that do not exist: what a delta response lists as removed. */
  readonly removed: ReadonlySet<string>;
}

export interface SendPermission {
  /** Of everything, of nothing, or of these. */
  readonly updates: boolean | ((name: string) => boolean);
  readonly removals: boolean;
}

/** undefined: nothing to send now. */
export function planSend(type: ServerType, may: SendPermission): SendPlan | undefined {
  const { updates: permission } = may;
  const mayUpdate = typeof permission === 'function' ? permission : () => permission;
  const updates = permission === false ? [] : sendableUpdates(type).filter(mayUpdate);
  const removed = new Set<string>();
  for (const name of type.pending) {
    if (type.wants(name) && type.desired.has(name)) continue;
    const isRemoval = type.known.has(name) || type.uncertain.has(name);
    if (isRemoval ? may.removals : mayUpdate(name)) removed.add(name);
  }
  const mustAnswer = type.mustAnswer && permission === true && (isFullState(type.typeUrl) || type.isDelta);
  if (updates.length === 0 && removed.size === 0 && !mustAnswer) return undefined;
  const isComplete = !type.isDelta && isFullState(type.typeUrl);
  return {
    sent: isComplete ? completeSet(type, updates, removed) : pick(type.desired, updates),
    updates,
    removed,
  };
}

/** While a culprit is looked for, only the group under suspicion goes out. */
function sendableUpdates(type: ServerType): readonly string[] {
  const all = [...type.pending].filter((name) => type.wants(name) && type.desired.has(name));
  for (let group = type.suspects.current; group !== undefined; group = type.suspects.current) {
    const suspected = all.filter((name) => group?.has(name) === true);
    if (suspected.length > 0) return suspected;
    type.suspects.clearCurrent();
  }
  return all;
}

/** A complete response repeats what the client has: in its last good version where the new one is not to be sent. */
function completeSet(
  type: ServerType,
  updates: readonly string[],
  removed: ReadonlySet<string>,
): AdsResources {
  const fresh = new Set(updates);
  const set = new Map<string, AdsResource>();
  for (const [name, resource] of type.desired) {
    if (!type.wants(name)) continue;
    const known = type.known.get(name);
    const chosen = fresh.has(name) || known?.version === resource.version ? resource : known;
    if (chosen !== undefined) set.set(name, chosen);
  }
  for (const [name, resource] of type.known)
    if (!set.has(name) && !removed.has(name)) set.set(name, resource);
  return set;
}

function pick(resources: AdsResources, names: readonly string[]): AdsResources {
  const picked = new Map<string, AdsResource>();
  for (const name of names) {
    const resource = resources.get(name);
    if (resource !== undefined) picked.set(name, resource);
  }
  return picked;
}
